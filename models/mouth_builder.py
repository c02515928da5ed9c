"""Prepares the inside of a mouth for one photo: pictures of teeth, gums and tongue.
Pure arithmetic on arrays; touches nothing.
The jaw's pictures are painted at a few openings, each relative to the lower incisors, because a turning jaw shows more
and more of its tongue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.face_model import FaceModel, Pose
from models.fit import FaceFit
from models.mesh_paint import LIGHT, paint, vertex_normals
from models.mouth_tones import LUMA, SHARP_PX, Tones, finest, luma_of
from models.own_teeth import OwnTeeth
from models.teeth import ARCHES, Row, RowName, build_row, carried, row_motion
from models.tongue import build_tongue, paint_hollow, paint_tip

JAW_KEYS = (0.0, 0.2, 0.45, 0.8)
"""Values of jawOpen at which the jaw is painted."""

RESOLUTION = 2
"""Layer pixels per picture pixel."""

JAW_OPEN = ARKIT_INDEX["jawOpen"]
JAW_SHAPES = [ARKIT_INDEX[name] for name in ("jawForward", "jawRight", "jawLeft", "jawOpen")]
UPPER_LOWERED_CM, LOWER_LOWERED_CM, TONGUE_RAISED_CM = 0.10, 0.10, 0.10
"""Where rows and tongue look right behind lips that were fitted from landmarks."""

NEAR_MIDDLE = 0.6
"""Share of the way from where a turned head shows its teeth or tongue to the middle of what is before them."""

TURN_SHOWN = 0.5
"""Share of the head's turn that rows and tongue are painted with. The opening is drawn in the picture's plane: it does
not narrow at its far side as lips do that wrap around an arch, and teeth turned fully would leave it empty there."""

UPPER_CROP_CM, LOWER_CROP_CM, TONGUE_CROP_CM = (2.9, 1.5, 0.6), (2.9, 1.5, 1.3), (2.6, 2.4, 1.2)
"""Half width, height above and below the incisal edge that a picture covers."""

FULLY_LIT_CM = 1.0
"""Distance from the middle at which the bright side of a face lit from aside has all its light."""


@dataclass(frozen=True, slots=True)
class Layers:
    """Premultiplied BGRA pictures, and where their anchor, the middle of the incisal edge, lies in them (x, y)."""

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


def paint_layers(model: FaceModel, fit: FaceFit, tones: Tones) -> Layers:
    """Pictures of the upper row, of lower row and tongue at each of `JAW_KEYS`, of the raised tip and of the hollow."""
    fit = replace(fit, pose=turned_less(fit.pose, TURN_SHOWN))
    step = fit.pose.scale_px * RESOLUTION
    rows: dict[RowName, Row] = {name: build_row(name, tones.tooth, tones.gum) for name in ARCHES}
    tongue = build_tongue(tones.tongue)

    def layer(mesh: Row, name: RowName, jaw_open: float, crop_cm: tuple[float, ...], fade_cm: float, wet: float):
        part = model.parts[name]
        motion = row_motion(model.neutral[part], jaw_vertices(model, fit, jaw_open)[part])
        place, depth = model.project(carried(mesh.vertices, motion), fit.pose)
        half, above, below = (value * step for value in crop_cm)
        at = incisor_px(model, fit, name, jaw_open)
        if mesh is tongue:  # in a turned head it stays behind the teeth
            across = fit.pose.rotation[:2, 0] * np.array([1, -1], np.float32)
            place -= np.float32(NEAR_MIDDLE) * ((place.mean(0) - at) @ across) * across
        in_layer = np.c_[(place - at) * RESOLUTION + [half, above], depth * step].astype(np.float32)
        light, glint = _shade(in_layer, mesh.triangles, depth, fade_cm)
        lit = mesh.colours * light[:, None] + wet * luma_of(tones.tooth) * glint[:, None]
        if mesh is not tongue:  # the front teeth in full light are as bright as they may be
            lit *= luma_of(tones.tooth) / np.quantile(lit @ LUMA, 0.97)
        lit *= np.minimum(1, luma_of(tones.tooth) / np.maximum(lit @ LUMA, 1))[:, None]
        size = int(np.ceil(above + below)), int(np.ceil(2 * half))
        painted = cv2.GaussianBlur(paint(in_layer, mesh.triangles, lit, size), (0, 0), 0.02 * step)
        aside = _lit_from_aside(np.asarray(painted, np.uint8), half, tones.side / step)
        return aside, np.array([half, above], np.float32)

    upper, upper_anchor = layer(rows["teeth_upper"], "teeth_upper", 0.0, UPPER_CROP_CM, 2.8, 0.20)
    lowers = [layer(rows["teeth_lower"], "teeth_lower", key, LOWER_CROP_CM, 2.6, 0.12) for key in JAW_KEYS]
    tongues = [layer(tongue, "teeth_lower", key, TONGUE_CROP_CM, 2.6, 0.22) for key in JAW_KEYS]
    tip, tip_anchor = paint_tip(tones.tongue, step)
    hollow, hollow_anchor = paint_hollow(tones.cavity, tones.wall, step)
    hollow = _lit_from_aside(hollow, float(hollow_anchor[0]), tones.side / step)
    tip = _lit_from_aside(tip, float(tip_anchor[0]), tones.side / step)
    return Layers(
        upper=upper,
        upper_anchor=upper_anchor,
        lower=np.stack([picture for picture, _ in lowers]),
        lower_anchor=lowers[0][1],
        tongue=np.stack([picture for picture, _ in tongues]),
        tongue_anchor=tongues[0][1],
        tip=tip,
        tip_anchor=tip_anchor,
        hollow=hollow,
        hollow_anchor=hollow_anchor,
    )


def turned_less(pose: Pose, share: float) -> Pose:
    """A head that is turned aside by `share` of its yaw; it nods and tilts as before."""
    ahead = pose.rotation[:, 2]
    back = (share - 1) * np.arctan2(ahead[0], ahead[2])
    cos, sin = np.cos(back), np.sin(back)
    about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
    return replace(pose, rotation=about_y @ pose.rotation)


def softened(layers: Layers, soft_px: float) -> Layers:
    """Layers as soft as a photo whose edges are `soft_px` wide; own teeth are so already."""
    more = RESOLUTION * np.sqrt(max(soft_px**2 - SHARP_PX**2, 0.0))
    if more < 0.2:
        return layers

    def blurred(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), more), np.uint8)

    return replace(
        layers,
        upper=blurred(layers.upper),
        lower=np.stack([blurred(picture) for picture in layers.lower]),
        tongue=np.stack([blurred(picture) for picture in layers.tongue]),
        tip=blurred(layers.tip),
    )


def grained(layers: Layers, grain: float) -> Layers:
    """Layers with noise of standard deviation `grain` (of 255) at the photo's pixels: nothing in it is smoother."""
    random = np.random.default_rng(7)

    def noisy(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        noise = cv2.GaussianBlur(random.standard_normal(picture.shape[:2], np.float32), (0, 0), 0.5 * RESOLUTION)
        noise *= grain / finest(np.asarray(noise, np.float32), RESOLUTION).std()
        out = picture.astype(np.float32)
        out[..., :3] += (noise * (out[..., 3] / 255))[..., None]
        return np.round(out).clip(0, 255).astype(np.uint8)

    return replace(
        layers,
        upper=noisy(layers.upper),
        lower=np.stack([noisy(picture) for picture in layers.lower]),
        tongue=np.stack([noisy(picture) for picture in layers.tongue]),
        tip=noisy(layers.tip),
        hollow=noisy(layers.hollow),
    )


def with_own_teeth(layers: Layers, own: OwnTeeth, middle_x: float, black: NDArray[np.float32]) -> Layers:
    """The upper row with the photo's own teeth, their edge at the anchor; middle_x: the row's middle in the photo.

    black: (3,) the photo's, which is laid over the mouth as it is drawn and so is taken out of them.
    """
    height, width = layers.upper.shape[:2]
    shift = (own.corner - [middle_x, own.edge_y]) * RESOLUTION + layers.upper_anchor
    place = np.array([[RESOLUTION, 0, shift[0]], [0, RESOLUTION, shift[1]]], np.float32)
    laid = cv2.warpAffine(own.picture, place, (width, height), flags=cv2.INTER_CUBIC).astype(np.float32)
    laid[..., :3] = (laid[..., :3] - black * laid[..., 3:] / 255).clip(0) / (1 - black / 255)
    columns = (np.arange(width) - shift[0]) / RESOLUTION
    ends = np.interp(columns, np.arange(len(own.ends)), own.ends) * RESOLUTION + shift[1]
    drawn = layers.upper * np.clip(ends + RESOLUTION - np.arange(height)[:, None], 0, 1)[..., None]
    mixed = drawn * (1 - laid[..., 3:] / 255) + laid
    return replace(layers, upper=np.round(mixed).clip(0, 255).astype(np.uint8))


def jaw_vertices(model: FaceModel, fit: FaceFit, jaw_open: float) -> NDArray[np.float32]:
    """(V, 3) the person's head at rest but for the jaw."""
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    weights[JAW_OPEN] = jaw_open
    return model.vertices(fit.identity, weights)


def incisor_px(model: FaceModel, fit: FaceFit, row: str, jaw_open: float) -> NDArray[np.float32]:
    """(2,) place in the picture of the middle of a row's incisal edge, without the fit's snap."""
    at = incisor_vertices(model, row)
    return model.project(jaw_vertices(model, fit, jaw_open)[at], fit.pose)[0].mean(0)


def incisor_vertices(model: FaceModel, row: str) -> NDArray[np.int64]:
    """Vertices of the incisal edge next to the middle."""
    part = model.parts[row]
    own = model.neutral[part]
    central = np.abs(own[:, 0]) < 0.5
    edge = own[central, 1].min() if row == "teeth_upper" else own[central, 1].max()
    return (
        np.flatnonzero(central & (np.abs(own[:, 1] - edge) < 0.12) & (own[:, 2] > own[central, 2].max() - 0.6))
        + part.start
    )


def _shade(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], depth: NDArray[np.float32], fade_cm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(V,) Lambert over ambient light, fading with the depth behind the foremost vertex; and (V,) the wet highlight."""
    normals = vertex_normals(vertices * np.array([1, -1, 1], np.float32), triangles)
    lambert = np.clip(normals @ LIGHT, 0, 1)
    halfway = LIGHT + np.array([0, 0, 1], np.float32)
    glint = np.clip(normals @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 40
    fade = np.exp(-(depth.max() - depth) / fade_cm)
    return (0.42 + 0.58 * lambert) * fade, glint * fade


def _lit_from_aside(picture: NDArray[np.uint8], middle: float, slope: float) -> NDArray[np.uint8]:
    """A premultiplied layer (h, w, 4) in light that changes across it by `slope` a pixel, full on the bright side."""
    from_middle = slope * (np.arange(picture.shape[1]) - middle)
    light = np.exp(np.minimum(from_middle - abs(slope) * FULLY_LIT_CM * middle / UPPER_CROP_CM[0], 0))
    out = picture.copy()
    out[..., :3] = np.round(picture[..., :3] * light[:, None])
    return out
