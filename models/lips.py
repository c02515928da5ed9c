"""The line between the lips in a photo: where it runs, how the lips close along it, what shows when they part.
Pure arithmetic on arrays; touches nothing.
Everything near the mouth is said in lip coordinates: `along` 0..1 from corner to corner, `below` pixels under the line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.fit import EYE_OUTER
from models.warp import remap

INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
NOSE_BASE, CHIN = 2, 152
"""Landmarks."""

CLOSINGS = 8
"""Stretches of each lip that can be moved on their own."""

COLUMNS = 38

CLOSING_REACH = 0.24
"""Distance from the lip, in eye distances, up to which skin follows a closing (2.2 cm)."""


@dataclass(frozen=True, slots=True)
class LipLine:
    """points: (38, 2) px from the subject's right corner (left in the picture) to the left one.

    across, down: unit vectors (2,) of the face in the picture. upper_px, lower_px: height of the upper lip with the
    skin up to the nose, and of the lower lip with the chin.
    """

    points: NDArray[np.float32]
    across: NDArray[np.float32]
    down: NDArray[np.float32]
    upper_px: float
    lower_px: float

    @property
    def width_px(self) -> float:
        return float((self.points[-1] - self.points[0]) @ self.across)

    def coordinates(self, at: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`along` and `below` of positions (..., 2). Beyond the corners the line goes on level."""
        local = self.points - self.points[0]
        x, y = local @ self.across, local @ self.down
        order = np.maximum.accumulate(x + np.arange(len(x)) * 1e-4)
        from_corner = at - self.points[0]
        column = from_corner @ self.across
        below = from_corner @ self.down - np.interp(column, order, y)
        return (column / order[-1]).astype(np.float32), below.astype(np.float32)

    def wedge_px(self, along: NDArray[np.float32], upper: bool) -> NDArray[np.float32]:
        """Height of the area around the line in which the two lips' fields differ: an arch from corner to corner."""
        arch = np.sqrt(np.clip(4 * along * (1 - along), 0, 1))
        return (0.85 * self.upper_px if upper else 0.7 * self.lower_px) * arch


def lip_lines(points: NDArray[np.floating]) -> tuple[LipLine, LipLine]:
    """The inner edges of the upper and of the lower lip, from 478 landmarks. They meet in the corners."""
    points = np.asarray(points, np.float64)
    across = points[EYE_OUTER[1]] - points[EYE_OUTER[0]]
    across /= np.hypot(*across)
    down = np.array([-across[1], across[0]])
    upper, lower = (_even(points[list(edge)].astype(np.float64)) for edge in (INNER_UPPER, INNER_LOWER))
    centre = (upper + lower)[COLUMNS // 2] / 2
    above, below = float((centre - points[NOSE_BASE]) @ down), float((points[CHIN] - centre) @ down)
    directions = across.astype(np.float32), down.astype(np.float32)
    return LipLine(upper, *directions, above, below), LipLine(lower, *directions, above, below)


def midway(upper: LipLine, lower: LipLine) -> LipLine:
    """Where closed lips meet."""
    return replace(upper, points=(upper.points + lower.points) / np.float32(2))


def gap_px(upper: LipLine, lower: LipLine) -> NDArray[np.float32]:
    """(38,) pixels between the lips."""
    return np.asarray((lower.points - upper.points) @ upper.down, np.float32)


def _even(edge: NDArray[np.float64]) -> NDArray[np.float32]:
    """(38, 2) evenly along a polyline, its bends rounded."""
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(edge, axis=0).T))]
    at = np.linspace(0, length[-1], COLUMNS)
    even = np.stack([np.interp(at, length, edge[:, i]) for i in (0, 1)], 1)
    padded = np.concatenate([2 * even[:1] - even[2:0:-1], even, 2 * even[-1:] - even[-2:-4:-1]])
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    return np.stack([np.convolve(padded[:, i], kernel, mode="valid") for i in (0, 1)], 1).astype(np.float32)


def closing_amount(upper: LipLine, lower: LipLine, at: NDArray[np.float32], unit_px: float) -> NDArray[np.float32]:
    """(..., 2 * CLOSINGS) how far a position moves when a stretch of the lower (first half) or upper lip moves by 1."""
    along, under_lower = lower.coordinates(at)
    _, under_upper = upper.coordinates(at)
    centres = (np.arange(CLOSINGS) + 0.5) / CLOSINGS
    bump = np.exp(-0.5 * ((along[..., None] - centres) * CLOSINGS / 0.75) ** 2)
    bump *= np.clip(4 * along * (1 - along) * 4, 0, 1)[..., None]
    is_lower = under_lower + under_upper >= 0
    away = np.where(is_lower, under_lower, -under_upper) / (CLOSING_REACH * unit_px)
    reach = np.cos(np.clip(away, 0, 1) * np.pi / 2) ** 2
    low, high = is_lower * reach, ~is_lower * reach
    return np.concatenate([bump * low[..., None], bump * high[..., None]], -1).astype(np.float32)


def refined(line: LipLine, picture: NDArray[np.uint8], reach_px: float) -> LipLine:
    """The line moved to the dark valley between the lips, at most `reach_px` up or down (dynamic programming)."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), reach_px / 4)
    offsets = np.linspace(-reach_px, reach_px, 25)
    at = line.points[:, None] + offsets[None, :, None] * line.down
    value = remap(grey, at.astype(np.float32))
    value = (value - value.mean(1, keepdims=True)) / (value.std() + 1.0)
    cost = value + 0.5 * (offsets / reach_px) ** 2
    cost[[0, -1]] += 4 * (offsets / reach_px) ** 2
    jump = 40.0 * ((offsets[:, None] - offsets[None]) / reach_px) ** 2
    best, back = cost[0], []
    for row in cost[1:]:
        total = best[:, None] + jump
        back.append(total.argmin(0))
        best = total.min(0) + row
    path = [int(best.argmin())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    moved = np.convolve(np.pad(offsets[path[::-1]], 2, mode="edge"), np.ones(5) / 5, mode="valid")
    points = line.points + moved[:, None].astype(np.float32) * line.down
    return replace(line, points=points.astype(np.float32))
