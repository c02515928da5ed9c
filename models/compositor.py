"""Puts one picture over another where an alpha says so.
Pure arithmetic on arrays.
Alphas of outlines are drawn at four times the resolution and averaged down.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SUPERSAMPLING = 4

SOFT_PX = 0.7
"""How soft an edge is drawn where nothing else is said: the sigma of a Gaussian."""


def polygon_alpha(
    points: NDArray[np.floating], shape: tuple[int, int], soft_px: float = SOFT_PX
) -> NDArray[np.float32]:
    """(h, w) 0..1 coverage of the polygon `points` (n, 2), pixel centres at whole numbers; edges `soft_px` soft."""
    scale = SUPERSAMPLING
    fine = np.zeros((shape[0] * scale, shape[1] * scale), np.uint8)
    at = np.round(((points + 0.5) * scale - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(fine, [at], 255, cv2.LINE_8, 4)
    alpha = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(alpha, (0, 0), soft_px).astype(np.float32) / np.float32(255)


def polygon_area(points: NDArray[np.floating], shape: tuple[int, int], soft_px: float) -> tuple[slice, slice]:
    """Rows and columns of a picture (h, w) outside which `polygon_alpha` is zero."""
    reach = int(np.ceil(3 * soft_px)) + 2
    left, top = np.maximum(np.floor(points.min(0)).astype(int) - reach, 0).tolist()
    right, bottom = (np.ceil(points.max(0)).astype(int) + reach).tolist()
    return slice(top, max(top, min(bottom, shape[0]))), slice(left, max(left, min(right, shape[1])))


def over(below: NDArray[np.uint8], above: NDArray[np.uint8], alpha: NDArray[np.float32]) -> None:
    """Draws `above` over `below` (both (h, w, 3)) in place."""
    cv2.blendLinear(above, below, alpha, 1 - alpha, below)
