"""Prepares the inside of a mouth for one photo: its light and colours, and pictures of teeth, gums and tongue.
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
from models.face_model import FaceModel
from models.fit import FaceFit
from models.mesh_paint import LIGHT, paint, vertex_normals
from models.own_teeth import OwnTeeth

JAW_KEYS = (0.0, 0.2, 0.45, 0.8)
"""Values of jawOpen at which the jaw is painted."""

RESOLUTION = 2
"""Layer pixels per picture pixel."""

JAW_OPEN = ARKIT_INDEX["jawOpen"]
JAW_SHAPES = [ARKIT_INDEX[name] for name in ("jawForward", "jawRight", "jawLeft", "jawOpen")]
UPPER_LOWERED_CM, LOWER_LOWERED_CM, TONGUE_RAISED_CM = 0.10, 0.20, 0.30
"""Where rows and tongue look right behind lips that were fitted from landmarks."""

UPPER_CROP_CM, LOWER_CROP_CM, TONGUE_CROP_CM = (2.9, 1.5, 0.6), (2.9, 1.5, 1.3), (2.6, 2.4, 1.2)
"""Half width, height above and below the incisal edge that a picture covers."""

_CHEEKS = (50, 280, 205, 425, 117, 346)
_LIPS = (16, 86, 316, 11, 72, 302)
_EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))


@dataclass(frozen=True, slots=True)
class Tones:
    """Colours (3,) BGR 0..255 in the photo's light: of a tooth in full light, of gums and tongue, of the cavity."""

    tooth: NDArray[np.float32]
    gum: NDArray[np.float32]
    tongue: NDArray[np.float32]
    cavity: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layers:
    """Premultiplied BGRA pictures, and where their anchor, the middle of the incisal edge, lies in them (x, y)."""

    upper: NDArray[np.uint8]
    upper_anchor: NDArray[np.float32]
    lower: NDArray[np.uint8]
    lower_anchor: NDArray[np.float32]
    tongue: NDArray[np.uint8]
    tongue_anchor: NDArray[np.float32]


def landmark_px(model: FaceModel, fit: FaceFit, landmarks: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, 2) places of landmarks in the photo, as the fit has them."""
    row = {int(index): k for k, index in enumerate(model.landmark_index)}
    rows = [row[index] for index in landmarks]
    at = model.landmark_vertex[rows]
    head = model.vertices(fit.identity, fit.expression)[at] + model.landmark_offset[rows]
    return model.project(head, fit.pose)[0] + fit.snap_px[at]


def measure_tones(model: FaceModel, fit: FaceFit, photo_bgr: NDArray[np.uint8], own: OwnTeeth | None) -> Tones:
    """Teeth are as the photo shows them, else as bright as the whites of the eyes or the skin, whichever is brighter.

    The rest goes by the lips.
    """
    skin = _patch_median(photo_bgr, landmark_px(model, fit, _CHEEKS), 0.25 * fit.pose.scale_px)
    whites = [_eye_white(photo_bgr, landmark_px(model, fit, eye)) for eye in _EYES]
    white = max(whites, key=_luma)
    luma = float(np.clip(max(1.15 * _luma(white), 1.18 * _luma(skin)), 140, 228))
    colourful = _colourful(photo_bgr)
    tint = skin / max(_luma(skin), 1)
    cast = np.clip(0.75 + 0.25 * white / max(_luma(white), 1), 0.95, 1.05)
    lips = _patch_median(photo_bgr, landmark_px(model, fit, _LIPS), 0.15 * fit.pose.scale_px)

    def tone(hue: tuple[float, float, float], strength: float, of_lips: float) -> NDArray[np.float32]:
        shade = np.array(hue, np.float32) / _luma(np.array(hue))
        shade = (1 - of_lips) * shade + of_lips * lips / max(_luma(lips), 1)
        shade = tint + (cast * shade - tint) * colourful
        return (luma * strength * shade / _luma(shade)).astype(np.float32)

    return Tones(
        # A little of the lips' red is thrown on the teeth.
        tooth=tone((0.85, 0.93, 1.0), 1.0, 0.06) if own is None else own.colour,
        gum=tone((0.52, 0.50, 0.88), 0.50, 0.4),
        tongue=tone((0.46, 0.45, 0.86), 0.44, 0.4),
        cavity=tone((0.42, 0.38, 0.80), 0.12, 0.3),
    )


def paint_layers(model: FaceModel, fit: FaceFit, tones: Tones) -> Layers:
    """Pictures of the upper row, and of lower row and tongue at each of `JAW_KEYS`."""
    gums = model.triangles[model.part_triangles["gums_and_tongue"]]
    tongue, lower_gum, upper_gum = split_gums(model, gums)
    rows = {name: model.triangles[model.part_triangles[name]] for name in ("teeth_upper", "teeth_lower")}
    albedo = np.zeros((len(model.neutral), 3), np.float32)
    albedo[gums] = tones.gum
    albedo[tongue] = tones.tongue
    for name, row in rows.items():
        albedo[model.parts[name]] = tones.tooth * _tooth_tints(model, name)[:, None]
        albedo[row] *= 1.0 if name == "teeth_upper" else 0.86

    def layer(jaw_open: float, triangles: NDArray[np.int32], anchor: NDArray[np.float32], crop_cm, fade_cm: float):
        head = jaw_vertices(model, fit, jaw_open)
        step = fit.pose.scale_px * RESOLUTION
        half, above, below = (value * step for value in crop_cm)
        size = int(np.ceil(above + below)), int(np.ceil(2 * half))
        place, depth = model.project(head, fit.pose)
        in_layer = np.c_[(place - anchor) * RESOLUTION + [half, above], depth * step].astype(np.float32)
        lit = albedo * _shade(in_layer, triangles, depth, fade_cm)[:, None]
        painted = cv2.GaussianBlur(paint(in_layer, triangles, lit, size), (0, 0), 0.03 * step)
        return painted, np.array([half, above], np.float32)

    upper, upper_anchor = layer(
        0.0,
        np.concatenate([upper_gum, rows["teeth_upper"]]),
        incisor_px(model, fit, "teeth_upper", 0.0),
        UPPER_CROP_CM,
        3.2,
    )
    jaws = [
        (
            layer(key, np.concatenate([lower_gum, rows["teeth_lower"]]), at, LOWER_CROP_CM, 3.2),
            layer(key, tongue, at, TONGUE_CROP_CM, 3.0),
        )
        for key in JAW_KEYS
        for at in [incisor_px(model, fit, "teeth_lower", key)]
    ]
    return Layers(
        upper,
        upper_anchor,
        np.stack([row for (row, _), _ in jaws]),
        jaws[0][0][1],
        np.stack([picture for _, (picture, _) in jaws]),
        jaws[0][1][1],
    )


def with_own_teeth(layers: Layers, own: OwnTeeth, middle_x: float) -> Layers:
    """The upper row with the photo's own teeth, their edge at the anchor; middle_x: the row's middle in the photo."""
    height, width = layers.upper.shape[:2]
    shift = (own.corner - [middle_x, own.edge_y]) * RESOLUTION + layers.upper_anchor
    place = np.array([[RESOLUTION, 0, shift[0]], [0, RESOLUTION, shift[1]]], np.float32)
    laid = cv2.warpAffine(own.picture, place, (width, height), flags=cv2.INTER_CUBIC).astype(np.float32)
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


def split_gums(
    model: FaceModel, gums: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Triangles of tongue, lower and upper gum. The mesh is one piece: the jaw's travel and the arch of teeth tell."""
    travel = -model.expression[JAW_OPEN, :, 1]
    full = travel[incisor_vertices(model, "teeth_lower")].mean()
    middle = model.neutral[gums].mean(1)
    lower = travel[gums].mean(1) > 0.25 * full
    teeth = model.neutral[model.parts["teeth_lower"]]
    depths = np.linspace(teeth[:, 2].min(), teeth[:, 2].max() - 0.45, 12)
    widths = [np.abs(teeth[np.abs(teeth[:, 2] - z) < 0.5, 0]).mean() for z in depths]
    inside = np.abs(middle[:, 0]) < np.interp(middle[:, 2], depths, widths, right=0.0) - 0.2
    return gums[lower & inside], gums[lower & ~inside], gums[~lower & (middle[:, 2] > 6)]


def _shade(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], depth: NDArray[np.float32], fade_cm: float
) -> NDArray[np.float32]:
    """(V,) Lambert over ambient light, fading with the depth behind the foremost vertex."""
    used = np.unique(triangles)
    normals = vertex_normals(vertices * np.array([1, -1, 1], np.float32), triangles)
    lambert = np.clip(normals @ LIGHT, 0, 1)
    facing = np.clip(normals[:, 2], 0, 1)
    behind = depth[used].max() - depth
    return (0.45 + 0.55 * lambert) * (0.6 + 0.4 * np.sqrt(facing)) * np.exp(-behind / fade_cm)


def _tooth_tints(model: FaceModel, row: str) -> NDArray[np.float32]:
    """(n,) brightness of each vertex of a row: no two teeth are alike, and the neck is darker than the edge."""
    part = model.parts[row]
    own = model.neutral[part]
    side = 1.0 if row == "teeth_upper" else -1.0
    edge = (own[:, 1] * side).min()
    along = np.clip((own[:, 1] * side - edge) / 0.9, 0, 1)
    tooth = np.round(own[:, 0] / 0.75)
    return (1.0 - 0.10 * along**2 + 0.02 * np.sin(tooth * 2.4)).astype(np.float32)


def _colourful(photo_bgr: NDArray[np.uint8]) -> float:
    """0 for a photograph in one tint (grey, sepia) to 1 for one in colours, by the spread of its hues."""
    small = cv2.resize(photo_bgr, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) + 8
    low, high = np.quantile(small[..., 2] / small[..., 1], [0.1, 0.9])
    return float(np.clip((high - low - 0.14) / 0.1, 0, 1))


def _luma(colour: NDArray[np.floating]) -> float:
    return float(np.asarray(colour, np.float32) @ np.array([0.114, 0.587, 0.299], np.float32))


def _patch_median(picture: NDArray[np.uint8], centres: NDArray[np.float32], radius_px: float) -> NDArray[np.float32]:
    mask = np.zeros(picture.shape[:2], np.uint8)
    for x, y in centres:
        cv2.circle(mask, (round(float(x)), round(float(y))), max(1, round(radius_px)), 1, -1)
    inside = picture[mask > 0]
    return np.median(inside, axis=0).astype(np.float32) if len(inside) else np.full(3, 128, np.float32)


def _eye_white(picture: NDArray[np.uint8], eye: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the brighter, less coloured pixels between the lids; highlights, the brightest few, are left out."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(eye).astype(np.int32)], 1)
    inside = picture[mask > 0].astype(np.float32)
    if len(inside) < 8:
        return np.zeros(3, np.float32)
    white = inside.min(1)
    low, high = np.quantile(white, [0.75, 0.96])
    return inside[(white >= low) & (white <= high)].mean(0)
