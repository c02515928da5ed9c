"""One layer of the picture: a texture, and the fields by which the face's weights move it.
Pure arithmetic on arrays; touches nothing.
A picture resamples its texture once, by one map into which expression and head turn have been merged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.warp import Box, Planes, enlarge, invert, node_positions, resampled, sample_planes

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Group:
    """Weights `rows` (n,), and what each does to the nodes of `box`: fields (n, 2 * h * w), counted in nodes."""

    rows: NDArray[np.intp]
    box: Box
    fields: Array


class Layer:
    """texture: (h, w, 4) uint8, the nodes `shown` every `step` px, each pixel `scale` times as fine. fields: (W, rows,
    columns, 2) px per unit of weight over the nodes of `box`. groups: the weights, those together that are often zero
    together: a group of zeros costs nothing."""

    def __init__(
        self,
        texture: NDArray[np.uint8],
        fields: NDArray[np.floating],
        groups: Sequence[Sequence[int]],
        box: Box,
        shown: Box,
        step: int,
        scale: int,
    ) -> None:
        self.texture, self._shown, self._step, self._scale = texture, shown, step, scale
        # Nodes that no weight moves are neither added up nor inverted: they are a third of the box.
        moving = _moving(fields)
        self._box = _moved(moving, box)
        self._groups = [_group(fields, moving, np.array(rows), box, step) for rows in groups if moving[rows].any()]
        nodes = node_positions(shown.relative_to(self._box), 1)
        self._nodes = np.ascontiguousarray(np.moveaxis(nodes, -1, 0))
        self._columns, self._rows = (
            scale * np.arange(count * step, dtype=np.float32) for count in reversed(shown.shape)
        )

    def draw(self, weights: Array, shift: Planes, rounds: int) -> NDArray[np.uint8]:
        """Pixels (h * step, w * step, 4) of the nodes `shown`; `shift` as in `places`."""
        return resampled(self.texture, self.places(weights, shift, rounds))

    def places(self, weights: Array, shift: Planes, rounds: int) -> Planes:
        """(2, h * step, w * step) where in the texture each pixel comes from.

        shift: (2, h, w) how far the head took what is shown at each node, counted in nodes.
        """
        field = self._field(weights)
        reach = math.ceil(cv2.norm(shift.reshape(2 * len(shift[0]), -1), cv2.NORM_INF)) + 1
        rows, columns = self._box.grown(reach).within(self._shown).relative_to(self._shown).slices
        whole = shift.copy()
        whole[:, rows, columns] += invert(field, self._nodes[:, rows, columns] - shift[:, rows, columns], rounds)
        whole *= -self._step * self._scale
        at = enlarge(whole, self._step)
        at[0] += self._columns
        at[1] += self._rows[:, None]
        return at

    def follow(self, weights: Array, points: Array) -> Array:
        """Where `weights` (W,) take points (n, 2) px of the picture."""
        at = (points.T[:, None] - (self._step - 1) / 2) / self._step - [[[self._box.left]], [[self._box.top]]]
        moved = sample_planes(self._field(weights), np.ascontiguousarray(at, np.float32))
        return points + moved[:, 0].T * np.float32(self._step)

    def _field(self, weights: Array) -> Planes:
        """How far `weights` (W,) take each node of the box that moves, counted in nodes."""
        field = np.zeros((2, *self._box.shape), np.float32)
        for group in self._groups:
            strength = weights[group.rows]
            if strength.any():
                rows, columns = group.box.relative_to(self._box).slices
                field[:, rows, columns] += (strength @ group.fields).reshape(2, *group.box.shape)
        return field


def _moving(fields: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(W, h, w) whether a field moves a node. By the bits of half floats, without their sign: numpy compares these
    slowly, and a loading avatar is waited for."""
    bits = np.ascontiguousarray(fields, np.float16).view(np.uint32)
    return np.asarray((bits & np.uint32(0x7FFF7FFF))[..., 0] != 0)


def _moved(moving: NDArray[np.bool_], box: Box) -> Box:
    """The nodes of `box` that are `moving` in any field (W, h, w), and a ring around them."""
    rows, columns = (np.flatnonzero(moving.any(axis=others)) for others in ((0, 2), (0, 1)))
    first_x, last_x, first_y, last_y = (int(edge) for edge in (columns[0], columns[-1], rows[0], rows[-1]))
    inner = Box(box.left + first_x, box.top + first_y, box.left + last_x + 1, box.top + last_y + 1)
    return inner.grown(1).within(box)


def _group(
    fields: NDArray[np.floating], moving: NDArray[np.bool_], rows: NDArray[np.intp], box: Box, step: int
) -> _Group:
    """Those of the weights `rows` that move anything. moving: (W, h, w), the nodes that each moves."""
    rows = rows[moving[rows].any(axis=(1, 2))]
    moved = _moved(moving[rows], box)
    ys, xs = moved.relative_to(box).slices
    planes = np.moveaxis(fields[rows, ys, xs].astype(np.float32), -1, 1) / np.float32(step)
    return _Group(rows, moved, planes.reshape(len(rows), -1))
