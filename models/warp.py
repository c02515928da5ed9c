"""Smooth displacement fields on a coarse grid of nodes, and their use: invert, enlarge, resample a picture.
Pure arithmetic on arrays; touches nothing.
A field says, at each rest position, how far it goes; drawing needs the reverse, found by fixed-point iteration.

Nodes sit in the middle of square cells of `step` pixels, so that `cv2.resize` by `step` puts them right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""(rows, columns, 2) float32, x and y in pixels."""

Planes = NDArray[np.float32]
"""(2, rows, columns) float32, all x before all y: cv2 resamples single numbers faster than pairs, and more exactly."""


@dataclass(frozen=True, slots=True)
class Box:
    """Nodes `left`..`right`, `top`..`bottom` (ends excluded) of the grid over a picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.right, self.bottom

    def grown(self, by: int) -> Box:
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def within(self, outer: Box) -> Box:
        """The part inside `outer`."""
        left, top = max(self.left, outer.left), max(self.top, outer.top)
        return Box(left, top, min(self.right, outer.right), min(self.bottom, outer.bottom))

    def relative_to(self, outer: Box) -> Box:
        """The same nodes, counted from the corner of `outer`."""
        left, top = outer.left, outer.top
        return Box(self.left - left, self.top - top, self.right - left, self.bottom - top)

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def pixels(self, step: int) -> tuple[slice, slice]:
        """The same area in pixels."""
        return slice(self.top * step, self.bottom * step), slice(self.left * step, self.right * step)


def box_around(low: NDArray[np.floating], high: NDArray[np.floating], step: int, nodes: int) -> Box:
    """The nodes that cover pixels `low` (x, y) to `high`, inside a grid of `nodes` x `nodes`."""
    left, top = np.clip(np.floor(np.asarray(low) / step), 0, nodes - 2).astype(int)
    right, bottom = np.clip(np.ceil(np.asarray(high) / step), 2, nodes).astype(int)
    return Box(int(left), int(top), int(max(right, left + 2)), int(max(bottom, top + 2)))


def node_positions(box: Box, step: int) -> Field:
    """Pixel coordinates of the nodes of `box`."""
    x = np.arange(box.left, box.right, dtype=np.float32) * step + (step - 1) / 2
    y = np.arange(box.top, box.bottom, dtype=np.float32) * step + (step - 1) / 2
    return np.stack(np.meshgrid(x, y), -1)


def remap(values: NDArray[Any], at: NDArray[np.float32]) -> NDArray[Any]:
    """`values` (h, w, c) at positions `at` (rows, columns, 2) in its own pixels, linearly; the edges hold beyond it."""
    whole: NDArray[Any] = cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return whole


def sample(field: NDArray[np.float32], box: Box, step: int, at: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of `field` (over `box`) at pixel positions `at` (..., 2); beyond the box its edge values hold."""
    shape = at.shape[:-1]
    where = (at.reshape(shape[0], -1, 2) - (step - 1) / 2) / step - np.array([box.left, box.top], np.float32)
    return remap(field, where.astype(np.float32)).reshape(*shape, *field.shape[2:])


def resampled(picture: NDArray[np.uint8], at: Planes) -> NDArray[np.uint8]:
    """`remap` of a picture (h, w, c) by planes."""
    return np.asarray(cv2.remap(picture, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def sample_planes(planes: Planes, at: Planes) -> Planes:
    """Values of `planes`, each linearly, at positions `at` (2, h, w) counted in their columns and rows."""
    out = np.empty((len(planes), *at.shape[1:]), np.float32)
    for plane, into in zip(planes, out, strict=True):
        cv2.remap(plane, at[0], at[1], cv2.INTER_LINEAR, into, cv2.BORDER_REPLICATE)
    return out


def invert(field: Planes, at: Planes, rounds: int) -> Planes:
    """How far `field` took what it brought to `at`: shift with shift = field(at - shift), by fixed-point rounds.

    All in columns and rows of `field`. Converges where the field folds nothing.
    """
    shift = sample_planes(field, at)
    for _ in range(rounds - 1):
        shift = sample_planes(field, at - shift)
    return shift


def enlarge(planes: Planes, step: int) -> Planes:
    """Node values to pixel values."""
    count, rows, columns = planes.shape
    out = np.empty((count, rows * step, columns * step), np.float32)
    for plane, into in zip(planes, out, strict=True):
        cv2.resize(plane, into.shape[::-1], into, interpolation=cv2.INTER_LINEAR)
    return out


def finer(picture: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Picture (h, w, c) at `scale` (1, 2 or 4) times its resolution; [::scale, ::scale] is the picture itself.

    Sampled linearly it stays as sharp as the photo at every fraction of a pixel, at the cost of linear sampling: the
    first doubling makes pixels a little sharper than sinc interpolation would, to make up for the averaging.
    """
    for taps in (HALF_PIXEL_SHARP, _HALF_PIXEL)[: scale.bit_length() - 1]:
        height, width, channels = picture.shape
        before = taps.shape[1] // 2 - 1
        across = cv2.filter2D(picture, -1, taps, anchor=(before, 0), borderType=cv2.BORDER_REPLICATE)
        # Merged channels are columns in turn, joined rows are rows in turn: quicker than to write every other one.
        wide = cv2.merge([picture, across]).reshape(height, -1)
        down = cv2.filter2D(wide, -1, taps.T, anchor=(0, before), borderType=cv2.BORDER_REPLICATE)
        picture = np.asarray(cv2.hconcat([wide, down]), np.uint8).reshape(2 * height, 2 * width, channels)
    return picture


def _half_pixel_taps(reach: int, boost: float) -> NDArray[np.float32]:
    """(1, n) taps that give the values halfway between pixels: windowed sinc, high frequencies raised by `boost`."""
    at = np.arange(-reach + 0.5, reach)
    taps = np.sinc(at) * np.cos(np.pi * at / (2 * reach)) ** 2
    taps /= taps.sum()
    raised = np.pad(taps, 1) + boost * np.convolve(taps, [-0.25, 0.5, -0.25])
    return raised[None].astype(np.float32)


HALF_PIXEL_SHARP, _HALF_PIXEL = _half_pixel_taps(4, 0.2), _half_pixel_taps(3, 0.0)
