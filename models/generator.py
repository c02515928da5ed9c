"""Draws a face as it moves: (identity, motion) to a picture.
Pure: a picture depends on the motion alone, so hour three looks like minute one.
Expression and head turn become one map per layer; the photo is resampled once, the mouth's inside put between the lips.

Order of drawing: base layer (all but the upper lip), inside of the mouth, upper-lip layer.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, HEAD_NAMES, FaceMotion
from models.compositor import over, polygon_alpha
from models.identity import HEAD_STEP, Identity
from models.warp import Box, Field, box_around, enlarge, finer, invert, node_positions, remap, sample

Array = NDArray[np.float32]

MOUTH_CLOSE = ARKIT_INDEX["mouthClose"]
LOWER_SHARE = 0.65
"""How much of a closing the lower lip does; the rest is the upper lip's."""

SEALED, CLOSING_ROUNDS = 0.94, 2
"""`mouthClose` from which lips touch; rounds in which the closings, each smooth along the lip, are made to add up."""

PRESSED = 0.008
"""How far sealed lips are pressed into each other, in eye distances: the shadow between lips at rest gets thinner."""

ROUNDING = [ARKIT_INDEX["mouthPucker"], ARKIT_INDEX["mouthFunnel"]]
FULLY_ROUND, ALWAYS_ROUND = 0.7, 0.35
"""Sum of these weights from which the opening is an ellipse, and how far it is one in any case."""

ROUNDS, MANY_ROUNDS = 4, 40
"""Fixed-point rounds of the inverse warp: for speech, and for shutting a wide open mouth at enrolment."""

HEAD_ROUNDS = 4

MARGIN_NODES = 24
"""How far beyond its rest a layer's area is searched for pixels of the moved head."""

CUT_UPPER, INNER_LOWER = 0.010, 0.02
"""When the mouth opens: most of the shadow under the upper lip that is cut off, and most of the lower lip's inside that
shows, in eye distances."""

INNER_SHARE = 0.25
"""Share of the gap that is cut off or shown until then."""

SHADOW_GONE = 0.03
"""Gap in eye distances from which the shadow between the lips no longer lies on the lower one."""

LEAST_GAP_PX = 0.3

EYE_REACH, EYE_SCALE = 0.16, 2
"""How far an eye may be from its place in the photo, in eye distances; how much finer than the photo it is drawn."""

FINEST_PX = 640
"""Largest picture whose textures are kept at four times its resolution; 32 MiB at 512, above it twice must do."""


class FrameGenerator:
    """Draws one identity. Ready after construction (about 0.1 s); `render` keeps nothing between frames."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        step = identity.step_px
        self.size_px = identity.picture.shape[0]
        nodes = self.size_px // step
        self._step = step
        self._all = Box(0, 0, nodes, nodes)
        self._base_box, self._upper_box = Box(*identity.base_box.tolist()), Box(*identity.upper_box.tolist())
        self._base_fields = identity.base_fields.astype(np.float32).reshape(len(identity.base_fields), -1)
        self._upper_fields = identity.upper_fields.astype(np.float32).reshape(len(identity.upper_fields), -1)
        opaque = np.full((*identity.picture.shape[:2], 1), 255, np.uint8)
        self._scale = 4 if self.size_px <= FINEST_PX else 2
        self._base_texture = finer(np.concatenate([identity.base_texture, opaque], 2), self._scale)
        self._upper_texture = finer(identity.upper_texture[self._upper_box.pixels(step)], self._scale)
        self._lit_texture = finer(identity.lit_texture, self._scale)
        self._nodes = node_positions(self._all, step)
        self._all_pixels, self._upper_pixels = (
            self._scale * node_positions(Box(0, 0, columns * step, rows * step), 1)
            for rows, columns in (self._all.shape, self._upper_box.shape)
        )
        along = np.linspace(0, np.pi, len(identity.upper_line), dtype=np.float32)
        self._ellipse = np.sqrt(np.clip(np.sin(along), 0, 1))
        self._head_step = HEAD_STEP * step
        self._head_box = Box(0, 0, *identity.depth_px.shape[::-1])
        self._head_nodes = node_positions(self._head_box, self._head_step)
        self._head = np.stack([identity.depth_px, identity.hold, identity.body], -1).astype(np.float32)

    def render(self, motion: FaceMotion) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 BGR. At rest it is `identity.picture`, bit for bit."""
        if not motion.weights.any() and not _moves(motion):
            return self.identity.picture.copy()
        return self._drawn(motion, ROUNDS)

    def render_far(self, weights: Array) -> NDArray[np.uint8]:
        """(S, S, 3) like `render`, slower, for `weights` (52,) that move the picture too far for it."""
        return self._drawn(FaceMotion(weights, np.zeros(len(HEAD_NAMES), np.float32)), MANY_ROUNDS)

    def follow(self, weights: Array, points: Array, upper: bool) -> Array:
        """Where `weights` (52,) take points (n, 2) px of the photo, which lie on the upper lip or elsewhere."""
        box, fields = (self._upper_box, self._upper_fields) if upper else (self._base_box, self._base_fields)
        field = (self._with_closings(weights) @ fields).reshape(*box.shape, 2)
        return points + sample(field, box, self._step, points[None])[0]

    def lips(self, weights: Array) -> tuple[Array, Array]:
        """Inner edges (n, 2) px of the upper and of the lower lip at `weights` (52,), before the head turns."""
        return self._edges(self._with_closings(weights))

    def _drawn(self, motion: FaceMotion, rounds: int) -> NDArray[np.uint8]:
        weights = self._with_closings(motion.weights)
        before_head = self._before_head(motion)
        base, at = self._layer(
            self._base_texture, self._base_fields, self._base_box, self._all, weights, before_head, rounds
        )
        frame = np.asarray(cv2.cvtColor(base, cv2.COLOR_BGRA2BGR), np.uint8)
        self._draw_eyes(frame, motion.weights, at)
        self._draw_mouth(frame, at, weights, motion, before_head, rounds)
        return frame

    def _draw_eyes(self, frame: NDArray[np.uint8], weights: Array, at: Field) -> None:
        """Draws on the base layer the eyes as `weights` (52,) have them; `at`: where its pixels lie in the texture."""
        for corners, patch in self.identity.eyes.render(weights) if self.identity.eyes is not None else ():
            low, high = np.array(corners[:2], np.float32), np.array(corners[2:], np.float32)
            reach = EYE_REACH * self.identity.unit_px
            region = box_around(low - reach, high + reach, self._step, self._all.right).pixels(self._step)
            inside = at[region] * np.float32(EYE_SCALE / self._scale) - low * EYE_SCALE
            x, y = inside[..., 0], inside[..., 1]
            last_x, last_y = (high - low - 1) * EYE_SCALE
            covered = (x >= 0) & (y >= 0) & (x <= last_x) & (y <= last_y)
            np.copyto(frame[region], remap(finer(patch, EYE_SCALE), inside), where=covered[..., None])

    def _with_closings(self, weights: Array) -> Array:
        """(W,) the 52 weights and the closings that leave the gap which `mouthClose` and rounding ask for.

        Lips part like an ellipse, rounded ones most; the 3D face opens to a wedge at the corners.
        """
        own = self.identity
        upper, lower = self._edges(np.concatenate([weights, np.zeros(len(own.closing), np.float32)]))
        gap = (lower - upper) @ own.lip_down
        rounding = np.clip(ALWAYS_ROUND + (1 - ALWAYS_ROUND) * weights[ROUNDING].sum() / FULLY_ROUND, 0, 1)
        ellipse = np.maximum(gap, gap.max() * self._ellipse)
        close = float(weights[MOUTH_CLOSE])
        wanted = np.maximum(gap + rounding * (ellipse - gap), 0) * max(0.0, 1 - close / SEALED)
        wanted -= PRESSED * own.unit_px * self._ellipse * max(0.0, (close - SEALED) / (1 - SEALED))
        moved = np.concatenate([weights, np.zeros(len(own.closing), np.float32)]).astype(np.float32)
        for _ in range(CLOSING_ROUNDS):
            needed = own.closing @ (gap - wanted)
            half = len(needed) // 2
            moved[len(weights) :] += np.concatenate([-LOWER_SHARE * needed[:half], (1 - LOWER_SHARE) * needed[half:]])
            upper, lower = self._edges(moved)
            gap = (lower - upper) @ own.lip_down
        return moved

    def _edges(self, weights: Array) -> tuple[Array, Array]:
        own = self.identity
        upper = own.upper_line + np.tensordot(weights, own.upper_contour, 1)
        return upper, own.lower_line + np.tensordot(weights, own.lower_contour, 1)

    def _turn(self, head: Array) -> Array:
        """(2, 3) what the head's motion, its shift left out, adds to a place (x, y, depth) seen from its centre."""
        yaw, pitch, roll, *_, zoom = head.tolist()
        around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        around_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        around_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return ((around_z @ around_x @ around_y)[:2] * np.exp(zoom) - np.eye(2, 3)).astype(np.float32)

    def _shift(self, at: Array, motion: FaceMotion) -> Array:
        """How far head and body take picture positions `at` (h, w, 2)."""
        own = self.identity
        turn = self._turn(motion.head)
        here = sample(self._head, self._head_box, self._head_step, at)
        shift = (at - own.centre_px) @ turn[:, :2].T
        shift += here[..., :1] * turn[:, 2]
        shift += motion.head[3:5] * np.float32(own.unit_px)
        shift *= here[..., 1:2]
        shift += here[..., 2:] * (motion.body * np.array([1, -1], np.float32) * np.float32(own.unit_px))
        return np.asarray(shift, np.float32)

    def _before_head(self, motion: FaceMotion) -> Field:
        """(N, N, 2) where each node of the shown picture was before head and body moved."""
        if not _moves(motion):
            return self._nodes
        shift = np.zeros_like(self._head_nodes)
        for _ in range(HEAD_ROUNDS):
            shift = self._shift(self._head_nodes - shift, motion)
        rows, columns = self._all.shape
        return self._nodes - enlarge(shift, HEAD_STEP)[:rows, :columns]

    def _layer(
        self,
        texture: NDArray[np.uint8],
        fields: Array,
        box: Box,
        shown: Box,
        weights: Array,
        before_head: Field,
        rounds: int,
    ) -> tuple[NDArray[np.uint8], Field]:
        """Pixels (h, w, 4) of the nodes `shown`, and their places in their `texture`; fields lie over `box`."""
        field = (weights @ fields).reshape(*box.shape, 2)
        rest = np.array(before_head[shown.slices])
        moving = box.grown(MARGIN_NODES).within(shown)
        inner = moving.relative_to(shown).slices
        rest[inner] = invert(field, box, self._step, rest[inner], rounds)
        shift = (rest - self._nodes[shown.slices]) * np.float32(self._scale)
        at = enlarge(shift, self._step)
        at += self._all_pixels if shown is self._all else self._upper_pixels
        return remap(texture, at), at

    def _draw_mouth(
        self,
        frame: NDArray[np.uint8],
        at: Field,
        weights: Array,
        motion: FaceMotion,
        before_head: Field,
        rounds: int,
    ) -> None:
        """Draws on the base layer the lower lip in the light, the inside of the mouth and the upper lip; `at`: where
        the layer's pixels lie in its texture."""
        own, box = self.identity, self._upper_box
        down = own.lip_down
        upper, lower = self._edges(weights)
        gap = np.maximum((lower - upper) @ down, 0)
        inner = (INNER_SHARE * gap[:, None]).astype(np.float32)
        upper = upper - np.clip(inner, 0, CUT_UPPER * own.unit_px) * down
        lower = lower - np.clip(inner, 0, INNER_LOWER * own.unit_px) * down
        if _moves(motion):
            upper, lower = (edge + self._shift(edge[None], motion)[0] for edge in (upper, lower))
        if gap.max() > LEAST_GAP_PX:
            self._light_lip(frame, at, lower, gap)
        lip, _ = self._layer(self._upper_texture, self._upper_fields, box, box, weights, before_head, rounds)
        region = frame[box.pixels(self._step)]
        origin = np.array([box.left, box.top], np.float32) * self._step
        open_px = np.maximum((lower - upper) @ down, 0)
        if own.mouth is not None and open_px.max() > LEAST_GAP_PX:
            # The opening reaches a little under the upper lip, so that no rim of the base layer shows between them.
            hidden = np.minimum(open_px, 2.0)[:, None] * down
            outline = np.concatenate([upper - hidden, lower[::-1]]) - origin
            opening = polygon_alpha(outline, region.shape[:2], float(own.mouth.soft_px) + 0.1)
            corners = np.concatenate([origin, origin + region.shape[1::-1]]).astype(int).tolist()
            moved = self._mouth_moved(motion) if _moves(motion) else None
            over(region, own.mouth.render(motion.weights, upper, lower, tuple(corners), moved), opening)
        beyond = 2 * self.size_px * down
        above = polygon_alpha(
            np.concatenate([upper, [upper[-1] - beyond, upper[0] - beyond]]) - origin, region.shape[:2]
        )
        over(region, lip[..., :3], above * lip[..., 3] * np.float32(1 / 255))

    def _light_lip(self, frame: NDArray[np.uint8], at: Field, lower: Array, gap: Array) -> None:
        """Takes the shadow of the upper lip off the lower one, whose edge is `lower` (n, 2) px, by the `gap` (n,) px
        between them."""
        reach = SHADOW_GONE * self.identity.unit_px
        left, top = np.maximum(np.floor(lower.min(0) - reach), 0).astype(int).tolist()
        right, bottom = np.ceil(lower.max(0) + 2 * reach).astype(int).tolist()
        area = np.s_[top:bottom, left:right]
        box, corner = self._upper_box, self._step * self._scale
        lit = remap(self._lit_texture, at[area] - np.array([box.left * corner, box.top * corner], np.float32))
        share = np.interp(np.arange(left, left + lit.shape[1]), lower[:, 0], np.minimum(gap / reach, 1))
        over(frame[area], lit, np.broadcast_to(share.astype(np.float32), lit.shape[:2]))

    def _mouth_moved(self, motion: FaceMotion) -> Array:
        """(2, 3) the head's motion near the mouth as an affine map of the picture."""
        middle = self.identity.upper_line.mean(0)
        turn = self._turn(motion.head)[:, :2]
        shift = self._shift(middle[None, None], motion)[0, 0]
        return np.column_stack([np.eye(2, dtype=np.float32) + turn, shift - turn @ middle])


def _moves(motion: FaceMotion) -> bool:
    return bool(motion.head.any() or motion.body.any())
