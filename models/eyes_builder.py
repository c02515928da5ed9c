"""Prepares one eye of a photo for `eyes`: where its rims run, the skin of its lid, lowered lashes.
Pure arithmetic on arrays; touches nothing.
The lid is coloured from the skin above the lashes to the skin below the eye; its grain comes from below the eye, where
no lashes grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

RIM = 0.035
"""Height of the upper rim with its lashes, in eye distances."""

COVERED = 0.055
"""How far above the upper rim a shut lid's skin begins: past liner and shadow of the lashes."""

MISSED_LEAST, MISSED_MOST = 0.02, 0.07
"""How much of an eye below its landmarks, in eye distances, is believed to be eye and not lashes."""

UNDER = 0.02
"""Height of the lower rim with its lashes."""

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
    closing: (w,) rows of both rims and of the line at which they meet. taper: (w,) 1 in the eye, 0 beyond its corners.
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
    corners = points[[names["upper"][0], names["upper"][-1]], 0] - x0
    lower = lower + _missed_below(patch, lower, corners, unit)
    inner = np.minimum(columns - corners[0], corners[1] - columns)
    taper = _smooth((inner + 0.02 * unit) / (0.06 * unit)).astype(np.float32)
    closing = lower + 0.006 * unit * taper
    lid = _lid_skin(patch, upper, lower, unit)
    lashes, colour = _lowered_lashes(patch, lid, upper, lower, closing, corners, unit)
    iris = points[list(names["iris"])] - origin
    return EyeParts(
        box=np.array([x0, y0, x1, y1], np.int32),
        photo=patch,
        lid=lid,
        upper=upper,
        lower=lower,
        closing=closing.astype(np.float32),
        taper=taper,
        border=_border(patch.shape[:2], 0.05 * unit),
        lashes=lashes,
        lash_colour=colour,
        iris_falloff=_iris_falloff(iris, corners),
        room_px=_room(iris, corners),
        unit_px=np.array(unit, np.float32),
    )


def grid(shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) row and column of each pixel."""
    height, width = shape[:2]
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return rows.astype(np.float32), columns.astype(np.float32)


def _rim(contour: NDArray[np.float32], columns: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """(w,) rows of a rim (n, 2) px: straight between landmarks, then smoothed; level beyond the corners."""
    order = np.argsort(contour[:, 0])
    line = np.interp(columns, contour[order, 0], contour[order, 1]).astype(np.float32)
    return _blurred(line, 0.012 * unit)


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
    middle = np.abs(columns[0] - corners.mean()) < 0.3 * (corners[1] - corners[0])
    if np.median(missed[middle]) < MISSED_LEAST * unit:
        return np.zeros_like(lower)
    return _blurred(missed.astype(np.float32), 0.02 * unit)


def _blurred(line: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """(w, ...) smoothed along the first axis, its ends held."""
    flat = np.asarray(line, np.float32).reshape(len(line), -1).T.copy()
    soft = cv2.GaussianBlur(flat, (0, 0), sigmaX=max(sigma, 0.3), sigmaY=1e-3, borderType=cv2.BORDER_REPLICATE)
    return soft.T.reshape(line.shape).astype(np.float32)


def _lid_skin(
    patch: NDArray[np.uint8], upper: NDArray[np.float32], lower: NDArray[np.float32], unit: float
) -> NDArray[np.uint8]:
    """(h, w, 3) the shut lid: skin colours from both sides of the eye, rounded like the ball beneath."""
    rows, columns = grid(patch.shape)

    def skin_at(row: NDArray[np.float32]) -> NDArray[np.float32]:
        found = cv2.remap(
            patch, columns[:1], row[None].astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return found[0].astype(np.float32)

    over = np.mean([skin_at(upper - k * RIM * unit) for k in (1.5, 1.8, 2.1)], axis=0)
    under = np.mean([skin_at(lower + k * UNDER * unit) for k in (1.6, 2.2, 2.8)], axis=0)
    over, under = _blurred(over, 0.05 * unit), _blurred(under, 0.05 * unit)
    first, last = upper - COVERED * unit, lower + UNDER * unit
    down = ((rows - first) / np.maximum(last - first, 1))[..., None].clip(0, 1)
    lid = over * (1 - down) + under * down
    # Rounded: lighter across the middle of the ball, darker under the fold and towards the lashes.
    middle = np.interp(columns[0], [0, len(upper) / 2, len(upper)], [0, 1, 0])
    lid *= 1 + 0.05 * (middle * np.sin(np.pi * down[..., 0]) ** 2)[..., None]
    fold = np.exp(-0.5 * ((rows - (upper - 0.8 * RIM * unit)) / (0.014 * unit)) ** 2)
    lid *= 1 - 0.06 * fold[..., None]
    # Grain of the skin below the eye, mirrored about the lower rim.
    mirrored = lower + UNDER * unit + np.abs(lower - rows) * 0.7
    grain_source = patch.astype(np.float32)
    grain_source -= cv2.GaussianBlur(grain_source, (0, 0), 0.02 * unit)
    grain = cv2.remap(
        grain_source, columns, mirrored.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.round(lid + 0.8 * grain.clip(-7, 7)).clip(0, 255).astype(np.uint8)


def _lowered_lashes(
    patch: NDArray[np.uint8],
    lid: NDArray[np.uint8],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    closing: NDArray[np.float32],
    corners: NDArray[np.float32],
    unit: float,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Coverage (h, w) of the line between shut lids and its lashes, and their colour, that of the photo's own rim."""
    rows, columns = grid(patch.shape)
    rim = (np.abs(rows - upper + 0.02 * unit) < 0.028 * unit) & (columns > corners[0]) & (columns < corners[1])
    dark = patch[rim].astype(np.float32) if rim.any() else np.full((1, 3), 60, np.float32)
    colour = dark[dark.sum(1) <= np.quantile(dark.sum(1), 0.12)].mean(0)
    skin = lid[rim].astype(np.float32).mean(0) if rim.any() else np.full(3, 120, np.float32)
    strength = float(np.clip(1.3 * (1 - colour.mean() / max(float(skin.mean()), 1)), 0.4, 0.78))
    scale = 4
    fine = np.zeros((patch.shape[0] * scale, patch.shape[1] * scale), np.uint8)
    span = corners[1] - corners[0]
    random = np.random.default_rng(7)
    for place in np.linspace(0.06, 0.97, 34):
        x = corners[0] + place * span + random.normal(0, 0.004) * unit
        y = float(np.interp(x, columns[0], closing))
        side = 2 * place - 1
        length = (0.016 + 0.022 * np.sin(np.pi * place) + 0.004 * random.random()) * unit
        tip = x + (0.55 * side + 0.1 * random.normal()) * length, y + length * (1 - 0.25 * abs(side))
        start, end = ((np.array(p) + 0.5) * scale * 16 for p in ((x, y), tip))
        cv2.line(
            fine,
            start.astype(int).tolist(),
            end.astype(int).tolist(),
            150,
            max(1, round(0.004 * unit * scale)),
            cv2.LINE_AA,
            4,
        )
    strokes = cv2.resize(fine, patch.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    soft = cv2.GaussianBlur(strokes, (0, 0), 0.004 * unit)
    inner = np.minimum(columns - corners[0], corners[1] - columns) / (0.25 * span)
    thickness = 0.004 * unit * (1 + np.clip(inner, 0, 1))
    line = np.exp(-0.5 * ((rows - closing) / thickness) ** 2) * np.clip(inner * 3 + 0.25, 0, 1)
    alpha = strength * np.clip(line + 0.55 * soft, 0, 1)
    return np.round(255 * alpha).astype(np.uint8), colour.astype(np.float32)


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
    return (_smooth(rows)[:, None] * _smooth(columns)).astype(np.float32)


def _smooth(x: NDArray[np.floating]) -> NDArray[np.floating]:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
