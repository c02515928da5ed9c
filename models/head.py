"""How head and body move the picture, as one displacement field on a coarse grid.
Pure arithmetic on arrays; touches nothing.
The head is the fitted face's depth turned about the top of the spine; what surrounds it follows less and less.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from models.identity import HEAD_STEP, Identity
from models.warp import Box, Planes, enlarge, invert, node_positions, sample_planes

Array = NDArray[np.float32]

ROUNDS = 4
"""Fixed-point rounds of the inverse."""


class Head:
    """Turns and shifts of one identity's picture.

    basis: (5, M * M) how much of a turn's three columns, of the head's shift and of the body's each node does.
    """

    def __init__(self, identity: Identity) -> None:
        rows, columns = identity.depth_px.shape
        box = Box(0, 0, columns, rows)
        self._step = HEAD_STEP * identity.step_px
        self._centre_px, self._unit_px = identity.centre_px, np.float32(identity.unit_px)
        depth, hold, body = (
            np.asarray(values, np.float32) for values in (identity.depth_px, identity.hold, identity.body)
        )
        x, y = np.moveaxis(node_positions(box, self._step) - self._centre_px, -1, 0)
        # The field is linear in a motion's numbers: what each of them does is multiplied out here, once.
        self.basis = np.stack([hold * x, hold * y, hold * depth, hold, body]).reshape(5, -1)
        self._shape = (2, rows, columns)
        self._nodes = np.moveaxis(node_positions(box, 1), -1, 0).copy()

    def field(self, motion: FaceMotion) -> Planes:
        """(2, M, M) px, how far head and body take each node of the photo."""
        turn = turned(motion.head)
        body = motion.body * np.array([1, -1], np.float32)
        shares = np.column_stack([turn, self._unit_px * motion.head[3:5], self._unit_px * body])
        return (shares.astype(np.float32) @ self.basis).reshape(self._shape)

    def undone(self, field: Planes) -> Planes:
        """(2, N, N) how far each node of the displacement grid was moved by `field`, counted in these nodes."""
        shift = invert(field / np.float32(self._step), self._nodes, ROUNDS)
        return enlarge(shift * np.float32(HEAD_STEP), HEAD_STEP)

    def shift(self, field: Planes, points: Array) -> Array:
        """How far `field` takes points (n, 2) px of the photo."""
        at = (points.T[:, None] - (self._step - 1) / 2) / self._step
        return sample_planes(field, np.ascontiguousarray(at, np.float32))[:, 0].T

    def near(self, field: Planes, motion: FaceMotion, point: Array) -> Array:
        """(2, 3) what `motion`, whose field is `field`, does near a point (2,) px of the photo, as an affine map."""
        turn = turned(motion.head)[:, :2]
        shift = self.shift(field, point[None])[0]
        return np.column_stack([np.eye(2, dtype=np.float32) + turn, shift - turn @ point])


def turned(head: Array) -> Array:
    """(2, 3) what the head's motion (6,), its shift left out, adds to a place (x, y, depth) seen from its centre."""
    yaw, pitch, roll, *_, zoom = head.tolist()
    cos, sin = math.cos, math.sin
    around_y = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
    around_x = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
    around_z = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
    return ((around_z @ around_x @ around_y)[:2] * math.exp(zoom) - np.eye(2, 3)).astype(np.float32)


def moves(motion: FaceMotion) -> bool:
    """Whether head or body are not as in the photo."""
    return bool(motion.head.any() or motion.body.any())
