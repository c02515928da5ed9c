"""From a fitted head to displacement fields: how each rest position of the photo moves with each ARKit weight.
Pure arithmetic on arrays; touches nothing.
The visible mesh is rasterised once on the node grid; its displacements are interpolated and continued beyond it.

A mouth tears a single field apart, so there are two: `base` (all but the upper lip) and `upper` (the upper lip), each
continued across the lip line as if the other lip were not there. They agree outside the wedges around the lip line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_NAMES
from models.face_model import FaceModel
from models.fit import FaceFit, lip_side
from models.lips import LipLine, closing_amount
from models.warp import Box, box_around, node_positions

DRAWN_ELSEWHERE = ("eyeBlink", "eyeLook", "eyeSquint", "eyeWide", "mouthClose", "tongueOut")
"""Names (or beginnings) of shapes that lids, lips or the mouth interior show in their own way."""

WIDE_BLUR = 0.18
"""How smooth the picture moves well outside the face, in eye distances."""

FALLOFF = 0.42
"""Distance in eye distances at which the picture outside the head no longer follows an expression."""


@dataclass(frozen=True, slots=True)
class Raster:
    """What the camera sees at each node: triangle (h, w) int32, -1 for none; share (h, w, 3) of its corners."""

    triangle: NDArray[np.int32]
    share: NDArray[np.float32]


def rasterise(
    points: NDArray[np.float32], depth: NDArray[np.float32], triangles: NDArray[np.int32], box: Box, step: int
) -> Raster:
    """Nearest front-facing triangle at each node of `box`, drawn from far to near. `points` (V, 2) in pixels."""
    corners = (points[triangles] - (step - 1) / 2) / step - np.array([box.left, box.top], np.float32)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    low, high = corners.min(1), corners.max(1)
    inside = (high >= 0).all(1) & (low < np.array(box.shape[::-1])).all(1)
    drawn = np.flatnonzero((area < -1e-6) & inside)
    drawn = drawn[np.argsort(depth[triangles[drawn]].mean(1), kind="stable")]
    seen = np.full(box.shape, -1, np.int32)
    for index, corner in zip(drawn.tolist(), np.round(corners[drawn] * 256).astype(np.int32), strict=True):
        cv2.fillConvexPoly(seen, corner, index, cv2.LINE_8, 8)
    rows, columns = np.indices(box.shape)
    corner = corners[seen]
    from_first = np.stack([columns, rows], -1) - corner[..., 0, :]
    second = (from_first[..., 0] * b[seen][..., 1] - from_first[..., 1] * b[seen][..., 0]) / area[seen]
    third = (a[seen][..., 0] * from_first[..., 1] - a[seen][..., 1] * from_first[..., 0]) / area[seen]
    share = np.clip(np.stack([1 - second - third, second, third], -1), 0, None)
    return Raster(seen, (share / share.sum(-1, keepdims=True)).astype(np.float32))


def interpolate(values: NDArray[np.float32], triangles: NDArray[np.int32], raster: Raster) -> NDArray[np.float32]:
    """(V, c) to (h, w, c); undefined where the raster shows nothing."""
    corner = triangles[raster.triangle]
    out = values[corner[..., 0]] * raster.share[..., :1]
    out += values[corner[..., 1]] * raster.share[..., 1:2]
    out += values[corner[..., 2]] * raster.share[..., 2:]
    return out


@dataclass(frozen=True, slots=True)
class Continuation:
    """Continues fields beyond where they are `known` (h, w). nearest: (h, w), flat index of the nearest such node."""

    known: NDArray[np.bool_]
    nearest: NDArray[np.int64]

    @staticmethod
    def of(known: NDArray[np.bool_]) -> Continuation:
        _, label = cv2.distanceTransformWithLabels(
            (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        where = np.zeros(label.max() + 1, np.int64)
        where[label[known]] = np.flatnonzero(known)
        return Continuation(known, where[label])

    def __call__(self, values: NDArray[np.float32], blur_nodes: float) -> NDArray[np.float32]:
        """(h, w, c) with unknown nodes taken from the nearest known one and blurred."""
        filled = values.reshape(-1, values.shape[-1])[self.nearest]
        return np.where(self.known[..., None], values, blurred(filled, blur_nodes))


def continued(values: NDArray[np.float32], known: NDArray[np.bool_], blur_nodes: float) -> NDArray[np.float32]:
    """The same for one field (h, w, c)."""
    return Continuation.of(known)(values, blur_nodes)


def filled_outline(outline: NDArray[np.floating], box: Box, step: int) -> NDArray[np.bool_]:
    """(h, w) the nodes of `box` inside an outline (n, 2) px."""
    inside = np.zeros(box.shape, np.uint8)
    at = (outline - (step - 1) / 2) / step - np.array([box.left, box.top])
    cv2.fillPoly(inside, [np.round(at).astype(np.int32)], 1)
    return inside > 0


def blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of each channel."""
    values = values.reshape(*values.shape[:2], -1)
    parts = [
        cv2.GaussianBlur(np.ascontiguousarray(values[..., i : i + 4]), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        for i in range(0, values.shape[2], 4)
    ]
    return np.concatenate([p.reshape(*values.shape[:2], -1) for p in parts], 2)


def displacements(model: FaceModel, fit: FaceFit) -> NDArray[np.float32]:
    """(V, 52, 2) pixels that each vertex moves per unit of weight."""
    camera = fit.pose.rotation[:2] * np.array([[fit.pose.scale_px], [-fit.pose.scale_px]], np.float32)
    moved = model.expression @ camera.T
    for index, name in enumerate(ARKIT_NAMES):
        if name.startswith(DRAWN_ELSEWHERE):
            moved[index] = 0
    return np.ascontiguousarray(moved.transpose(1, 0, 2))


@dataclass(frozen=True, slots=True)
class Layers:
    """base: (W, h, w, 2) over base_box; upper: (W, h, w, 2) over upper_box; W = 52 weights, then the lip closings."""

    base: NDArray[np.float32]
    upper: NDArray[np.float32]
    base_box: Box
    upper_box: Box


def skin_triangles(model: FaceModel) -> NDArray[np.int32]:
    """The triangles of face, head and neck, without the inside of the lips."""
    triangles = model.triangles[np.r_[model.part_triangles["face"], model.part_triangles["head_and_neck"]]]
    inner = np.zeros(len(model.neutral), bool)
    inner[model.lip_rings[:6]] = True
    return triangles[~inner[triangles].any(1)]


def build_layers(
    model: FaceModel,
    fit: FaceFit,
    points: NDArray[np.float32],
    depth: NDArray[np.float32],
    oval: NDArray[np.floating],
    lips: tuple[LipLine, LipLine],
    unit_px: float,
    nodes: int,
    step: int,
) -> Layers:
    """All fields of one face. points, depth: its vertices on the photo. oval: (n, 2) px, its outline. unit_px: the eye
    distance.

    The mesh counts inside the outline only. Beyond it a jaw would slide over its neck and a cheek over hair; in one
    picture they must stretch and squeeze each other instead, over a distance that folds nothing.
    """
    triangles = skin_triangles(model)

    margin = (FALLOFF + 0.05) * unit_px
    face_points = points[model.parts["face"]]
    base_box = box_around(face_points.min(0) - margin, face_points.max(0) + margin, step, nodes)
    raster = rasterise(points, depth, triangles, base_box, step)
    seen = raster.triangle >= 0
    head = filled_outline(oval, base_box, step)
    at = node_positions(base_box, step)

    side = lip_side(model)[triangles[raster.triangle]]
    upper, lower = lips
    along, under_lower = lower.coordinates(at)
    _, under_upper = upper.coordinates(at)
    middle = (along > 0.04) & (along < 0.96)
    upper_wedge = (under_lower < 0) & (under_upper > -upper.wedge_px(along, upper=True))
    lower_wedge = (under_upper >= 0) & (under_lower < lower.wedge_px(along, upper=False))
    seen &= head
    known_base = seen & ~upper_wedge & ~((side == 1).any(-1) & middle)
    known_upper = seen & ~lower_wedge & ~((side == -1).any(-1) & middle)

    distance = cv2.distanceTransform((~head).astype(np.uint8), cv2.DIST_L2, 5) * step / unit_px
    fade = np.clip(1 - distance / FALLOFF, 0, 1)
    fade = (fade * fade * (3 - 2 * fade))[..., None]
    apart = np.clip(distance / WIDE_BLUR, 0, 1)[..., None]
    narrow, wide = 0.03 * unit_px / step, WIDE_BLUR * unit_px / step

    def finishing(known: NDArray[np.bool_], box: Box) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """What continues fields (h, w, c), known over base_box, over `box`."""
        area = np.s_[box.top - base_box.top : box.bottom - base_box.top,
                     box.left - base_box.left : box.right - base_box.left]  # fmt: skip
        over_lips, over_face = Continuation.of(known[area]), Continuation.of(head[area])
        ends_inside, share, faded = head[area].all(), apart[area], fade[area]

        def finish(values: NDArray[np.float32]) -> NDArray[np.float32]:
            lips = over_lips(np.ascontiguousarray(values[area]), narrow)
            if not ends_inside:
                lips = over_face(lips, narrow) * (1 - share) + over_face(lips, wide) * share
            return blurred(lips, 0.8) * faded

        return finish

    height = upper.upper_px + 0.1 * unit_px
    low, high = upper.points.min(0) - height, lower.points.max(0) + np.array([height, 0.25 * unit_px])
    upper_box = box_around(low, high, step, nodes)
    layers = [(box, finishing(known, box)) for box, known in ((base_box, known_base), (upper_box, known_upper))]

    moved = displacements(model, fit)
    moving = np.flatnonzero(moved.any((0, 2))).tolist()
    closings = _closings(upper, lower, at, unit_px)
    count = moved.shape[1] + closings.shape[2] // 2
    fields = [np.zeros((count, *box.shape, 2), np.float32) for box, _ in layers]

    def fill(weights: list[int]) -> None:
        """Two fields at a time: four channels, which stay in a core's cache and suit OpenCV."""
        if weights[0] < moved.shape[1]:
            values = interpolate(np.ascontiguousarray(moved[:, weights]).reshape(len(points), -1), triangles, raster)
        else:
            first = 2 * (weights[0] - moved.shape[1])
            values = closings[..., first : first + 2 * len(weights)]
        for (box, finish), of_layer in zip(layers, fields, strict=True):
            done = finish(values)
            of_layer[weights] = done.reshape(*box.shape, -1, 2).transpose(2, 0, 1, 3)

    later = list(range(moved.shape[1], count))
    pairs = [some[i : i + 2] for some in (moving, later) for i in range(0, len(some), 2)]
    with ThreadPoolExecutor(threads(), thread_name_prefix="fields") as pool:
        list(pool.map(fill, pairs))
    return Layers(fields[0], fields[1], base_box, upper_box)


def threads() -> int:
    """One for each core that the calling thread may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _closings(upper: LipLine, lower: LipLine, at: NDArray[np.float32], unit_px: float) -> NDArray[np.float32]:
    """(h, w, 2 * 2 * CLOSINGS): moving a stretch of the lower, then of the upper lip along the face's down by 1 px."""
    amount = closing_amount(upper, lower, at, unit_px)
    return (amount[..., None] * upper.down).reshape(*at.shape[:2], -1)
