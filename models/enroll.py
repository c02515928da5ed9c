"""Enrolment: one photo becomes an `Identity`, with a quality report.
Runs the landmark network; otherwise pure arithmetic.
Find the face, frame head and shoulders, fit the 3D face, then prepare everything that `generator` needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_model import FaceModel
from models.fit import eye_distance, fit_face
from models.identity import Identity
from models.identity_builder import build_identity
from models.lips import gap_px, lip_lines
from models.quality import QualityNote, assess

LEAST_FACE_PX = 64
LEAST_SIZE_PX, MOST_SIZE_PX = 128, 1024
FRAME_SIDE = 3.4
"""Side of the framed square in eye distances: head and shoulders."""

FRAME_BELOW_EYES = 0.55
"""Centre of the square below the eyes, in eye distances."""


class EnrolmentError(ValueError):
    """A photo that cannot become an avatar; `code` for programs, the message for people."""

    code = "bad_photo"


class NoFaceError(EnrolmentError):
    code = "no_face"


class FaceTooSmallError(EnrolmentError):
    code = "face_too_small"


class Found(Protocol):
    """One face found in a picture; points (478, 2) px."""

    @property
    def points(self) -> NDArray[np.floating]: ...


class FaceFinder(Protocol):
    """What enrolment needs of `landmarks.LandmarkModel`."""

    def find(self, picture: NDArray[np.uint8]) -> Sequence[Found]: ...


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An identity and what to tell the user about its photo."""

    identity: Identity
    quality: list[QualityNote]


@dataclass(frozen=True, slots=True)
class Frame:
    """A square of a photo: its corner and side in the photo's pixels."""

    left: int
    top: int
    side: int


def enroll(photo_bgr: NDArray[np.uint8], landmarks: FaceFinder, size_px: int = 512) -> Enrolment:
    """Makes an avatar `size_px` square (even, 128..1024) from an upright photo (h, w, 3) uint8 BGR. About 2 s.

    Raises NoFaceError, FaceTooSmallError (both ValueError) with a sentence that says what to do.
    """
    if not LEAST_SIZE_PX <= size_px <= MOST_SIZE_PX or size_px % 2:
        raise EnrolmentError(
            f"the avatar's size must be even, from {LEAST_SIZE_PX} to {MOST_SIZE_PX} pixels, not {size_px}"
        )
    faces = landmarks.find(photo_bgr)
    if not faces:
        raise NoFaceError("no face was found in this photo; use one that shows a face from the front, well lit")
    points = np.asarray(max((face.points for face in faces), key=eye_distance), np.float64)
    width = float(np.ptp(points[:, 0]))
    if width < LEAST_FACE_PX:
        raise FaceTooSmallError(
            f"the face is only {width:.0f} pixels wide; use a photo with a face at least {LEAST_FACE_PX} pixels wide"
        )
    model = face_model()
    fit = fit_face(model, points)
    gap = float(gap_px(*lip_lines(points)).max())
    quality = assess(photo_bgr, points, fit.pose, gap, len(faces))
    frame = framing(points, photo_bgr.shape[:2])
    picture = framed(photo_bgr, frame, size_px)
    inside = (points + 0.5 - [frame.left, frame.top]) * (size_px / frame.side) - 0.5
    return Enrolment(build_identity(model, picture, inside), quality)


@cache
def face_model() -> FaceModel:
    """The 3D face, read once a process."""
    return FaceModel.load()


def framing(points: NDArray[np.floating], shape: tuple[int, int]) -> Frame:
    """A square around head and shoulders; inside the photo (height, width) as far as the face allows."""
    eyes, unit = (points[33] + points[263]) / 2, eye_distance(points)
    unit = max(unit, 0.62 * float(np.hypot(*(points[10] - points[152]))))  # a turned head has its eyes close together
    height, width = shape
    side = float(np.clip(FRAME_SIDE * unit, 0, max(min(height, width), 2.1 * unit)))
    centre = np.array([points[:, 0].mean(), eyes[1] + FRAME_BELOW_EYES * unit])
    room = np.array([width, height]) - side
    corner = np.where(room >= 0, np.clip(centre - side / 2, 0, np.maximum(room, 0)), room / 2)
    return Frame(round(corner[0]), round(corner[1]), round(side))


def framed(photo: NDArray[np.uint8], frame: Frame, size_px: int) -> NDArray[np.uint8]:
    """(size_px, size_px, 3) the square of the photo; what lies outside repeats the photo's edge."""
    right, bottom = frame.left + frame.side, frame.top + frame.side
    height, width = photo.shape[:2]
    above, left = max(-frame.top, 0), max(-frame.left, 0)
    beyond = ((above, max(bottom - height, 0)), (left, max(right - width, 0)), (0, 0))
    square = np.pad(photo, beyond, mode="edge")[frame.top + above : bottom + above, frame.left + left : right + left]
    method = cv2.INTER_AREA if frame.side > size_px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (size_px, size_px), interpolation=method), np.uint8)
