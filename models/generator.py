"""Draws a face as it moves: (identity, motion) to a picture.
Pure: a picture depends on the motion alone, so hour three looks like minute one.
Expression and head turn become one map per layer; the photo is resampled once, the mouth's inside put between the lips.

Order of drawing: base layer (all but the upper lip), eyes, inside of the mouth, upper-lip layer.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_NAMES, HEAD_NAMES, FaceMotion
from models.compositor import over, polygon_alpha, polygon_area
from models.eyes import LivingEyes
from models.head import Head, moves
from models.identity import Identity
from models.layer import Layer
from models.opening import Opening
from models.warp import Box, Planes, finer, resampled

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

ROUNDS, MANY_ROUNDS = 4, 40
"""Fixed-point rounds of the inverse warp: for speech, and for shutting a wide open mouth at enrolment."""

SELDOM = ("jawForward", "jawLeft", "jawRight", "mouthLeft", "mouthRight", "mouthFrown", "mouthDimple",
          "mouthShrugUpper", "browDown", "cheekPuff", "noseSneer")  # fmt: skip
"""Shapes that neither speech nor idle life uses: mostly zero, and then not added up."""

CUT_UPPER, INNER_LOWER = 0.010, 0.02
"""When the mouth opens: most of the shadow under the upper lip that is cut off, and most of the lower lip's inside that
shows, in eye distances."""

INNER_SHARE = 0.25
"""Share of the gap that is cut off or shown until then."""

SHADOW_GONE = 0.03
"""Gap in eye distances from which the shadow between the lips no longer lies on the lower one."""

LEAST_GAP_PX = 0.3

EYE_REACH, EYE_SCALE = 0.08, 2
"""How far parts of an eye's box may move against its middle, in eye distances (its margin looks like the photo anyway);
how much finer than the photo it is drawn."""

FINEST_PX = 640
"""Largest picture whose textures are kept at four times its resolution; 32 MiB at 512, above it twice must do."""


class FrameGenerator:
    """Draws one identity. Ready after construction (about 0.1 s); `render` keeps nothing between frames."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.size_px = identity.picture.shape[0]
        self._step = step = identity.step_px
        nodes = self.size_px // step
        self._all = Box(0, 0, nodes, nodes)
        self._upper_box = Box(*identity.upper_box.tolist())
        self._scale = 4 if self.size_px <= FINEST_PX else 2
        self._head, self._opening = Head(identity), Opening(identity)
        opaque = np.full((*identity.picture.shape[:2], 1), 255, np.uint8)
        base = finer(np.concatenate([identity.base_texture, opaque], 2), self._scale)
        upper = finer(identity.upper_texture[self._upper_box.pixels(step)], self._scale)
        self._lit_texture = finer(identity.lit_texture, self._scale)
        base_box = Box(*identity.base_box.tolist())
        groups = _groups(len(identity.base_fields))
        self._base = Layer(base, identity.base_fields, groups, base_box, self._all, step, self._scale)
        # So small a box is added up whole.
        every = [list(range(len(identity.upper_fields)))]
        self._upper = Layer(upper, identity.upper_fields, every, self._upper_box, self._upper_box, step, self._scale)
        self._eyes = LivingEyes(identity.eyes) if identity.eyes is not None else None
        self._still = np.zeros((2, nodes, nodes), np.float32)

    @property
    def textures(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Finer than the photo: of the base layer (k * S, k * S, 4), of the upper lip (h, w, 4) and lit (h, w, 3)."""
        return self._base.texture, self._upper.texture, self._lit_texture

    def render(self, motion: FaceMotion) -> Picture:
        """(S, S, 3) uint8 BGR. At rest it is `identity.picture`, bit for bit."""
        return self.begin(motion)()

    def begin(self, motion: FaceMotion, helper: Executor | None = None) -> Callable[[], Picture]:
        """Begins a picture; what is returned ends it, and gives what `render` gives.

        `helper` resamples the photo in the meantime: the longest piece of a picture, and one that needs no Python.
        """
        if not motion.weights.any() and not moves(motion):
            return self.identity.picture.copy
        return self._begun(motion, ROUNDS, helper)

    def render_far(self, weights: Array) -> NDArray[np.uint8]:
        """(S, S, 3) like `render`, slower, for `weights` (52,) that move the picture too far for it."""
        return self._begun(FaceMotion(weights, np.zeros(len(HEAD_NAMES), np.float32)), MANY_ROUNDS, None)()

    def follow(self, weights: Array, points: Array, upper: bool) -> Array:
        """Where `weights` (52,) take points (n, 2) px of the photo, which lie on the upper lip or elsewhere."""
        return (self._upper if upper else self._base).follow(self._opening.with_closings(weights), points)

    def lips(self, weights: Array) -> tuple[Array, Array]:
        """Inner edges (n, 2) px of the upper and of the lower lip at `weights` (52,), before the head turns."""
        return self._opening.edges(self._opening.with_closings(weights))

    def _begun(self, motion: FaceMotion, rounds: int, helper: Executor | None) -> Callable[[], Picture]:
        weights = self._opening.with_closings(motion.weights)
        turn = self._head.field(motion) if moves(motion) else None
        shift = self._still if turn is None else self._head.undone(turn)[(slice(None), *self._all.slices)]
        at = self._base.places(weights, shift, rounds)
        base = partial(_colours, self._base.texture, at)
        end_base = helper.submit(base).result if helper else base

        def end() -> Picture:
            frame = end_base()
            self._draw_eyes(frame, motion.weights, at)
            self._draw_mouth(frame, at, weights, motion, turn, shift, rounds)
            return frame

        return end

    def _draw_eyes(self, frame: Picture, weights: Array, at: Planes) -> None:
        """Draws on the base layer the eyes as `weights` (52,) have them; `at`: where its pixels lie in the texture."""
        for (x0, y0, x1, y1), patch in self._eyes.render(weights) if self._eyes is not None else ():
            y, x = (y0 + y1) // 2, (x0 + x1) // 2
            came_x, came_y = (at[:, y, x] / self._scale).tolist()
            rows = _around(y0 + y - came_y, y1 + y - came_y, EYE_REACH * self.identity.unit_px)
            columns = _around(x0 + x - came_x, x1 + x - came_x, EYE_REACH * self.identity.unit_px)
            inside = at[:, rows, columns] * np.float32(EYE_SCALE / self._scale)
            inside[0] -= EYE_SCALE * x0
            inside[1] -= EYE_SCALE * y0
            last_x, last_y = EYE_SCALE * (x1 - x0 - 1), EYE_SCALE * (y1 - y0 - 1)
            covered = cv2.bitwise_and(cv2.inRange(inside[0], 0, last_x), cv2.inRange(inside[1], 0, last_y))
            # With a fourth channel, though it is not needed: cv2 resamples such pictures in half the time.
            eye = resampled(np.asarray(cv2.cvtColor(finer(patch, EYE_SCALE), cv2.COLOR_BGR2BGRA), np.uint8), inside)
            cv2.copyTo(cv2.cvtColor(eye, cv2.COLOR_BGRA2BGR), covered, frame[rows, columns])

    def _draw_mouth(
        self,
        frame: NDArray[np.uint8],
        at: Planes,
        weights: Array,
        motion: FaceMotion,
        turn: Planes | None,
        shift: Planes,
        rounds: int,
    ) -> None:
        """Draws on the base layer the lower lip in the light, the inside of the mouth and the upper lip.

        at: where the layer's pixels lie in its texture. turn: the head's field, if it moved.
        """
        own = self.identity
        down = own.lip_down
        upper, lower = self._opening.edges(weights)
        gap = np.maximum((lower - upper) @ down, 0)
        inner = (INNER_SHARE * gap[:, None]).astype(np.float32)
        upper = upper - np.clip(inner, 0, CUT_UPPER * own.unit_px) * down
        lower = lower - np.clip(inner, 0, INNER_LOWER * own.unit_px) * down
        if turn is not None:
            upper, lower = (edge + self._head.shift(turn, edge) for edge in (upper, lower))
        if gap.max() > LEAST_GAP_PX:
            self._light_lip(frame, at, lower, gap)
        open_px = np.maximum((lower - upper) @ down, 0)
        if own.mouth is not None and open_px.max() > LEAST_GAP_PX:
            # The opening reaches a little under the upper lip, so that no rim of the base layer shows between them.
            outline = np.concatenate([upper - np.minimum(open_px, 2.0)[:, None] * down, lower[::-1]])
            soft = float(own.mouth.soft_px) + 0.1
            rows, columns = polygon_area(outline, frame.shape[:2], soft)
            region = frame[rows, columns]
            moved = None if turn is None else self._head.near(turn, motion, own.upper_line.mean(0))
            inside = own.mouth.render(
                motion.weights, upper, lower, (columns.start, rows.start, columns.stop, rows.stop), moved
            )
            over(region, inside, polygon_alpha(outline - (columns.start, rows.start), region.shape[:2], soft))
        self._draw_upper_lip(frame, weights, upper, shift, rounds)

    def _draw_upper_lip(
        self, frame: NDArray[np.uint8], weights: Array, edge: Array, shift: Planes, rounds: int
    ) -> None:
        """Draws the upper lip down to its `edge` (n, 2) px."""
        box = self._upper_box
        lip = self._upper.draw(weights, shift[(slice(None), *box.slices)], rounds)
        alpha = cv2.extractChannel(lip, 3)
        left, top, width, height = cv2.boundingRect(alpha)
        if not width:
            return
        area = np.s_[top : top + height, left : left + width]
        beyond = 2 * self.size_px * self.identity.lip_down
        origin = np.array([box.left * self._step + left, box.top * self._step + top], np.float32)
        above = polygon_alpha(np.concatenate([edge, [edge[-1] - beyond, edge[0] - beyond]]) - origin, (height, width))
        colours = np.asarray(cv2.cvtColor(lip[area], cv2.COLOR_BGRA2BGR), np.uint8)
        over(frame[box.pixels(self._step)][area], colours, above * alpha[area] * np.float32(1 / 255))

    def _light_lip(self, frame: NDArray[np.uint8], at: Planes, lower: Array, gap: Array) -> None:
        """Takes the shadow of the upper lip off the lower one, whose edge is `lower` (n, 2) px, by the `gap` (n,) px
        between them."""
        reach = SHADOW_GONE * self.identity.unit_px
        left, top = np.maximum(np.floor(lower.min(0) - reach), 0).astype(int).tolist()
        right, bottom = np.ceil(lower.max(0) + 2 * reach).astype(int).tolist()
        area = np.s_[top:bottom, left:right]
        corner = np.array([self._upper_box.left, self._upper_box.top], np.float32) * (self._step * self._scale)
        lit = resampled(self._lit_texture, at[:, top:bottom, left:right] - corner[:, None, None])
        share = np.interp(np.arange(left, left + lit.shape[1]), lower[:, 0], np.minimum(gap / reach, 1))
        over(frame[area], lit, np.broadcast_to(share.astype(np.float32), lit.shape[:2]))


def _colours(texture: Picture, at: Planes) -> Picture:
    """(h, w, 3) of a texture (H, W, 4) at positions `at` (2, h, w)."""
    return np.asarray(cv2.cvtColor(resampled(texture, at), cv2.COLOR_BGRA2BGR), np.uint8)


def _around(low: float, high: float, reach: float) -> slice:
    return slice(max(0, int(low - reach)), max(0, int(high + reach) + 1))


def _groups(count: int) -> list[list[int]]:
    """Of `count` weights and closings: those that speech and idle life use, the seldom used, the closings."""
    seldom = [index for index, name in enumerate(ARKIT_NAMES) if name.startswith(SELDOM)]
    usual = [index for index in range(len(ARKIT_NAMES)) if index not in seldom]
    return [usual, seldom, list(range(len(ARKIT_NAMES), count))]
