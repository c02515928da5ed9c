"""What is seen between the lips: teeth, tongue and hollow, in the light that the lips let in.
Tensor arithmetic for a batch, after `MouthInterior.render`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from models.gpu.atlas import Atlas, Faces
from models.gpu.layout import LAYERS, SHAPES, TEXTURES, Numbers
from models.gpu.sampling import interpolate, sample_texture
from models.gpu.warps import Held
from models.mouth import (
    BETWEEN_TEETH,
    DEEP_LIGHT,
    FULLY_ROUND,
    LIP_SHADOW,
    ROUNDED_DARKER,
    ROUNDING,
    TEETH_LIGHT,
    TEETH_SHADOW,
    TIP_BEHIND_CM,
    TIP_BETWEEN_CM,
    TIP_FROM_CM,
    TONGUE_OUT,
    TONGUE_TIP_UP,
)
from models.mouth_builder import JAW_KEYS, JAW_OPEN, LOWER_LOWERED_CM, RESOLUTION, TONGUE_RAISED_CM


def mouth_inside(
    at: Tensor, weights: Tensor, upper: Tensor, lower: Tensor, held: Held, faces: Faces, atlas: Atlas
) -> Tensor:
    """(B, h, w, 3) colours 0..255 between the lips at px `at` (B, h, w, 2) of the shown picture.

    weights: (B, W). upper, lower: (B, n, 2) px, the edges of the opening.
    """
    own = faces.numbers
    jaw_at = own.lower_at + torch.einsum("bs,bsk->bk", weights[:, :SHAPES], own.jaw_travel)
    tip = weights[:, TONGUE_OUT : TONGUE_OUT + 1] / TONGUE_TIP_UP
    first, share = _between_keys(own.own_jaw + weights[:, JAW_OPEN : JAW_OPEN + 1])
    share = share[..., None, None]
    anchors_px = {
        "hollow": (own.upper_at + jaw_at) / 2,
        "tip": _tip_at(jaw_at, tip, own),
        "upper": own.upper_at,
        "tongue": jaw_at - (TONGUE_RAISED_CM + LOWER_LOWERED_CM) * own.down_per_cm,
        "lower": jaw_at,
    }
    before_head = _undone(at, *held.near(own.lip_lines[:, 0].mean(1)))
    hollow, tip_seen, upper_teeth, tongue, tongue_next, lower_teeth, lower_next = _layers(
        before_head, anchors_px, first, faces, atlas
    )

    rounded = (torch.stack([weights[:, k] for k in ROUNDING]).sum(0) / FULLY_ROUND).clamp(0, 1)
    teeth_light, deep_light = _light(at, upper, lower, rounded, own)
    before = (tip > BETWEEN_TEETH)[..., None, None]
    behind = ((tip > 0) & (tip <= BETWEEN_TEETH))[..., None, None]
    canvas = own.cavity[:, None, None].expand(*at.shape[:3], 3)
    canvas = _laid(canvas, hollow, deep_light)
    canvas = _laid(canvas, torch.lerp(tongue, tongue_next, share), deep_light)
    canvas = _laid(canvas, tip_seen * behind, deep_light)
    canvas = _laid(canvas, torch.lerp(lower_teeth, lower_next, share), deep_light)
    canvas = _laid(canvas, upper_teeth, teeth_light)
    canvas = _laid(canvas, tip_seen * before, teeth_light)
    black = own.black[:, None, None]
    return (canvas * (1 - black / 255) + black).clamp(0, 255).floor()


def _layers(at: Tensor, anchors_px: dict[str, Tensor], first: Tensor, faces: Faces, atlas: Atlas) -> tuple[Tensor, ...]:
    """(B, h, w, 4) premultiplied, at px `at` (B, h, w, 2) of the photo: hollow, tip, upper teeth, then tongue and lower
    teeth, each at the key `first` (B,) of the jaw and at the next. anchors_px: (B, 2) px of each of LAYERS."""
    still, of_jaw = LAYERS[:3], LAYERS[3:]
    places = [faces.place(layer) for layer in still]
    flat, count = faces.places.view(-1, 3), faces.places.shape[1]
    rows = torch.arange(len(first), device=first.device) * count
    for layer in of_jaw:
        places += [flat.index_select(0, rows + TEXTURES[f"{layer}_0"] + first + k) for k in (0, 1)]
    names = [*still, *(layer for layer in of_jaw for _ in (0, 1))]
    anchors = faces.numbers.anchors
    offset = torch.stack([anchors[:, LAYERS.index(name)] - RESOLUTION * anchors_px[name] for name in names], 1)
    in_layers = (RESOLUTION * at)[:, None] + offset[:, :, None, None]
    seen = sample_texture(atlas.texels, torch.stack(places, 1).flatten(0, 1), in_layers.flatten(0, 1))
    return seen.unflatten(0, (len(first), len(names))).unbind(1)


def _undone(at: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
    """Positions (B, h, w, 2) before the affine map (B, 2, 2), (B, 2) brought them to `at`."""
    (a, b), (c, d) = (row[:, :, None, None].unbind(1) for row in turn.unbind(1))
    x, y = (at - shift[:, None, None]).unbind(3)
    determinant = a * d - b * c
    return torch.stack([(d * x - b * y) / determinant, (a * y - c * x) / determinant], 3)


def _light(at: Tensor, upper: Tensor, lower: Tensor, rounded: Tensor, own: Numbers[Tensor]) -> tuple[Tensor, Tensor]:
    """(B, h, w) share of the light that falls on the upper teeth, and on all behind and below them.

    rounded: (B,) 0..1, how far the lips are so.
    """
    columns, rows = at[:, 0, :, 0], at[:, :, :1, 1]
    above, below = (interpolate(columns, *edge.unbind(2))[:, None] for edge in (upper, lower))
    unit = own.mouth_unit_px[:, None]
    gap = (below - above).clamp(min=0)
    wide = (gap / (0.05 * unit)).clamp(0, 1)
    open_ = (gap.amax(2, keepdim=True) / (0.07 * unit)).clamp(max=1)
    under = ((rows - above) / (LIP_SHADOW * unit)).clamp(0, 1)
    under_teeth = ((rows - above) / (TEETH_SHADOW * unit)).clamp(0, 1)
    kept = 1 - ROUNDED_DARKER * rounded[:, None, None]
    (a, b, c), (d, e, f) = TEETH_LIGHT, DEEP_LIGHT
    teeth = (a + (1 - a) * under * (2 - under)) * (b + (1 - b) * wide) * (c + (1 - c) * open_) * kept
    return teeth, (d + (1 - d) * under_teeth) * (e + (1 - e) * wide) * (f + (1 - f) * open_) * kept


def _tip_at(jaw_at: Tensor, tip: Tensor, own: Numbers[Tensor]) -> Tensor:
    start = jaw_at + TIP_FROM_CM * own.down_per_cm
    raised = torch.where(tip > BETWEEN_TEETH, TIP_BETWEEN_CM, TIP_BEHIND_CM)
    return start + (own.upper_at - raised * own.down_per_cm - start) * tip.clamp(max=1)


def _between_keys(jaw: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) the key below `jaw` (B, 1), and (B, 1) how far it is to the next."""
    stretches = [((jaw - low) / (high - low)).clamp(0, 1) for low, high in pairwise(JAW_KEYS)]
    place = torch.stack(stretches).sum(0)
    first = place.long().clamp(max=len(JAW_KEYS) - 2)
    return first[:, 0], place - first


def _laid(below: Tensor, layer: Tensor, light: Tensor) -> Tensor:
    return below * (1 - layer[..., 3:] / 255) + layer[..., :3] * light[..., None]
