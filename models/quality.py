"""What to tell the user about a photo before it speaks: what is good, what could be better, what will look wrong.
Pure arithmetic on arrays; touches nothing.
Each check looks at one thing and answers with at most one note, in plain words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_model import Pose
from models.fit import FACE_OVAL, eye_distance

SHARP_SIDE_PX = 160
"""Side to which a face is scaled before its sharpness is measured."""


@dataclass(frozen=True, slots=True)
class QualityNote:
    """One remark about a photo. severity: `good`, `hint` (could be better) or `warning` (will show)."""

    code: str
    severity: Literal["good", "hint", "warning"]
    message: str


def assess(
    photo: NDArray[np.uint8], points: NDArray[np.floating], pose: Pose, gap_px: float, faces: int
) -> list[QualityNote]:
    """Notes on a photo (h, w, 3) BGR with landmarks (478, 2) px, the fitted pose and the gap between the lips.

    One note `good` alone if there is nothing to say.
    """
    unit = eye_distance(points)
    face = _face(photo, points)
    found = [
        _size(points),
        _turn(pose),
        _mouth(gap_px / unit),
        _light(face),
        _sharpness(face),
        _count(faces),
    ]
    notes = [note for note in found if note is not None]
    return notes or [QualityNote("good", "good", "This photo suits well: frontal, sharp and evenly lit.")]


def _face(photo: NDArray[np.uint8], points: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The face (SHARP_SIDE_PX square, 4 channels): BGR and a mask of the skin oval."""
    oval = points[list(FACE_OVAL)]
    side = float((oval.max(0) - oval.min(0)).max())
    origin = (oval.max(0) + oval.min(0)) / 2 - side / 2
    scale = SHARP_SIDE_PX / side
    matrix = np.array([[scale, 0, -origin[0] * scale], [0, scale, -origin[1] * scale]])
    # Averaged before it is thinned out, or fine texture turns into false sharpness.
    small = cv2.blur(photo, (round(1 / scale),) * 2) if scale < 0.5 else photo
    picture = cv2.warpAffine(
        small, matrix, (SHARP_SIDE_PX,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((oval - origin) * scale).astype(np.int32)], 255)
    return np.dstack([picture, mask])


def _size(points: NDArray[np.floating]) -> QualityNote | None:
    width = float(np.ptp(points[:, 0]))
    if width < 110:
        return QualityNote(
            "small", "warning", f"The face is only {width:.0f} pixels wide and will look soft; use a larger photo."
        )
    if width < 180:
        return QualityNote("small", "hint", f"The face is {width:.0f} pixels wide; from 200 on the picture is sharper.")
    return None


def _turn(pose: Pose) -> QualityNote | None:
    forward = pose.rotation[:, 2]
    yaw = abs(float(np.degrees(np.arctan2(forward[0], forward[2]))))
    pitch = abs(float(np.degrees(np.arcsin(np.clip(forward[1], -1, 1)))))
    if yaw > 30 or pitch > 30:
        return QualityNote(
            "turned", "warning", "The head is turned far away; a photo that looks at the camera will look much better."
        )
    if yaw > 18 or pitch > 20:
        return QualityNote("turned", "hint", "The head is turned a little; a frontal photo speaks more naturally.")
    return None


def _mouth(gap: float) -> QualityNote | None:
    if gap > 0.2:
        return QualityNote(
            "mouth_open",
            "warning",
            "The mouth is wide open and has to be closed by force; use a photo with closed lips.",
        )
    if gap > 0.05:
        return QualityNote(
            "mouth_open",
            "hint",
            "The lips are parted and are shut for you; a photo with closed lips rests more naturally.",
        )
    return None


def _light(face: NDArray[np.uint8]) -> QualityNote | None:
    grey = cv2.cvtColor(face[..., :3], cv2.COLOR_BGR2GRAY).astype(np.float32)
    skin = face[..., 3] > 0
    half = SHARP_SIDE_PX // 2
    left, right = grey[:, :half][skin[:, :half]].mean(), grey[:, half:][skin[:, half:]].mean()
    if max(left, right) > 2.0 * min(left, right) + 5:
        return QualityNote(
            "harsh_light", "hint", "One side of the face is much darker; soft light from the front looks better."
        )
    if (grey[skin] > 250).mean() > 0.12:
        return QualityNote(
            "harsh_light", "hint", "Parts of the face are overexposed; softer light keeps the skin's detail."
        )
    if np.median(grey[skin]) < 28:
        return QualityNote("dark", "hint", "The face is very dark; more light shows lips and eyes better.")
    return None


def _sharpness(face: NDArray[np.uint8]) -> QualityNote | None:
    grey = cv2.cvtColor(face[..., :3], cv2.COLOR_BGR2GRAY).astype(np.float32)
    skin = cv2.erode(face[..., 3], np.ones((9, 9), np.uint8)) > 0
    detail = float(cv2.Laplacian(grey, cv2.CV_32F)[skin].std() / (grey[skin].std() + 4))
    if detail < 0.06:
        return QualityNote("blurred", "warning", "The photo is blurred; a sharper one makes a much better avatar.")
    if detail < 0.1:
        return QualityNote("blurred", "hint", "The photo is a little soft; a sharper one looks more alive.")
    return None


def _count(faces: int) -> QualityNote | None:
    if faces > 1:
        return QualityNote("several_faces", "hint", f"There are {faces} faces in the photo; the largest one was taken.")
    return None
