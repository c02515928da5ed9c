"""The upper teeth that a smiling photo shows: found between the lips and cut out, so that the avatar keeps them.
Pure arithmetic on arrays; touches nothing.
Down each column from the upper lip, teeth are bright and hardly red; the first dark or red pixel ends them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.lips import INNER_LOWER, INNER_UPPER, LipLine
from models.warp import remap

LEAST_HEIGHT, MOST_HEIGHT = 0.022, 0.10
"""Height of a row of teeth, in eye distances, that is worth keeping, and that is still one row."""

LEAST_WIDTH = 0.16

MOST_RAGGED = 0.010
"""How far the row's end may be from a smooth curve, in eye distances, before it is taken for no row of teeth."""

LIP_SEARCH, LIP_WITHIN = 0.045, (0.05, 0.09)
"""How far beyond its landmarks a lip may begin, and where lips show their own colour, in eye distances."""


@dataclass(frozen=True, slots=True)
class OwnTeeth:
    """Teeth cut from a photo.

    picture: (h, w, 4) premultiplied BGRA uint8; its top left pixel is `corner` (2,) of the photo. ends: (w,) rows at
    which they end in it, at their edge or behind the lower lip. edge_y: row of the photo at which the middle ones end.
    colour: (3,) BGR of teeth in full light.
    """

    picture: NDArray[np.uint8]
    corner: NDArray[np.float32]
    ends: NDArray[np.float32]
    edge_y: float
    colour: NDArray[np.float32]


def find_teeth(photo_bgr: NDArray[np.uint8], points: NDArray[np.floating]) -> OwnTeeth | None:
    """The upper row in a photo (h, w, 3) with landmarks (478, 2) px; None if it does not show enough of one."""
    points = np.asarray(points, np.float32)
    unit = float(np.hypot(*(points[263] - points[33])))
    upper, lower = points[list(INNER_UPPER)], points[list(INNER_LOWER)]
    both = np.concatenate([upper, lower])
    x0, y0 = (np.floor(both.min(0)).astype(int) - 2).tolist()
    x1, y1 = (np.ceil(both.max(0)).astype(int) + 3).tolist()
    height, width = photo_bgr.shape[:2]
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        return None
    patch = photo_bgr[y0:y1, x0:x1].astype(np.float32)
    columns = np.arange(x1 - x0, dtype=np.float32)
    rows = np.arange(y1 - y0, dtype=np.float32)[:, None]
    top = np.interp(columns, upper[:, 0] - x0, upper[:, 1] - y0) + 0.006 * unit
    bottom = np.interp(columns, lower[:, 0] - x0, lower[:, 1] - y0) - 0.004 * unit
    inside = (rows > top) & (rows < np.minimum(bottom, top + MOST_HEIGHT * unit))
    if inside.sum() < 30:
        return None
    tooth = inside & _toothlike(patch, inside)
    # From the lip down: a row or two of the lip's shadow may come first.
    started = np.cumsum(tooth, 0) > 0
    near_top = rows - top < 0.02 * unit
    ended = started & ~cv2.morphologyEx(tooth.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(bool)
    row = tooth & (np.cumsum(ended, 0) == 0) & (np.cumsum(tooth & near_top, 0) > 0)
    tall = row.sum(0)
    wide = tall > LEAST_HEIGHT * unit
    middle = np.abs(columns - (points[78, 0] + points[308, 0]) / 2 + x0) < 0.06 * unit
    if wide.sum() < LEAST_WIDTH * unit or not (wide & middle).any():
        return None
    last = _calm((row * rows).max(0), wide, round(0.012 * unit))
    curve = np.polyval(np.polyfit(columns[wide], last[wide], 2), columns[wide])
    if np.sqrt(np.mean(np.square(last[wide] - curve))) > MOST_RAGGED * unit:
        return None
    edge_y = float(np.median(last[wide & middle]))
    # All between the outermost teeth is kept, dark gaps and gums too.
    across = np.flatnonzero(wide)
    within = (columns >= across[0]) & (columns <= across[-1])
    alpha = cv2.GaussianBlur((within & inside & (rows <= last)).astype(np.float32), (0, 0), 0.7)[..., None]
    colour = np.quantile(patch[row & wide], 0.65, axis=0)
    picture = np.concatenate([patch * alpha, 255 * alpha], 2)
    return OwnTeeth(
        np.round(picture).astype(np.uint8), np.array([x0, y0], np.float32), last, y0 + edge_y, colour.astype(np.float32)
    )


def clear_of_teeth(photo_bgr: NDArray[np.uint8], lips: tuple[LipLine, LipLine], unit: float) -> tuple[LipLine, LipLine]:
    """Inner edges of parted lips, moved outwards to where the photo shows lip, not teeth or the dark between."""
    upper, lower = lips
    share = np.linspace(0.2, 0.8, 7, dtype=np.float32)[:, None, None]
    inside = remap(photo_bgr, upper.points * (1 - share) + lower.points * share).reshape(-1, 3).astype(np.float32)
    light = inside @ np.array([0.114, 0.587, 0.299], np.float32)
    others = [inside[light >= np.quantile(light, 0.8)].mean(0), inside[light <= np.quantile(light, 0.15)].mean(0)]
    return _on_lip(photo_bgr, upper, -1.0, others, unit), _on_lip(photo_bgr, lower, 1.0, others, unit)


def _on_lip(
    photo: NDArray[np.uint8], line: LipLine, side: float, others: list[NDArray[np.float32]], unit: float
) -> LipLine:
    """One lip's edge moved along `side` * down to the first place that looks more like that lip than like `others`."""
    offsets = np.linspace(0, LIP_SEARCH * unit, 13, dtype=np.float32)
    out = side * line.down

    def seen(at: NDArray[np.float32]) -> NDArray[np.float32]:
        return remap(photo, (line.points[:, None] + at[None, :, None] * out).astype(np.float32)).astype(np.float32)

    own = np.median(seen(np.linspace(*LIP_WITHIN, 5, dtype=np.float32) * unit), axis=(0, 1))
    found = seen(offsets)
    far = np.min([_apart(found, other) for other in others], axis=0)
    lip = _apart(found, own) < far
    # A lip goes on: single pixels of its colour between teeth do not count.
    steady = np.cumprod(lip[:, ::-1], axis=1)[:, ::-1].astype(bool)
    first = np.where(steady.any(1), offsets[steady.argmax(1)], 0.0)
    ends = np.minimum(np.arange(len(first)), np.arange(len(first))[::-1])
    widest = np.max(np.lib.stride_tricks.sliding_window_view(np.pad(first, 1, mode="edge"), 3), axis=1)
    moved = np.convolve(np.pad(widest, 2, mode="edge"), np.ones(5) / 5, mode="valid") * np.clip(ends / 3, 0, 1)
    return replace(line, points=(line.points + moved[:, None] * out).astype(np.float32))


def _apart(colours: NDArray[np.float32], other: NDArray[np.floating]) -> NDArray[np.float32]:
    """(...) distance between colours (..., 3), hue counting more than light."""
    light = colours.mean(-1) - other.mean()
    hue = (colours + 10) / (colours.mean(-1, keepdims=True) + 10) - (other + 10) / (other.mean() + 10)
    return np.asarray(np.hypot(0.6 * light, 160 * np.linalg.norm(hue, axis=-1)), np.float32)


def _toothlike(patch: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) bright for the mouth, and far less red than its reddest parts."""
    light = patch @ np.array([0.114, 0.587, 0.299], np.float32)
    redness = (patch[..., 2] + 8) / (patch[..., 1] + 8)
    bright = np.quantile(light[inside], 0.9)
    return np.asarray((light > max(0.55 * float(bright), 70.0)) & (redness < 1.38), bool)


def _calm(edge: NDArray[np.floating], known: NDArray[np.bool_], reach: int) -> NDArray[np.float32]:
    """(w,) an edge with the jags of single columns taken out: medians over 2 * reach + 1 known columns."""
    at = np.arange(len(edge))
    filled = np.pad(np.interp(at, at[known], edge[known]), reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(filled, 2 * reach + 1)
    return np.median(windows, axis=1).astype(np.float32)
