"""Prepares one eye of a photo for `eyes`: where its rims run, the skin of its lid, lowered lashes.
Pure arithmetic on arrays; touches nothing.
Rows of the rims, of the line at which they meet and of the skin above the lashes are said for each column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.curves import smoothstep
from models.lid_skin import (
    BESIDE,
    HIDDEN_LEAST,
    HIDDEN_MOST,
    Array,
    above_gloss,
    blurred,
    grid,
    lid_skin,
    lightest,
    lowered_lashes,
)

BEYOND = 0.015
"""How far the white goes on beyond the landmarks of the corners, in eye distances."""

MISSED_LEAST, MISSED_MOST = 0.02, 0.07
"""How much of an eye below its landmarks, in eye distances, is believed to be eye and not lashes."""

RIGHT_EYE = {
    "upper": (33, 246, 161, 160, 159, 158, 157, 173, 133),
    "lower": (33, 7, 163, 144, 145, 153, 154, 155, 133),
    "iris": (468, 469, 470, 471, 472),
}
LEFT_EYE = {
    "upper": (362, 398, 384, 385, 386, 387, 388, 466, 263),
    "lower": (362, 382, 381, 380, 374, 373, 390, 249, 263),
    "iris": (473, 474, 475, 476, 477),
}


@dataclass(frozen=True, slots=True)
class EyeParts:
    """One eye in its box of the photo; rows count from the box's top, columns from its left.

    box: (4,) int32 x0, y0, x1, y1. photo, lid: (h, w, 3) uint8 BGR; lid is the skin of the shut eye. upper, lower,
    closing: (w,) rows of both rims and of the line at which they meet; skin_from: (w,) above them the photo shows skin.
    taper, lid_taper: (w,) 1 in the eye, 0 beyond its corners, the lid reaching a little further.
    border: (h, w) 1 inside, 0 at the edge of the box. lashes: (h, w) uint8 coverage with the eye shut; lash_colour:
    (3,). iris_falloff: (2, 6) columns and how much of a turn of the eye they follow. room_px: (2,) white left and right
    of the iris. unit_px: eye distance.
    """

    box: NDArray[np.int32]
    photo: NDArray[np.uint8]
    lid: NDArray[np.uint8]
    upper: NDArray[np.float32]
    lower: NDArray[np.float32]
    closing: NDArray[np.float32]
    skin_from: NDArray[np.float32]
    lid_taper: NDArray[np.float32]
    taper: NDArray[np.float32]
    border: NDArray[np.float32]
    lashes: NDArray[np.uint8]
    lash_colour: NDArray[np.float32]
    iris_falloff: NDArray[np.float32]
    room_px: NDArray[np.float32]
    unit_px: NDArray[np.float32]

    @property
    def corners(self) -> tuple[int, int, int, int]:
        x0, y0, x1, y1 = self.box.tolist()
        return x0, y0, x1, y1


def build_eye(photo_bgr: NDArray[np.uint8], points: NDArray[np.floating], left: bool) -> EyeParts:
    """The subject's left or right eye of a photo (h, w, 3) with landmarks (478, 2) px."""
    names = LEFT_EYE if left else RIGHT_EYE
    points = np.asarray(points, np.float32)
    unit = float(np.hypot(*(points[263] - points[33])))
    rims = points[list(names["upper"] + names["lower"])]
    margin = np.array([0.08, 0.14], np.float32) * unit
    height, width = photo_bgr.shape[:2]
    x0, y0 = np.maximum(np.floor(rims.min(0) - margin), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(rims.max(0) + margin) + 1, (width, height)).astype(int).tolist()
    patch = photo_bgr[y0:y1, x0:x1].copy()
    origin = np.array([x0, y0], np.float32)
    columns = np.arange(x1 - x0, dtype=np.float32)
    upper = _rim(points[list(names["upper"])] - origin, columns, unit)
    lower = np.maximum(_rim(points[list(names["lower"])] - origin, columns, unit), upper)
    corners = points[[names["upper"][0], names["upper"][-1]], 0] - x0 + BEYOND * unit * np.array([-1, 1], np.float32)
    lower = lower + _missed_below(patch, lower, corners, unit)
    inner = np.minimum(columns - corners[0], corners[1] - columns)
    taper = smoothstep((inner + 0.02 * unit) / (0.06 * unit)).astype(np.float32)
    closing = _smile_line(lower, corners) + 0.006 * unit * taper
    skin_from = above_gloss(patch, lightest(patch, upper, (-HIDDEN_LEAST, -HIDDEN_MOST), unit), unit)
    lid = lid_skin(patch, skin_from, upper, lower, corners, unit)
    lashes, colour = lowered_lashes(patch, lid, upper, lower, closing, corners, unit)
    iris = points[list(names["iris"])] - origin
    return EyeParts(
        box=np.array([x0, y0, x1, y1], np.int32),
        photo=patch,
        lid=lid,
        upper=upper,
        lower=lower,
        closing=closing.astype(np.float32),
        skin_from=skin_from,
        lid_taper=smoothstep((inner + BESIDE * unit) / (0.8 * BESIDE * unit)).astype(np.float32),
        taper=taper,
        border=_border(patch.shape[:2], 0.05 * unit),
        lashes=lashes,
        lash_colour=colour,
        iris_falloff=_iris_falloff(iris, corners),
        room_px=_room(iris, corners),
        unit_px=np.array(unit, np.float32),
    )


def _rim(contour: NDArray[np.float32], columns: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """(w,) rows of a rim (n, 2) px: straight between landmarks, then smoothed; level beyond the corners."""
    order = np.argsort(contour[:, 0])
    line = np.interp(columns, contour[order, 0], contour[order, 1]).astype(np.float32)
    return blurred(line, 0.012 * unit)


def _smile_line(lower: Array, corners: Array) -> Array:
    """(w,) the line at which lids meet: the lower rim without the bends that landmarks leave in it."""
    columns = np.arange(len(lower), dtype=np.float32)
    inside = (columns > corners[0]) & (columns < corners[1])
    if inside.sum() < 8:
        return lower
    x = (columns - corners.mean()) / (corners[1] - corners[0])
    fitted = np.polyval(np.polyfit(x[inside], lower[inside], 3), x)
    return np.where(inside, fitted, lower).astype(np.float32)


def _missed_below(
    patch: NDArray[np.uint8], lower: NDArray[np.float32], corners: NDArray[np.float32], unit: float
) -> NDArray[np.float32]:
    """(w,) px by which the eye goes on below its landmarks, as it does in drawings: to the first skin. Mostly zero."""
    rows, columns = grid(patch.shape)
    below = (rows - lower) / unit
    deep = (below > MISSED_MOST) & (below < MISSED_MOST + 0.03)
    inner = (columns[0] > corners[0]) & (columns[0] < corners[1])
    if not (deep & inner).any():
        return np.zeros_like(lower)
    skin = np.median(patch[deep & inner], axis=0)
    other = np.abs(patch - skin).max(2) > 0.3 * skin.mean() + 12
    reach = np.where((below >= 0) & (below < MISSED_MOST), other, below < 0).cumprod(0)
    missed = np.clip((reach * (below >= 0)).sum(0), 0, None) * inner
    x = 2 * (columns[0] - corners.mean()) / (corners[1] - corners[0])
    middle = np.abs(x) < 0.5
    if np.quantile(missed[middle], 0.4) < MISSED_LEAST * unit:
        return np.zeros_like(lower)
    # White may pass for skin beside the iris: the rim is taken for an arch.
    arch = np.sqrt(np.clip(1 - x**2, 0, 1))
    return np.asarray(np.quantile(missed[middle], 0.7) * arch, np.float32)


def _iris_falloff(iris: NDArray[np.float32], corners: NDArray[np.float32]) -> NDArray[np.float32]:
    centre, radius = float(iris[0, 0]), _radius(iris)
    stops = [corners[0], centre - 1.1 * radius, centre + 1.1 * radius, corners[1]]
    places = np.maximum.accumulate(np.array([corners[0] - 1, *stops, corners[1] + 1], np.float32))
    return np.stack([places, np.array([0, 0, 1, 1, 0, 0], np.float32)])


def _room(iris: NDArray[np.float32], corners: NDArray[np.float32]) -> NDArray[np.float32]:
    centre, radius = float(iris[0, 0]), _radius(iris)
    return np.maximum([centre - radius - corners[0], corners[1] - centre - radius], 0).astype(np.float32)


def _radius(iris: NDArray[np.float32]) -> float:
    return float(np.hypot(*(iris[1:] - iris[0]).T).mean())


def _border(shape: tuple[int, int], reach: float) -> NDArray[np.float32]:
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) / max(reach, 1) for n in shape)
    return (smoothstep(rows)[:, None] * smoothstep(columns)).astype(np.float32)
