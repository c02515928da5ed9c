"""A pen and an airbrush: smooth outlines, tapering strokes and soft fills on a large canvas.

Pure: arrays in, a picture out. Everything is drawn three times too large and averaged down, so that edges are as clean
as vector graphics.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import splev, splprep


def curve(points: NDArray, count: int = 160, closed: bool = False) -> NDArray[np.float64]:
    """(count, 2) along a smooth line through the points."""
    points = np.asarray(points, float)
    if closed:
        points = np.vstack([points, points[:1]])
    points = points[np.append(True, np.hypot(*np.diff(points, axis=0).T) > 1e-6)]
    spline, _ = splprep(points.T, s=0, per=closed, k=min(3, len(points) - 1))
    return np.stack(splev(np.linspace(0, 1, count), spline), 1)


@dataclass(slots=True)
class Canvas:
    """A large picture (float BGR) that shapes are laid on; coordinates are those of the finished one."""

    side: int
    over: int = 3

    pixels: NDArray = field(init=False)

    def __post_init__(self) -> None:
        self.pixels = np.zeros((self.side * self.over, self.side * self.over, 3), np.float32)

    def mask(self, outline: NDArray, soft_px: float = 0.0, inside: NDArray | None = None) -> NDArray[np.float32]:
        """0..1 within the outline, blurred by `soft_px`, cut to `inside`."""
        mask: NDArray = np.zeros(self.pixels.shape[:2], np.float32)
        cv2.fillPoly(mask, [np.round(outline * self.over * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        if soft_px:  # blur a small copy: the result is smooth anyway
            small = cv2.resize(mask, (self.side, self.side), interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), soft_px)
            mask = cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return mask if inside is None else mask * inside

    def lay(self, mask: NDArray, colour: tuple[int, int, int], strength: float = 1.0) -> None:
        alpha = (mask * strength)[:, :, None]
        self.pixels += alpha * (np.array(colour, np.float32) - self.pixels)

    def fill(self, outline: NDArray, colour: tuple[int, int, int], strength: float = 1.0, soft_px: float = 0.0,
             inside: NDArray | None = None) -> None:  # fmt: skip
        self.lay(self.mask(outline, soft_px, inside), colour, strength)

    def stroke(self, line: NDArray, widths_px: NDArray, colour: tuple[int, int, int], strength: float = 1.0,
               soft_px: float = 0.0, inside: NDArray | None = None) -> None:  # fmt: skip
        """A line (N, 2) as thick as `widths_px` (N,): an ink stroke with a tapering pen."""
        along = np.gradient(line, axis=0)
        normal = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
        half = normal * np.asarray(widths_px)[:, None] / 2
        self.fill(np.vstack([line + half, (line - half)[::-1]]), colour, strength, soft_px, inside)

    def finished(self) -> NDArray:
        small = cv2.resize(self.pixels, (self.side, self.side), interpolation=cv2.INTER_AREA)
        return np.clip(small, 0, 255).astype(np.uint8)


def taper(count: int, width_px: float, start: float = 0.0, end: float = 0.0) -> NDArray[np.float64]:
    """Pen pressure: full in the middle, `start` and `end` shares at the tips."""
    at = np.linspace(0, 1, count)
    share = np.sin(np.pi * at) ** 0.7
    return width_px * np.maximum(share, np.where(at < 0.5, start, end))


def ellipse(centre: NDArray, radii: tuple[float, float], turn: float = 0.0) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    circle = np.stack([np.cos(angle) * radii[0], np.sin(angle) * radii[1]], 1)
    cos, sin = np.cos(turn), np.sin(turn)
    return circle @ np.array([[cos, sin], [-sin, cos]]) + centre
