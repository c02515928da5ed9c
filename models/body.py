"""Which part of a photo is neck, shoulders and chest: what breathes and follows the head softly.

Pure arithmetic on arrays. The person is told from the background by GrabCut (Rother, Kolmogorov & Blake 2004) on a
small copy, begun from the face; only what lies below the chin counts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.curves import smoothstep

SMALL_PX = 128
ROUNDS = 3

FROM_OVAL, FULL_FROM_OVAL = 0.05, 0.55
"""From the outline of the face, in eye distances: where the body begins to move, and where it moves wholly."""

SHOULDERS_ABOVE_CHIN, FULL_ABOVE_CHIN = 0.25, -0.05
"""The same upwards: shoulders reach above the chin at the sides of a photo, hair and ears must not come along."""

SURE_WIDTH, LIKELY_WIDTH = 0.55, 1.3
"""Half widths, in eye distances, of the column below the face that is surely the person, and of that which may be."""

SOFT = 0.1
BOTTOM_REACH = 0.15
"""Distance from the lower border, in eye distances, over which it stops: nothing may come in from outside."""


def body_hold(
    picture: NDArray[np.uint8], oval: NDArray[np.floating], chin: NDArray[np.floating], unit_px: float, nodes: int
) -> NDArray[np.float32]:
    """(nodes, nodes) 0..1, how much each place of the picture goes along with the body.

    picture: (S, S, 3) BGR; oval: (n, 2) px outline of the face; chin: (2,) px; unit_px: the eye distance.
    """
    size = picture.shape[0]
    scale = SMALL_PX / size
    person = _person(_shrunk(picture, SMALL_PX), oval * scale, chin * scale, unit_px * scale)
    y = (np.arange(SMALL_PX, dtype=np.float32) + 0.5) / scale
    above = (chin[1] - y) / unit_px
    reach = smoothstep((SHOULDERS_ABOVE_CHIN - above) / (SHOULDERS_ABOVE_CHIN - FULL_ABOVE_CHIN))
    reach = reach * smoothstep((size - y) / (BOTTOM_REACH * unit_px))
    face = np.ones((SMALL_PX, SMALL_PX), np.uint8)
    cv2.fillConvexPoly(face, _outline(oval * scale), (0,))
    away = cv2.distanceTransform(face, cv2.DIST_L2, 5) / (unit_px * scale)
    person *= smoothstep((away - FROM_OVAL) / (FULL_FROM_OVAL - FROM_OVAL))
    soft = cv2.GaussianBlur(person, (0, 0), SOFT * unit_px * scale) * reach[:, None]
    return np.asarray(_shrunk(soft, nodes), np.float32)


def _person(
    small: NDArray[np.uint8], oval: NDArray[np.floating], chin: NDArray[np.floating], unit: float
) -> NDArray[np.float32]:
    """(h, w) 1 where the person is."""
    height, width = small.shape[:2]
    guess = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    guess[: max(1, int(chin[1])), :2] = guess[: max(1, int(chin[1])), -2:] = guess[:1] = cv2.GC_BGD
    for half, value in ((LIKELY_WIDTH, cv2.GC_PR_FGD), (SURE_WIDTH, cv2.GC_FGD)):
        left, right = (int(np.clip(chin[0] + side * half * unit, 0, width)) for side in (-1, 1))
        guess[max(0, int(chin[1])) :, left:right] = value
    cv2.fillConvexPoly(guess, _outline(oval), (cv2.GC_FGD,))
    before, behind = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(small, guess, (0, 0, 0, 0), behind, before, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)


def _outline(oval: NDArray[np.floating]) -> NDArray[np.int32]:
    return cv2.convexHull(np.round(oval).astype(np.int32)).astype(np.int32)


def _shrunk(picture: NDArray, side: int) -> NDArray:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
