"""Draws a face as it moves: (identity, motion) to a picture.
Pure: a picture depends on the motion alone, so hour three looks like minute one.
Expression and head turn become one map per layer; the photo is resampled once, the mouth's inside put between the lips.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, HEAD_NAMES, FaceMotion
from models.compositor import over, polygon_alpha
from models.identity import Identity
from models.warp import Box, doubled, enlarge, invert, node_positions, resample, sample

MOUTH_CLOSE = ARKIT_INDEX["mouthClose"]
LOWER_SHARE = 0.65
"""How much of a closing the lower lip does; the rest is the upper lip's."""

ROUNDS, MANY_ROUNDS = 4, 40
INNER_LIP = 0.022
"""Most of a lip's inside that shows when the mouth opens, in eye distances."""


class FrameGenerator:
    """Draws one identity. Ready after construction (about 0.1 s); `render` keeps nothing."""

    def __init__(self, identity: Identity, interior=None, eyes=None) -> None:
        self.identity = identity
        self._interior, self._eyes = interior, eyes
        step = identity.step_px
        self.size_px = identity.picture.shape[0]
        nodes = self.size_px // step
        self._step = step
        self._all = Box(0, 0, nodes, nodes)
        self._base_box, self._upper_box = Box(*identity.base_box.tolist()), Box(*identity.upper_box.tolist())
        self._base_fields = identity.base_fields.astype(np.float32).reshape(len(identity.base_fields), -1)
        self._upper_fields = identity.upper_fields.astype(np.float32).reshape(len(identity.upper_fields), -1)
        opaque = np.full((*identity.picture.shape[:2], 1), 255, np.uint8)
        self._base_2x = doubled(np.concatenate([identity.base_texture, opaque], 2))
        self._upper_2x = doubled(identity.upper_texture)
        self._nodes = node_positions(self._all, step)
        self._pixels = node_positions(Box(0, 0, self.size_px, self.size_px), 1)
        self._depth = np.ascontiguousarray(
            np.stack([identity.depth_px.astype(np.float32), identity.hold.astype(np.float32)], -1)
        )

    def render(self, motion: FaceMotion) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 BGR. At rest it is `identity.picture`, bit for bit."""
        if not motion.weights.any() and not motion.head.any():
            return self.identity.picture.copy()
        return self._drawn(motion, ROUNDS)

    def drawn_closed(self, weights: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(S, S, 3) like `render`, for changes so large that they need more rounds: a wide open mouth shut."""
        return self._drawn(FaceMotion(weights, np.zeros(len(HEAD_NAMES), np.float32)), MANY_ROUNDS)

    def _drawn(self, motion: FaceMotion, rounds: int) -> NDArray[np.uint8]:
        weights = self._with_closings(motion.weights)
        before_head = self._before_head(motion.head)
        base = self._base_layer(weights, before_head, rounds)
        return self._with_mouth(base, weights, motion, before_head, rounds)

    def _edges(self, weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        own = self.identity
        upper = own.upper_line + np.tensordot(weights, own.upper_contour, 1)
        return upper, own.lower_line + np.tensordot(weights, own.lower_contour, 1)

    def follow(self, weights: NDArray[np.float32], points: NDArray[np.float32], upper: bool) -> NDArray[np.float32]:
        """Where `weights` (52,) take points (n, 2) px of the photo that lie on the upper lip, or elsewhere."""
        box, fields = (self._upper_box, self._upper_fields) if upper else (self._base_box, self._base_fields)
        field = (self._with_closings(weights) @ fields).reshape(*box.shape, 2)
        return points + sample(field, box, self._step, points[None])[0]

    def lips(self, weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Inner edges (n, 2) px of the upper and of the lower lip at `weights` (52,), before the head turns."""
        return self._edges(self._with_closings(weights))

    def _with_closings(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(W,) the 52 weights and the closings that leave the gap which `mouthClose` asks for."""
        own = self.identity
        count = len(weights)
        gap = self._gap(weights, count)
        wanted = np.maximum(gap, 0) * (1 - weights[MOUTH_CLOSE])
        needed = own.closing @ (gap - wanted)
        half = len(needed) // 2
        shares = np.concatenate([-LOWER_SHARE * needed[:half], (1 - LOWER_SHARE) * needed[half:]])
        return np.concatenate([weights, shares]).astype(np.float32)

    def _gap(self, weights: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """(n,) pixels between the lips along the line."""
        own = self.identity
        apart = own.lower_contour[:count] - own.upper_contour[:count]
        return (own.lower_line - own.upper_line) @ own.lip_down + np.tensordot(weights, apart @ own.lip_down, 1)

    def _head_shift(self, at: NDArray[np.float32], head: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far the head's turn moves picture positions `at` (..., 2)."""
        own = self.identity
        yaw, pitch, roll, right, down, zoom = (float(v) for v in head)
        around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        around_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        around_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        turn = ((around_z @ around_x @ around_y)[:2] * np.exp(zoom)).astype(np.float32)
        turn[:, :2] -= np.eye(2, dtype=np.float32)
        depth = sample(self._depth, self._all, self._step, at)
        shift = (at - own.centre_px) @ turn[:, :2].T
        shift += depth[..., :1] * turn[:, 2]
        shift += np.array([right, down], np.float32) * np.float32(own.unit_px)
        return shift * depth[..., 1:]

    def _before_head(self, head: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, N, 2) where each node of the shown picture was before the head turned."""
        at = self._nodes
        if head.any():
            for _ in range(3):
                at = self._nodes - self._head_shift(at, head)
        return at

    def _rest_of(self, fields, box: Box, weights, at, rounds):
        field = (weights @ fields).reshape(*box.shape, 2)
        return field, invert(field, box, self._step, at, rounds)

    def _base_layer(self, weights, before_head, rounds):
        _, rest = self._rest_of(self._base_fields, self._base_box, weights, before_head, rounds)
        at = enlarge(rest - self._nodes, self._step) + self._pixels
        return cv2.cvtColor(resample(self._base_2x, at), cv2.COLOR_BGRA2BGR)

    def _with_mouth(self, frame, weights, motion, before_head, rounds):
        own = self.identity
        upper, lower = self._edges(weights)
        gap = np.maximum((lower - upper) @ own.lip_down, 0)
        inner = np.minimum(0.25 * gap, INNER_LIP * own.unit_px)[:, None] * own.lip_down
        upper, lower = upper + inner, lower - inner
        if motion.head.any():
            upper, lower = (p + self._head_shift(p[None], motion.head)[0] for p in (upper, lower))
        down = own.lip_down
        # Upper-lip layer, its nodes around the place where the mouth is now.
        box = self._upper_box
        _, rest = self._rest_of(self._upper_fields, box, weights, np.ascontiguousarray(before_head[box.slices]), rounds)
        area = box.pixels(self._step)
        at = enlarge(rest - self._nodes[box.slices], self._step) + self._pixels[area]
        lip = resample(self._upper_2x, at)
        origin = np.array([area[1].start, area[0].start], np.float32)
        shape = lip.shape[:2]
        region = frame[area]
        open_px = np.maximum((lower - upper) @ down, 0)
        if open_px.max() > 0.3:
            tuck = np.minimum(open_px, 2.0)[:, None] * down
            hole = polygon_alpha(np.concatenate([upper - tuck, lower[::-1]]) - origin, shape)
            if self._interior is not None:
                inside = self._interior.render(
                    motion.weights,
                    upper,
                    lower,
                    (int(origin[0]), int(origin[1]), int(origin[0]) + shape[1], int(origin[1]) + shape[0]),
                )
            else:
                inside = np.full_like(region, (25, 20, 45))
            over(region, inside, hole)
        above = np.concatenate([upper, [upper[-1] - 500 * down, upper[0] - 500 * down]]) - origin
        over(region, lip[..., :3], polygon_alpha(above, shape) * (lip[..., 3] / np.float32(255)))
        return frame
