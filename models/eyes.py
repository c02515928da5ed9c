"""Lids and gaze, drawn over the photo's own eyes: blinks, half-closed and widened lids, small turns of the eye.
Pure arithmetic on arrays; touches nothing.
All is said in columns: the lid's edge runs from the upper rim of the open eye to the lower one; a lid of smooth skin
follows it down, carrying the photo's own rim and lashes at first and drawn, lowered lashes at last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX
from models.eye_drawing import EyeDrawing
from models.eyes_builder import EyeParts, build_eye

Box = tuple[int, int, int, int]
Patch = NDArray[np.uint8]

SIDES, OUTWARDS = ("Right", "Left"), (-1.0, 1.0)
"""The subject's right eye is on the left of the picture."""
ACTIONS = ("eyeBlink", "eyeSquint", "eyeWide", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown")


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


class LivingEyes:
    """Both eyes, ready to be drawn."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = [
            (side, EyeDrawing(part, outwards), part.corners)
            for side, outwards, part in zip(SIDES, OUTWARDS, eyes.parts, strict=True)
        ]

    def render(self, weights: NDArray[np.float32]) -> list[tuple[Box, Patch]]:
        """Pictures to put over the photo: box (x0, y0, x1, y1) px and (h, w, 3) uint8 BGR. An eye at rest gives none.

        weights: (52,) relative to the photo.
        """
        out = []
        for side, drawing, corners in self._eyes:
            action = {name: float(weights[ARKIT_INDEX[name + side]]) for name in ACTIONS}
            if any(action.values()):
                out.append((corners, drawing.draw(action)))
        return out
