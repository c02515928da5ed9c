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
    RESOLUTION,
    TONGUE_RAISED_CM,
    UPPER_LOWERED_CM,
    incisor_px,
    incisor_vertices,
    landmark_px,
    measure_tones,
    paint_layers,
    with_own_teeth,
)
from models.own_teeth import OwnTeeth

TONGUE_OUT = ARKIT_INDEX["tongueOut"]
TONGUE_TIP_UP = 0.3
"""Value of tongueOut at which the tip touches the upper teeth (L, N, T, TH); below it the tip is on its way up."""

TIP_TRAVEL_CM, TIP_HEIGHT = 0.45, 0.4
"""How far the tip comes up, and how much taller the tongue then is."""

INCISAL_SHOW_CM = (0.25, 0.4)
LIP_SHADOW = 0.03
"""Reach of the upper lip's shadow in eye distances."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MouthInterior:
    """The inside of one person's mouth, ready to be drawn.

    upper: (h, w, 4), lower, tongue: (4, h, w, 4), premultiplied BGRA uint8 at twice the photo's resolution, the last
    two one for each of `JAW_KEYS`; *_anchor: (2,) the incisal edge in them. upper_at, lower_at: (2,) that edge in the
    photo. jaw_travel: (52, 2) px, how far each weight moves the lower one. own_jaw: jawOpen of the photo itself.
    cavity: (3,) BGR. down_per_cm: (2,) px, a centimetre down the head. unit_px: distance of the outer eye corners.
    """

    upper: NDArray[np.uint8]
    upper_anchor: NDArray[np.float32]
    lower: NDArray[np.uint8]
    lower_anchor: NDArray[np.float32]
    tongue: NDArray[np.uint8]
    tongue_anchor: NDArray[np.float32]
    upper_at: NDArray[np.float32]
    lower_at: NDArray[np.float32]
    jaw_travel: NDArray[np.float32]
    own_jaw: NDArray[np.float32]
    cavity: NDArray[np.float32]
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
        layers = paint_layers(model, fit, tones)
        camera = fit.pose.rotation[:2].T * np.array([fit.pose.scale_px, -fit.pose.scale_px], np.float32)
        down = -camera[1]
        snap = _snap(model, fit, down)
        travel = model.expression[:, incisor_vertices(model, "teeth_lower")].mean(1) @ camera
        own_jaw = fit.expression[JAW_SHAPES] @ travel[JAW_SHAPES]
        upper_at = incisor_px(model, fit, "teeth_upper", 0.0) + snap + UPPER_LOWERED_CM * down
        lower_at = incisor_px(model, fit, "teeth_lower", 0.0) + snap + own_jaw + LOWER_LOWERED_CM * down
        if own is not None:
            layers = with_own_teeth(layers, own, float(upper_at[0]))
        eyes = landmark_px(model, fit, (33, 263))
        return MouthInterior(
            upper=layers.upper,
            upper_anchor=layers.upper_anchor,
            lower=layers.lower,
            lower_anchor=layers.lower_anchor,
            tongue=layers.tongue,
            tongue_anchor=layers.tongue_anchor,
            upper_at=upper_at.astype(np.float32),
            lower_at=lower_at.astype(np.float32),
            jaw_travel=travel.astype(np.float32),
            own_jaw=np.array(fit.expression[JAW_OPEN], np.float32),
            cavity=tones.cavity,
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
        out[:] = self.cavity.clip(0, 255).astype(np.uint8)
        lips = np.concatenate([upper_lip, lower_lip])
        left, top = np.maximum(np.floor(lips.min(0)).astype(int) - 2, (x0, y0)).tolist()
        right, bottom = np.minimum(np.ceil(lips.max(0)).astype(int) + 3, (x1, y1)).tolist()
        if right <= left or bottom <= top:
            return out
        map_ = np.eye(2, 3, dtype=np.float32) if moved is None else moved.astype(np.float32)
        size = right - left, bottom - top
        origin = np.array([left, top], np.float32)

        canvas = np.empty((size[1], size[0], 3), np.float32)
        canvas[:] = self.cavity
        jaw_at = self.lower_at + weights @ self.jaw_travel
        tip = float(weights[TONGUE_OUT]) / TONGUE_TIP_UP
        tongue_at = jaw_at - (TONGUE_RAISED_CM + LOWER_LOWERED_CM + TIP_TRAVEL_CM * min(tip, 1.0)) * self.down_per_cm
        tall = 1 + TIP_HEIGHT * min(tip, 1.0)
        jaw = float(self.own_jaw + weights[JAW_OPEN])
        lower = self.lower, self.lower_anchor, jaw_at, 1.0
        tongue = self.tongue, self.tongue_anchor, tongue_at, tall
        for pictures, anchor, at, height in (lower, tongue) if tip > 1 else (tongue, lower):
            _lay(canvas, _between(pictures, jaw), anchor, at, map_, origin, height)
        _lay(canvas, self.upper, self.upper_anchor, self.upper_at, map_, origin)
        canvas *= self._light(upper_lip - origin, lower_lip - origin, size)[..., None]
        out[top - y0 : bottom - y0, left - x0 : right - x0] = canvas.clip(0, 255)
        return out

    def _light(
        self, upper: NDArray[np.float32], lower: NDArray[np.float32], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """(h, w) share of the light that comes in: less under the upper lip, at the corners and in a narrow mouth."""
        columns, rows = (np.arange(n, dtype=np.float32) for n in size)
        above = np.interp(columns, *_by_column(upper))
        below = np.interp(columns, *_by_column(lower))
        unit = float(self.unit_px)
        under = np.clip((rows[:, None] - above) / (LIP_SHADOW * unit), 0, 1)
        shadow = 0.7 + 0.3 * under * (2 - under)
        gap = np.maximum(below - above, 0)
        wide = np.clip(gap / (0.05 * unit), 0, 1)
        open_ = 0.88 + 0.12 * min(float(gap.max()) / (0.07 * unit), 1.0)
        return (shadow * (0.7 + 0.3 * wide) * open_).astype(np.float32)


def _snap(model: FaceModel, fit: FaceFit, down: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2,) px from the fitted teeth to their place: along with the lips, and an edge that shows as much as edges do.

    Upper incisors end 2 to 4 mm below the relaxed upper lip of the young (Vig & Brundo, J. Prosthet. Dent. 1978).
    """
    lip = landmark_px(model, fit, (13,))[0]
    snap = fit.snap_px[model.lip_rings[7]].mean(0)
    length = float(down @ down)
    shown_cm = float((incisor_px(model, fit, "teeth_upper", 0.0) + snap - lip) @ down) / length + UPPER_LOWERED_CM
    return snap + (np.clip(shown_cm, *INCISAL_SHOW_CM) - shown_cm) * down


def _between(pictures: NDArray[np.uint8], jaw_open: float) -> NDArray[np.uint8]:
    """The jaw's picture at `jaw_open`, mixed from its neighbours among `JAW_KEYS`."""
    place = float(np.interp(jaw_open, JAW_KEYS, np.arange(len(JAW_KEYS))))
    first = min(int(place), len(JAW_KEYS) - 2)
    share = place - first
    return cv2.addWeighted(pictures[first], 1 - share, pictures[first + 1], share, 0)


def _lay(
    canvas: NDArray[np.float32],
    picture: NDArray[np.uint8],
    anchor: NDArray[np.float32],
    at: NDArray[np.float32],
    moved: NDArray[np.float32],
    origin: NDArray[np.float32],
    height: float = 1.0,
) -> None:
    """Puts a layer on `canvas` with its `anchor` at the photo's position `at`, moved with the head.

    height: what is stretched upright by it is lit as much more, because it turns towards the viewer.
    """
    turn = moved[:, :2] * [1.0, height] / RESOLUTION
    shift = moved[:, :2] @ at + moved[:, 2] - origin - turn @ anchor
    size = canvas.shape[1], canvas.shape[0]
    laid = cv2.warpAffine(picture, np.column_stack([turn, shift]), size, flags=cv2.INTER_LINEAR)
    canvas *= 1 - laid[..., 3:] * np.float32(1 / 255)
    canvas += laid[..., :3] * np.float32(height)


def _by_column(edge: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y of a lip's edge in order of x, as `numpy.interp` wants them."""
    order = np.argsort(edge[:, 0])
    return edge[order, 0], edge[order, 1]
