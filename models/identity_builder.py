"""Everything a frame needs, prepared once from a framed photo and its landmarks.
Pure arithmetic on arrays; touches nothing.
Fit, lip line, displacement fields of both layers, lip contours, head depth and hold, textures.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.body import body_hold
from models.curves import smoothstep
from models.eyes import Eyes
from models.face_model import FaceModel
from models.fields import Layers, blurred, build_layers, continued, interpolate, rasterise, skin_triangles, threads
from models.fit import FACE_OVAL, FaceFit, eye_distance, fit_face
from models.generator import FrameGenerator
from models.identity import HEAD_STEP, Identity
from models.inner_lip import lip_height_px, turned_in_ends, with_inner_lip
from models.lip_shadow import without_shadow
from models.lips import (
    CLOSINGS,
    COLUMNS,
    INNER_LOWER,
    INNER_UPPER,
    LipLine,
    closing_amount,
    gap_px,
    lip_lines,
    midway,
    refined,
)
from models.mouth import MouthInterior
from models.own_teeth import OwnTeeth, clear_of_teeth, find_teeth
from models.smile import soften_folds
from models.warp import Box, node_positions, sample

HEAD_CENTRE_CM = np.array([[0.0, -3.0, 1.5]], np.float32)
"""What the head turns about, in the head's own frame: the top of the spine, brought forward so that hair moves less."""

HOLD_REACH = 1.3
"""Distance from the head, in eye distances, over which the background stops following it."""

BORDER_REACH = 0.35
"""Distance from the picture's border, in eye distances, over which it stops too: nothing may come in from outside."""

INNER_STRIP = 0.022
"""Height of the inner lip that comes to light in an open mouth, in eye distances."""

CHIN = 152
JAW_OPEN = ARKIT_INDEX["jawOpen"]
JAW_APERTURE = 0.38
"""Mean gap between the lips in eye distances at jawOpen 1: 0.11 at 0.3, the widest vowel of ordinary speech."""

NARROWING = {"mouthPucker": 0.34, "mouthFunnel": 0.22}
"""Share of the mouth's width that rounding takes away at 1. The 3D face moves its lips forward instead, which a frontal
picture does not show."""

OPEN_MOUTH = 0.05
"""Gap between the lips, in eye distances, from which a photo's mouth is shut at enrolment. Landmarks err by so much
that some shut lips seem 0.04 apart; shutting them once more is harmless, but the photo at rest would not be itself."""

SMILE_UNDONE, MOUTH_UNDONE = 0.5, 0.8
"""Share of the photo's own expression that is taken back with it; traces of its folds stay, so it must not vanish."""

SMILES, FOLDS_BY_SMILE = [ARKIT_INDEX["mouthSmileLeft"], ARKIT_INDEX["mouthSmileRight"]], 1.6
"""How much of the folds is filled, by the strength of the smile."""

LINE_SEARCH = 0.03
"""How far the line between closed lips may lie from its landmarks, in eye distances."""

UPPER_LIP = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306,
             62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292]  # fmt: skip
"""Landmarks that move with the upper lip."""

LIPS_REACH, NARROWING_REACH = 0.08, 0.45
"""Distance from the line between the lips, in eye distances, up to which skin follows that narrowing fully, and from
which it moves as in the 3D face."""

INCISORS_BELOW_CM = 0.36
"""Edge of the upper incisors below the line between closed lips, which is seen; the fit only guesses it."""

OWN_INCISORS_BELOW_CM = (0.15, 0.5)
"""Limits of the same where the photo shows it, because shutting the lips moves them only roughly."""

INNER_COLUMNS = slice(6, 32)
"""Columns of the lip line over which an aperture is averaged."""


def step_px(size_px: int) -> int:
    """Pixels between the nodes of the displacement grid: 128 to 256 nodes across the picture."""
    return 4 if size_px > 640 and size_px % 4 == 0 else 2


def jaw_gain(gap: NDArray[np.floating]) -> float:
    """Factor on jawOpen, from the gap (n,) in eye distances that it opens at 1: faces differ, speech should not."""
    aperture = float(gap[INNER_COLUMNS].mean())
    return float(np.clip(JAW_APERTURE / max(aperture, 1e-3), 0.8, 1.7))


def narrowing_gain(narrower: float, wanted: float) -> float:
    """Factor on a shape's sideways part, from the share of the mouth's width that it takes away at 1."""
    return float(np.clip(wanted / max(narrower, 1e-3), 1.0, 2.2))


def projected(model: FaceModel, fit: FaceFit) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vertices on the photo (V, 2) px, landmarks' residuals included, and their depth (V,) cm."""
    points, depth = model.project(model.vertices(fit.identity, fit.expression), fit.pose)
    return points + fit.snap_px, depth


def build_identity(model: FaceModel, picture: NDArray[np.uint8], points: NDArray[np.floating]) -> Identity:
    """From a square picture (S, S, 3) uint8 BGR and landmarks (478, 2) px on it.

    Parted lips are shut first, once and for all; then the shut face is prepared as if it were the photo.
    """
    unit = eye_distance(points)
    lips = lip_lines(points)
    teeth = None
    if float(gap_px(*lips).max()) > OPEN_MOUTH * unit:
        teeth = find_teeth(picture, points)
        lips = clear_of_teeth(picture, lips, unit)
        picture, points = _shut(model, picture, points, lips)
        lips = lip_lines(points)
    line = refined(midway(*lips), picture, LINE_SEARCH * unit)
    return _prepared(model, fit_face(model, points), picture, points, (line, line), alive=True, teeth=teeth)


def _shut(
    model: FaceModel, picture: NDArray[np.uint8], points: NDArray[np.floating], lips: tuple[LipLine, LipLine]
) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    """The picture and its landmarks with the lips shut: most of the mouth's expression undone, then the gap closed."""
    fit = fit_face(model, points)
    open_face = FrameGenerator(_prepared(model, fit, picture, points, lips, alive=False))
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    for index, name in enumerate(ARKIT_NAMES):
        if name.startswith(("mouth", "jaw")):
            weights[index] = -fit.expression[index] * (SMILE_UNDONE if "Smile" in name else MOUTH_UNDONE)
    weights[ARKIT_INDEX["mouthClose"]] = 1
    points = points.astype(np.float32)
    moved = open_face.follow(weights, points, upper=False)
    moved[UPPER_LIP] = open_face.follow(weights, points[UPPER_LIP], upper=True)
    for edge, at in zip((INNER_UPPER, INNER_LOWER), open_face.lips(weights), strict=True):
        moved[list(edge)] = at[np.round(np.linspace(0, len(at) - 1, len(edge))).astype(int)]
    smile = float(fit.expression[SMILES].mean()) * FOLDS_BY_SMILE
    return soften_folds(open_face.render_far(weights), moved, eye_distance(points), smile), moved


def _prepared(
    model: FaceModel,
    fit: FaceFit,
    picture: NDArray[np.uint8],
    points: NDArray[np.floating],
    lips: tuple[LipLine, LipLine],
    alive: bool,
    teeth: OwnTeeth | None = None,
) -> Identity:
    """All arrays of a fitted face whose lips' inner edges are `lips`. alive: with mouth, own teeth and eyes."""
    size = picture.shape[0]
    step, unit = step_px(size), eye_distance(points)
    nodes = size // step
    on_photo, depth = projected(model, fit)
    oval = points[list(FACE_OVAL)]
    # What needs no fields is made beside them.
    with ThreadPoolExecutor(threads(), thread_name_prefix="enroll") as pool:
        inside = pool.submit(MouthInterior.build, model, fit, picture, teeth) if alive else None
        textures = pool.submit(_textures, picture, points, lips, unit)
        eyes = pool.submit(Eyes.build, picture, points) if alive else None
        head = pool.submit(_head, model, fit, on_photo, depth, lips[1], unit, size, HEAD_STEP * step)
        body = pool.submit(body_hold, picture, oval, points[CHIN], unit, -(-size // (HEAD_STEP * step)))
        layers = build_layers(model, fit, on_photo, depth, oval, lips, unit, nodes, step)
    upper_contour, lower_contour = _contours(layers, lips, step)
    gain = jaw_gain((lower_contour - upper_contour)[JAW_OPEN] @ lips[0].down / unit)
    for moves in (layers.base, layers.upper, upper_contour, lower_contour):
        moves[JAW_OPEN] *= gain
    near = [_near_mouth(lips[0], node_positions(box, step), unit) for box in (layers.base_box, layers.upper_box)]
    for name, narrowing in NARROWING.items():
        index, across = ARKIT_INDEX[name], lips[0].across
        ends = (upper_contour + lower_contour)[index, [0, -1]] @ across / 2
        more = narrowing_gain((ends[0] - ends[1]) / lips[0].width_px, narrowing) - 1
        for moves, share in ((layers.base, near[0]), (layers.upper, near[1]), (upper_contour, 1), (lower_contour, 1)):
            moves[index] += (more * share * (moves[index] @ across))[..., None] * across
    base_texture, upper_texture, lit_texture = textures.result()
    depth_px, hold = head.result()
    centre, _ = model.project(HEAD_CENTRE_CM, fit.pose)
    return Identity(
        picture=picture,
        base_texture=base_texture,
        upper_texture=upper_texture,
        lit_texture=lit_texture[layers.upper_box.pixels(step)],
        base_fields=layers.base.astype(np.float16),
        upper_fields=layers.upper.astype(np.float16),
        base_box=np.array(layers.base_box.bounds, np.int32),
        upper_box=np.array(layers.upper_box.bounds, np.int32),
        step_px=step,
        upper_line=lips[0].points,
        lower_line=lips[1].points,
        lip_down=lips[0].down,
        upper_contour=upper_contour,
        lower_contour=lower_contour,
        closing=_closing(lips, unit),
        depth_px=depth_px.astype(np.float16),
        hold=hold.astype(np.float16),
        body=body.result().astype(np.float16),
        centre_px=centre[0],
        unit_px=unit,
        mouth=_placed(inside.result(), fit, lips[0], gain, teeth) if inside else None,
        eyes=eyes.result() if eyes else None,
    )


def _near_mouth(line: LipLine, at: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """(h, w) 1 around the mouth to 0 at NARROWING_REACH, for positions (h, w, 2) px: cheeks follow lips only so far."""
    along, below = line.coordinates(at)
    aside = np.maximum(np.abs(along - 0.5) - 0.5, 0) * line.width_px
    return np.asarray(1 - smoothstep((np.hypot(aside, below) / unit - LIPS_REACH) / (NARROWING_REACH - LIPS_REACH)))


def _placed(mouth: MouthInterior, fit: FaceFit, line: LipLine, gain: float, teeth: OwnTeeth | None) -> MouthInterior:
    """The inside of the mouth, its teeth placed where the photo shows them, else by the line between the lips."""
    factor = np.where(np.arange(len(ARKIT_NAMES)) == JAW_OPEN, gain, 1)[:, None].astype(np.float32)
    edge = line.points[COLUMNS // 2 - 1 : COLUMNS // 2 + 1].mean(0)
    below_cm = INCISORS_BELOW_CM
    if teeth is not None:
        below_cm = float(np.clip((teeth.edge_y - edge[1]) / fit.pose.scale_px, *OWN_INCISORS_BELOW_CM))
    lowered = (below_cm * fit.pose.scale_px - float((mouth.upper_at - edge) @ line.down)) * line.down
    return replace(
        mouth,
        jaw_travel=mouth.jaw_travel * factor,
        upper_at=mouth.upper_at + lowered,
        lower_at=mouth.lower_at + lowered,
    )


def _contours(
    layers: Layers, lips: tuple[LipLine, LipLine], step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(W, n, 2) how the edges of both lips move with each weight: as their layers do, as one at the corners."""
    upper = np.stack([sample(field, layers.upper_box, step, lips[0].points[None])[0] for field in layers.upper])
    lower = np.stack([sample(field, layers.base_box, step, lips[1].points[None])[0] for field in layers.base])
    for corner in (0, -1):
        upper[:, corner] = lower[:, corner] = (upper[:, corner] + lower[:, corner]) / 2
    return upper, lower


def _closing(lips: tuple[LipLine, LipLine], unit: float) -> NDArray[np.float32]:
    """(2 * CLOSINGS, n): how far each stretch of a lip moves for every column to move by 1 px (ridge least squares)."""
    amount = closing_amount(*lips, lips[1].points, unit)
    respond = amount[:, :CLOSINGS] + amount[:, CLOSINGS:]  # on the line itself either lip may be meant
    solve = np.linalg.solve(respond.T @ respond + 0.005 * np.eye(CLOSINGS), respond.T)
    return np.concatenate([solve, solve]).astype(np.float32)


def _textures(
    picture: NDArray[np.uint8], points: NDArray[np.floating], lips: tuple[LipLine, LipLine], unit: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """What the base and the upper-lip layer are drawn from, the latter's alpha soft along its arch; and the former as
    it is in an open mouth: without the shadow of the upper lip, its ends turned in."""
    upper, lower = lips
    size = picture.shape[0]
    along, below = upper.coordinates(node_positions(Box(0, 0, size, size), 1))
    wedge = upper.wedge_px(along, upper=True)
    alpha = smoothstep((below + wedge) / (np.minimum(0.06 * unit, 0.5 * wedge) + 1e-3))
    alpha = np.where((along > 0) & (along < 1), alpha, 0)
    strip = INNER_STRIP * unit
    height, upper_height = lip_height_px(points, lower, upper=False), lip_height_px(points, upper, upper=True)
    lit = turned_in_ends(without_shadow(picture, lower, unit), lower, height, unit)
    lit = with_inner_lip(lit, lower, strip, height, upper=False)
    base = with_inner_lip(picture, lower, strip, height, upper=False)
    lip = with_inner_lip(picture, upper, strip, upper_height, upper=True)
    return base, np.dstack([lip, np.round(alpha * 255).astype(np.uint8)]), lit


def _head(
    model: FaceModel,
    fit: FaceFit,
    on_photo: NDArray[np.float32],
    depth: NDArray[np.float32],
    line: LipLine,
    unit: float,
    size: int,
    step: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth (M, M) px before the centre of rotation, and how much (0..1) each node follows the head."""
    nodes = -(-size // step)
    everything = Box(0, 0, nodes, nodes)
    triangles = skin_triangles(model)
    raster = rasterise(on_photo, depth, triangles, everything, step)
    seen = raster.triangle >= 0
    _, centre = model.project(HEAD_CENTRE_CM, fit.pose)
    before = ((depth - centre) * fit.pose.scale_px).astype(np.float32)[:, None]
    z = continued(interpolate(before, triangles, raster), seen, 0.3 * unit / step)
    distance = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, 5) * step / unit
    chin = line.points.mean(0) + line.down * line.lower_px
    under = ((node_positions(everything, step) - chin) @ line.down) / (HOLD_REACH * unit)
    at = np.arange(nodes) * step + (step - 1) / 2
    inside = (np.minimum(at, size - 1 - at) - step) / (BORDER_REACH * unit)
    border = smoothstep(inside)[:, None] * smoothstep(inside)
    hold = smoothstep(1 - distance / HOLD_REACH) * (1 - smoothstep(under)) * border
    soft = blurred(np.stack([z[..., 0], hold], -1).astype(np.float32), 0.12 * unit / step)
    return soft[..., 0], soft[..., 1] * border
