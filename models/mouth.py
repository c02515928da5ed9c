"""What is seen between the lips: upper teeth fixed to the skull, lower teeth and tongue on the jaw, a dark cavity.
Pure arithmetic on arrays; touches nothing.
Pictures painted once at enrolment are placed by one affine map each, then shaded by how the lips let the light in.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX
from models.face_model import FaceModel
from models.fit import FaceFit
from models.mouth_builder import (
    JAW_KEYS,
    JAW_OPEN,
    JAW_SHAPES,
    LOWER_LOWERED_CM,
    NEAR_MIDDLE,
    RESOLUTION,
    TONGUE_RAISED_CM,
    UPPER_LOWERED_CM,
    grained,
    incisor_px,
    incisor_vertices,
    paint_layers,
    softened,
    with_own_teeth,
)
from models.mouth_tones import AROUND_MOUTH, FEATURES, grain_of, landmark_px, measure_tones, softness_px
from models.own_teeth import OwnTeeth

TONGUE_OUT = ARKIT_INDEX["tongueOut"]
TONGUE_TIP_UP = 0.14
"""Value of tongueOut at which the tip touches the upper teeth (L, N, T, D); below it the tip is on its way up."""

BETWEEN_TEETH = 1.6
"""Share of that from which the tip is seen between the rows, before the upper one (TH)."""

TIP_FROM_CM, TIP_BEHIND_CM, TIP_BETWEEN_CM = 0.10, 0.12, 0.16
"""Top of the tip: below the lower teeth's edge at rest, above the upper one's edge behind it, and before it."""

ROUNDING = [ARKIT_INDEX["mouthPucker"], ARKIT_INDEX["mouthFunnel"]]
FULLY_ROUND = 0.7
"""Sum of these weights from which the opening between the lips is an ellipse."""

ROUNDED_DARKER = 0.25
"""Share of the light that fully rounded lips keep from what is behind them."""

INCISAL_SHOW_CM = (0.25, 0.4)
LIP_SHADOW, TEETH_SHADOW = 0.03, 0.09
"""Reach of the shadow of upper lip and upper teeth, in eye distances."""

TEETH_LIGHT, DEEP_LIGHT = (0.62, 0.30, 0.90), (0.55, 0.55, 0.85)
"""Least light, for the upper teeth and for all behind and below them: in those shadows, where a mouth is narrow, and in
one that is narrow all along."""

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MouthInterior:
    """The inside of one person's mouth, ready to be drawn.

    upper: (h, w, 4), lower, tongue: (4, h, w, 4), premultiplied BGRA uint8 at twice the photo's resolution, the last
    two one for each of `JAW_KEYS`; *_anchor: (2,) the incisal edge in them. upper_at, lower_at: (2,) that edge in the
    photo. tip, hollow: (h, w, 4), the raised tip of the tongue, anchored at its top, and what is behind it, anchored at
    its middle. jaw_travel: (52, 2) px, how far each weight moves the lower row. own_jaw: jawOpen of the photo itself.
    cavity, black: (3,) BGR, of the throat and of the photo's black, which lies over all. soft_px: of the photo's edges.
    down_per_cm: (2,) px, a centimetre down the head. unit_px: distance of the outer eye corners.
    """

    upper: NDArray[np.uint8]
    upper_anchor: NDArray[np.float32]
    lower: NDArray[np.uint8]
    lower_anchor: NDArray[np.float32]
    tongue: NDArray[np.uint8]
    tongue_anchor: NDArray[np.float32]
    tip: NDArray[np.uint8]
    tip_anchor: NDArray[np.float32]
    hollow: NDArray[np.uint8]
    hollow_anchor: NDArray[np.float32]
    upper_at: NDArray[np.float32]
    lower_at: NDArray[np.float32]
    jaw_travel: NDArray[np.float32]
    own_jaw: NDArray[np.float32]
    cavity: NDArray[np.float32]
    black: NDArray[np.float32]
    soft_px: NDArray[np.float32]
    down_per_cm: NDArray[np.float32]
    unit_px: NDArray[np.float32]

    @staticmethod
    def build(
        model: FaceModel, fit: FaceFit, photo_bgr: NDArray[np.uint8], own: OwnTeeth | None = None
    ) -> MouthInterior:
        """Paints the mouth of a fitted photo (h, w, 3) uint8 BGR with shut lips; about 0.4 s.

        own: the teeth that the photo showed before its lips were shut.
        """
        tones = measure_tones(model, fit, photo_bgr, own)
        features = landmark_px(model, fit, FEATURES)
        soft = max(softness_px(photo_bgr, features), softness_px(photo_bgr, landmark_px(model, fit, AROUND_MOUTH)))
        layers = grained(softened(paint_layers(model, fit, tones), soft), grain_of(photo_bgr, features))
        camera = fit.pose.rotation[:2].T * np.array([fit.pose.scale_px, -fit.pose.scale_px], np.float32)
        down = -camera[1]
        snap = _snap(model, fit, down)
        travel = model.expression[:, incisor_vertices(model, "teeth_lower")].mean(1) @ camera
        own_jaw = fit.expression[JAW_SHAPES] @ travel[JAW_SHAPES]
        upper_at = incisor_px(model, fit, "teeth_upper", 0.0) + snap + UPPER_LOWERED_CM * down
        lower_at = incisor_px(model, fit, "teeth_lower", 0.0) + snap + own_jaw + LOWER_LOWERED_CM * down
        if own is not None:
            layers = with_own_teeth(layers, own, float(upper_at[0]), tones.black)
        eyes = landmark_px(model, fit, (33, 263))
        return MouthInterior(
            upper=layers.upper,
            upper_anchor=layers.upper_anchor,
            lower=layers.lower,
            lower_anchor=layers.lower_anchor,
            tongue=layers.tongue,
            tongue_anchor=layers.tongue_anchor,
            tip=layers.tip,
            tip_anchor=layers.tip_anchor,
            hollow=layers.hollow,
            hollow_anchor=layers.hollow_anchor,
            upper_at=upper_at.astype(np.float32),
            lower_at=lower_at.astype(np.float32),
            jaw_travel=travel.astype(np.float32),
            own_jaw=np.array(fit.expression[JAW_OPEN], np.float32),
            cavity=tones.cavity,
            black=tones.black,
            soft_px=np.array(soft, np.float32),
            down_per_cm=down.astype(np.float32),
            unit_px=np.array(np.hypot(*(eyes[1] - eyes[0])), np.float32),
        )

    def to_arrays(self) -> dict[str, NDArray]:
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @staticmethod
    def from_arrays(arrays: dict[str, NDArray]) -> MouthInterior:
        """Undoes `to_arrays`; other keys are ignored. Raises KeyError if one is missing."""
        return MouthInterior(**{field.name: arrays[field.name] for field in fields(MouthInterior)})

    def render(
        self,
        weights: NDArray[np.float32],
        upper_lip: NDArray[np.float32],
        lower_lip: NDArray[np.float32],
        box: Box,
        moved: NDArray[np.float32] | None = None,
    ) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 BGR for the picture's `box` (x0, y0, x1, y1): what is seen between the lips.

        weights: (52,) relative to the photo. upper_lip, lower_lip: (n, 2) px, the edges of the opening from one corner
        to the other, in the picture that is shown; outside them the result means nothing. moved: (2, 3), photo px to
        shown px near the mouth, where the head has moved.
        """
        x0, y0, x1, y1 = box
        out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        out[:] = (self.black + self.cavity).clip(0, 255).astype(np.uint8)
        lips = np.concatenate([upper_lip, lower_lip])
        left, top = np.maximum(np.floor(lips.min(0)).astype(int) - 2, (x0, y0)).tolist()
        right, bottom = np.minimum(np.ceil(lips.max(0)).astype(int) + 3, (x1, y1)).tolist()
        if right <= left or bottom <= top:
            return out
        map_ = np.eye(2, 3, dtype=np.float32) if moved is None else moved.astype(np.float32)
        (xx, xy, x_at), (yx, yy, y_at) = map_.tolist()
        size = right - left, bottom - top

        jaw_at = self.lower_at + weights @ self.jaw_travel
        jaw = float(self.own_jaw + weights[JAW_OPEN])
        tip = float(weights[TONGUE_OUT]) / TONGUE_TIP_UP
        rounded = float(np.clip(weights[ROUNDING].sum() / FULLY_ROUND, 0, 1))
        teeth_light, deep_light = self._light(upper_lip - (left, top), lower_lip - (left, top), size, rounded)
        # A plane for each colour: numpy is slow where three numbers meet one.
        canvas = np.empty((3, size[1], size[0]), np.float32)
        canvas[:] = self.cavity[:, None, None]

        def lay(picture: Picture, anchor: Array, at: NDArray[np.floating], light: Array) -> None:
            x, y = (at - anchor / RESOLUTION).tolist()
            x, y = xx * x + xy * y + x_at - left, yx * x + yy * y + y_at - top
            to_canvas = np.array([[xx / RESOLUTION, xy / RESOLUTION, x], [yx / RESOLUTION, yy / RESOLUTION, y]])
            laid = cv2.warpAffine(picture, to_canvas, size, flags=cv2.INTER_LINEAR).transpose(2, 0, 1).copy()
            np.multiply(canvas, 1 - laid[3] * np.float32(1 / 255), out=canvas)
            np.add(canvas, laid[:3] * light, out=canvas)

        lay(self.hollow, self.hollow_anchor, (self.upper_at + jaw_at) / 2, deep_light)
        raised = TONGUE_RAISED_CM + LOWER_LOWERED_CM
        lay(_between(self.tongue, jaw), self.tongue_anchor, jaw_at - raised * self.down_per_cm, deep_light)
        if 0 < tip <= BETWEEN_TEETH:
            lay(self.tip, self.tip_anchor, self._tip_at(jaw_at, tip), deep_light)
        lay(_between(self.lower, jaw), self.lower_anchor, jaw_at, deep_light)
        lay(self.upper, self.upper_anchor, self.upper_at, teeth_light)
        if tip > BETWEEN_TEETH:
            lay(self.tip, self.tip_anchor, self._tip_at(jaw_at, tip), teeth_light)
        canvas *= 1 - self.black[:, None, None] / np.float32(255)
        canvas += self.black[:, None, None]
        out[top - y0 : bottom - y0, left - x0 : right - x0] = cv2.merge(list(canvas.clip(0, 255).astype(np.uint8)))
        return out

    def _tip_at(self, jaw_at: Array, tip: float) -> Array:
        """Where the top of the tongue's tip is, which rises by `tip` from the lower teeth's edge to the upper ones'."""
        start = jaw_at + TIP_FROM_CM * self.down_per_cm
        end = self.upper_at - (TIP_BETWEEN_CM if tip > BETWEEN_TEETH else TIP_BEHIND_CM) * self.down_per_cm
        return np.asarray(start + (end - start) * min(tip, 1.0), np.float32)

    def _light(self, upper: Array, lower: Array, size: tuple[int, int], rounded: float) -> tuple[Array, Array]:
        """(h, w) share of the light that falls on the upper teeth, and on all behind and below them.

        Less under the upper lip, at the corners, in a narrow mouth and behind lips that are `rounded` (0..1) and so
        stand out before them; the upper teeth, right behind the lips, lose less.
        """
        columns, rows = (np.arange(n, dtype=np.float32) for n in size)
        above = np.interp(columns, *_by_column(upper)).astype(np.float32)
        below = np.interp(columns, *_by_column(lower)).astype(np.float32)
        unit = float(self.unit_px)
        gap = np.maximum(below - above, 0)
        wide = np.minimum(gap / (0.05 * unit), 1)
        open_ = min(float(gap.max()) / (0.07 * unit), 1.0)
        depth = np.maximum(rows[:, None] - above, 0)
        under = np.minimum(depth / (LIP_SHADOW * unit), 1)
        under_teeth = np.minimum(depth / (TEETH_SHADOW * unit), 1)
        kept = 1 - ROUNDED_DARKER * rounded
        (a, b, c), (d, e, f) = TEETH_LIGHT, DEEP_LIGHT
        teeth = (a + (1 - a) * under * (2 - under)) * ((b + (1 - b) * wide) * ((c + (1 - c) * open_) * kept))
        deep = (d + (1 - d) * under_teeth) * ((e + (1 - e) * wide) * ((f + (1 - f) * open_) * kept))
        return teeth, deep


def _snap(model: FaceModel, fit: FaceFit, down: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2,) px from the fitted teeth to their place: along with the lips, and an edge that shows as much as edges do.

    In a turned head they stay near the middle of the lips, which the drawn opening does not wrap around them.

    Upper incisors end 2 to 4 mm below the relaxed upper lip of the young (Vig & Brundo, J. Prosthet. Dent. 1978).
    """
    lip = landmark_px(model, fit, (13,))[0]
    snap = fit.snap_px[model.lip_rings[7]].mean(0)
    length = float(down @ down)
    shown_cm = float((incisor_px(model, fit, "teeth_upper", 0.0) + snap - lip) @ down) / length + UPPER_LOWERED_CM
    across = np.array([down[1], -down[0]], np.float32)
    aside = float((lip - incisor_px(model, fit, "teeth_upper", 0.0) - snap) @ across) / length
    return snap + (np.clip(shown_cm, *INCISAL_SHOW_CM) - shown_cm) * down + NEAR_MIDDLE * aside * across


def _between(pictures: NDArray[np.uint8], jaw_open: float) -> NDArray[np.uint8]:
    """The jaw's picture at `jaw_open`, mixed from its neighbours among `JAW_KEYS`."""
    place = float(np.interp(jaw_open, JAW_KEYS, np.arange(len(JAW_KEYS))))
    first = min(int(place), len(JAW_KEYS) - 2)
    share = place - first
    return cv2.addWeighted(pictures[first], 1 - share, pictures[first + 1], share, 0)


def _by_column(edge: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y of a lip's edge in order of x, as `numpy.interp` wants them."""
    order = np.argsort(edge[:, 0])
    return edge[order, 0], edge[order, 1]
