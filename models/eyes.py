"""Lids and gaze, drawn over the photo's own eyes: blinks, half-closed and widened lids, small turns of the eye.
Pure arithmetic on arrays; touches nothing.
All is said in columns: the lid's edge runs from the upper rim of the open eye to the lower one; a lid of smooth skin
follows it down, carrying the photo's own rim and lashes at first and drawn, lowered lashes at last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX
from models.eyes_builder import EyeParts, build_eye
from models.lid_skin import RIM, grid

Box = tuple[int, int, int, int]
Patch = NDArray[np.uint8]

SIDES = ("Right", "Left")
ACTIONS = ("eyeBlink", "eyeSquint", "eyeWide", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown")

GAZE_REACH = 0.045
"""How far an iris goes at weight 1, in eye distances: about 20 degrees. Idle motion uses up to half of it."""

LID_FOLLOWS_GAZE = 0.30
"""Share of a blink that the lid does when the eye looks down at weight 1."""

WIDE_REACH, SQUINT_REACH = 0.022, 0.025
"""Travel of the upper lid at eyeWide 1 and of the lower lid at eyeSquint 1, in eye distances."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Both eyes of one photo, the subject's right one first."""

    parts: tuple[EyeParts, EyeParts]

    @staticmethod
    def build(photo_bgr: NDArray[np.uint8], points: NDArray[np.floating]) -> Eyes:
        """From a photo (h, w, 3) uint8 BGR and its 478 landmarks (478, 2) px; about 20 ms."""
        return Eyes((build_eye(photo_bgr, points, left=False), build_eye(photo_bgr, points, left=True)))

    def to_arrays(self) -> dict[str, NDArray]:
        return {
            f"{side}_{field.name}": np.asarray(getattr(part, field.name))
            for side, part in zip(SIDES, self.parts, strict=True)
            for field in fields(EyeParts)
        }

    @staticmethod
    def from_arrays(arrays: dict[str, NDArray]) -> Eyes:
        """Undoes `to_arrays`; other keys are ignored. Raises KeyError if one is missing."""
        right, left = (EyeParts(**{f.name: arrays[f"{side}_{f.name}"] for f in fields(EyeParts)}) for side in SIDES)
        return Eyes((right, left))

    def render(self, weights: NDArray[np.float32]) -> list[tuple[Box, Patch]]:
        """Pictures to put over the photo: box (x0, y0, x1, y1) px and (h, w, 3) uint8 BGR. An eye at rest gives none.

        weights: (52,) relative to the photo.
        """
        out = []
        for side, part in zip(SIDES, self.parts, strict=True):
            action = {name: float(weights[ARKIT_INDEX[name + side]]) for name in ACTIONS}
            if any(action.values()):
                out.append((part.corners, _draw(part, side, action)))
        return out


def _draw(eye: EyeParts, side: str, action: dict[str, float]) -> Patch:
    """One eye's patch: first the ball turns, then the lids are pulled, then the upper one comes down."""
    unit = float(eye.unit_px)
    picture = eye.photo
    outwards = -1.0 if side == "Right" else 1.0  # the subject's right eye is on the left of the picture
    turn = np.array(
        [
            outwards * (action["eyeLookOut"] - action["eyeLookIn"]),
            0.7 * (action["eyeLookDown"] - action["eyeLookUp"]),
        ]
    )
    if turn.any():
        picture = _turned(eye, picture, turn * GAZE_REACH * unit)
    raised = (action["eyeWide"] + 0.6 * action["eyeLookUp"]) * WIDE_REACH * unit
    squeezed = action["eyeSquint"] * SQUINT_REACH * unit
    if raised or squeezed:
        picture = _pulled(eye, picture, raised, squeezed)
    shut = min(1.0, action["eyeBlink"] + LID_FOLLOWS_GAZE * action["eyeLookDown"])
    return _shut(eye, picture, shut) if shut > 0 else picture.copy()


def _turned(eye: EyeParts, picture: Patch, shift: NDArray[np.floating]) -> Patch:
    """The iris moved by `shift` px, the white stretched and squeezed beside it, nothing outside the open eye touched.

    Pixels are looked up between the rims only, so that no lash is dragged into the white.
    """
    rows, columns = grid(picture.shape)
    room = np.maximum(eye.room_px - 1, 0)  # left and right of the iris
    shift_x = float(np.clip(shift[0], -0.75 * room[0], 0.75 * room[1]))
    falloff = np.interp(columns[0], *eye.iris_falloff)
    from_x = columns - shift_x * falloff
    top = np.interp(from_x[0], columns[0], eye.upper) + 0.012 * float(eye.unit_px)
    bottom = np.interp(from_x[0], columns[0], eye.lower) - 0.006 * float(eye.unit_px)
    from_y = np.clip(rows - shift[1] * falloff, top, np.maximum(bottom, top + 1)).astype(np.float32)
    ball = cv2.remap(picture, from_x.astype(np.float32), from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.clip(rows - eye.upper, 0, 1.5) * np.clip(eye.lower - rows, 0, 1.5) / 2.25
    return _mixed(picture, ball, inside).astype(np.uint8)


def _pulled(eye: EyeParts, picture: Patch, raised: float, squeezed: float) -> Patch:
    """Upper rim up by `raised` px and lower rim up by `squeezed` px, fading out within the patch."""
    rows, columns = grid(picture.shape)
    reach = 0.07 * float(eye.unit_px)
    near_upper = np.exp(-0.5 * ((rows - eye.upper) / reach) ** 2) * eye.taper
    near_lower = np.exp(-0.5 * ((rows - eye.lower) / reach) ** 2) * eye.taper
    from_y = rows + (raised * near_upper + squeezed * near_lower) * eye.border
    pulled = cv2.remap(picture, columns, from_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return pulled.astype(np.uint8, copy=False)


def _shut(eye: EyeParts, picture: Patch, shut: float) -> Patch:
    """The upper lid brought down by the share `shut` of its way."""
    rows, columns = grid(picture.shape)
    unit = float(eye.unit_px)
    travel = shut * (eye.closing - eye.upper)
    edge = eye.upper + travel
    rim = RIM * unit
    # The lid throws a shadow on the eye under it.
    under_lid = (rows > eye.upper) * np.clip(eye.lower - rows, 0, 1) * np.clip(1 - (rows - edge) / (0.035 * unit), 0, 1)
    shaded = picture * (1 - 0.35 * min(1.0, 3 * shut) * under_lid * eye.taper)[..., None]
    # Skin where the rim has gone from.
    covered = np.clip((rows - eye.skin_from) / (0.02 * unit), 0, 1) * np.clip(edge - rows + 0.5, 0, 1)
    covered *= eye.lid_taper * min(1.0, 5 * shut)
    lid = _mixed(shaded, eye.lid, covered)
    # The photo's own rim and lashes ride down on the edge, and give way to lowered lashes.
    own = 1 - _smooth((shut - 0.3) / 0.5)
    from_y = (rows - travel).astype(np.float32)
    if own > 0:
        moved = cv2.remap(eye.photo, columns, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        above = np.clip((from_y - (eye.upper - rim)) / (0.6 * rim), 0, 1)
        under = np.clip((eye.upper + 0.35 * rim - from_y) / (0.3 * rim), 0, 1)
        lid = _mixed(lid, moved, own * above * under * eye.taper)
    if own < 1:
        to_closed = (rows + (1 - shut) * (eye.closing - eye.upper)).astype(np.float32)
        lashes = cv2.remap(eye.lashes, columns, to_closed, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        lid = _mixed(lid, eye.lash_colour, (1 - own) / 255 * lashes)
    return np.round(lid).clip(0, 255).astype(np.uint8)


def _mixed(below: NDArray, above: NDArray, share: NDArray[np.floating]) -> NDArray[np.float32]:
    return below + (above - below.astype(np.float32)) * share.astype(np.float32)[..., None]


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
