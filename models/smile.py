"""Softens the folds that a smile leaves beside nose and mouth, once the smile itself has been taken back.
Pure arithmetic on arrays; touches nothing.
Only troughs are filled: what is darker than its surroundings at the scale of a fold; pores and stubble stay.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FOLDS = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))
"""Landmarks down the folds from the wings of the nose past the corners of the mouth."""

FOLD_WIDTH, NARROW, WIDE = 0.07, 0.012, 0.07
"""Half width of the band that is treated, and the scales between which a fold is, in eye distances."""

MOST, TROUGH = 0.8, 4.0
"""Share of a trough that is filled, and the depth (of 255) from which it is one."""

LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)


def soften_folds(
    picture: NDArray[np.uint8], points: NDArray[np.floating], unit: float, share: float
) -> NDArray[np.uint8]:
    """A picture (h, w, 3) with landmarks (478, 2) px and its folds filled by `share` (0..1)."""
    if share <= 0:
        return picture
    band = np.zeros(picture.shape[:2], np.uint8)
    for fold in FOLDS:
        line = np.round(points[list(fold)] * 16).astype(np.int32)
        cv2.polylines(band, [line], False, 255, max(1, round(FOLD_WIDTH * unit)), cv2.LINE_AA, 4)
    cv2.fillPoly(band, [np.round(points[list(LIPS)] * 16).astype(np.int32)], 0, cv2.LINE_AA, 4)
    mask = cv2.GaussianBlur(band, (0, 0), 0.025 * unit).astype(np.float32)[..., None] / 255
    near = cv2.GaussianBlur(picture, (0, 0), NARROW * unit).astype(np.float32)
    around = cv2.GaussianBlur(picture, (0, 0), WIDE * unit).astype(np.float32)
    trough = np.clip((around - near).mean(2, keepdims=True) / TROUGH, 0, 1)
    filled = picture + MOST * min(share, 1.0) * mask * trough * (around - near)
    return np.round(filled).clip(0, 255).astype(np.uint8)
