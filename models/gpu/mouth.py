"""What is seen between the lips, and the upper lip over it.
Tensor arithmetic for a batch, after `MouthInterior.render` and `FrameGenerator`.
Pictures are (B, h, w, 3) colours 0..255 of the room for the mouth.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from models.compositor import SOFT_PX
from models.generator import CUT_UPPER, INNER_LOWER, INNER_SHARE, LEAST_GAP_PX, SHADOW_GONE
from models.gpu.atlas import Atlas, Faces
from models.gpu.layout import LAYERS, SHAPES, TEXTURES, Numbers
from models.gpu.lips import along_down, coverage, edges
from models.gpu.sampling import grid, interpolate, packed, sample_texture, unpacked, window
from models.gpu.warps import Held, texture_positions, unmoved
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


def draw_mouth(
    frame: Tensor,
    at: Tensor,
    weights: Tensor,
    field: Tensor,
    before_head: Tensor,
    held: Held,
    faces: Faces,
    atlas: Atlas,
) -> None:
    """Draws the lower lip in the light, the inside of the mouth and the upper lip on `frame` (B * S * S,) texels.

    at: (B * S * S, 2) texels of the base texture which the frame's pixels show. weights: (B, W).
    field: (B, 2, h, w) of the upper lip. before_head: (B, N, N, 2) nodes.
    """
    room, own = atlas.room, faces.numbers
    upper, lower, gap = _opening(weights, held, faces, atlas)
    origin = own.mouth_node.long()
    pixels = window(origin * room.step, room.mouth_px, room.size)
    corner = own.mouth_node[:, None] * room.step
    shown = grid(room.mouth_px, frame.device) + corner[:, None]
    columns, rows = shown.unbind(3)

    picture = unpacked(frame.index_select(0, pixels.view(-1))).view(*pixels.shape, 4)[..., :3]
    lit = sample_texture(
        atlas.texels,
        faces.place("lit"),
        at.index_select(0, pixels.view(-1)).view(*pixels.shape, 2) - room.scale * own.lip_box[:, None, None, :2],
    )
    picture = _over(picture, lit[..., :3].round(), _in_the_light(columns, rows, lower, gap, own))

    open_px = along_down(lower - upper, own).clamp(min=0)
    hidden = open_px.clamp(max=2)[..., None] * own.lip_down[:, None]
    outline = torch.cat([upper - hidden, lower.flip(1)], 1) - corner
    opening = coverage(outline, room.mouth_px, own.soft_px + 0.1)
    opening = opening * (open_px.amax(1) > LEAST_GAP_PX)[:, None, None]
    inside = _inside(shown, weights, upper, lower, held, faces, atlas)
    picture = _over(picture, inside, opening)

    beyond = 2 * room.size * own.lip_down[:, None]
    outline = torch.cat([upper, upper[:, -1:] - beyond, upper[:, :1] - beyond], 1) - corner
    above = coverage(outline, room.mouth_px, torch.full_like(own.soft_px, SOFT_PX))
    left, top, right, bottom = (own.lip_box[:, k].view(-1, 1, 1) for k in range(4))
    layer = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    lip = _upper_lip(field, before_head, origin, faces, atlas)
    picture = _over(picture, lip[..., :3], above * layer * lip[..., 3] / 255)
    opaque = torch.nn.functional.pad(picture, (0, 1), value=255)
    frame.index_copy_(0, pixels.view(-1), packed(opaque).view(-1))


def _opening(weights: Tensor, held: Held, faces: Faces, atlas: Atlas) -> tuple[Tensor, Tensor, Tensor]:
    """(B, n, 2) px, the edges of what is seen between the lips in the shown picture; (B, n) px between the lips."""
    own = faces.numbers
    upper, lower = edges(weights, own)
    gap = along_down(lower - upper, own).clamp(min=0)
    cut, shown = (torch.minimum(INNER_SHARE * gap, most * own.unit_px) for most in (CUT_UPPER, INNER_LOWER))
    upper = upper - cut[..., None] * own.lip_down[:, None]
    lower = lower - shown[..., None] * own.lip_down[:, None]
    upper, lower = (held.moved(edge) for edge in (upper, lower))
    return upper, lower, gap


def _in_the_light(columns: Tensor, rows: Tensor, lower: Tensor, gap: Tensor, own: Numbers[Tensor]) -> Tensor:
    """(B, h, w) how far the shadow between the lips is gone from the pixels at `columns` and `rows`."""
    reach = SHADOW_GONE * own.unit_px
    share = interpolate(columns[:, 0], lower[..., 0], (gap / reach).clamp(max=1))[:, None]
    low, high = (lower.amin(1) - reach).floor()[..., None, None], (lower.amax(1) + 2 * reach).ceil()[..., None, None]
    near = (columns >= low[:, 0]) & (columns < high[:, 0]) & (rows >= low[:, 1]) & (rows < high[:, 1])
    return share * near * (gap.amax(1) > LEAST_GAP_PX)[:, None, None]


def _upper_lip(field: Tensor, before_head: Tensor, origin: Tensor, faces: Faces, atlas: Atlas) -> Tensor:
    """(B, h, w, 4) the upper lip's layer with its alpha."""
    room, own = atlas.room, faces.numbers
    nodes = window(origin, room.mouth, room.nodes).view(-1)
    at = before_head.view(-1, 2).index_select(0, nodes).view(-1, *room.mouth, 2) - own.mouth_node[:, None, None]
    shift = unmoved(field, at) - grid(room.mouth, at.device)
    # The texture begins at the corner of the layer's box, not of the room.
    spare = own.lip_box[:, None, None, :2] - (own.mouth_node * room.step)[:, None, None]
    return sample_texture(atlas.texels, faces.place("lip"), texture_positions(shift, room) - spare * room.scale).round()


def _inside(
    at: Tensor, weights: Tensor, upper: Tensor, lower: Tensor, held: Held, faces: Faces, atlas: Atlas
) -> Tensor:
    """What is seen between the lips at px `at` (B, h, w, 2) of the shown picture."""
    own = faces.numbers
    jaw_at = own.lower_at + torch.einsum("bs,bsk->bk", weights[:, :SHAPES], own.jaw_travel)
    tip = weights[:, TONGUE_OUT : TONGUE_OUT + 1] / TONGUE_TIP_UP
    layers = _Layers(at, held.near(own.lip_lines[:, 0].mean(1)), faces, atlas)
    rounded = (torch.stack([weights[:, k] for k in ROUNDING]).sum(0) / FULLY_ROUND).clamp(0, 1)
    teeth_light, deep_light = _light(at, upper, lower, rounded, own)
    first, share = _between_keys(own.own_jaw + weights[:, JAW_OPEN : JAW_OPEN + 1])

    tip_seen = layers.texture("tip", _tip_at(jaw_at, tip, own))
    before = (tip > BETWEEN_TEETH)[..., None, None]
    behind = ((tip > 0) & (tip <= BETWEEN_TEETH))[..., None, None]
    tongue_at = jaw_at - (TONGUE_RAISED_CM + LOWER_LOWERED_CM) * own.down_per_cm
    canvas = own.cavity[:, None, None].expand(*at.shape[:3], 3)
    canvas = _laid(canvas, layers.texture("hollow", (own.upper_at + jaw_at) / 2), deep_light)
    canvas = _laid(canvas, layers.mixed("tongue", first, share, tongue_at), deep_light)
    canvas = _laid(canvas, tip_seen * behind, deep_light)
    canvas = _laid(canvas, layers.mixed("lower", first, share, jaw_at), deep_light)
    canvas = _laid(canvas, layers.texture("upper", own.upper_at), teeth_light)
    canvas = _laid(canvas, tip_seen * before, teeth_light)
    black = own.black[:, None, None]
    return (canvas * (1 - black / 255) + black).clamp(0, 255).floor()


class _Layers:
    """Pictures of teeth and tongue, moved with the head and looked up at px `at` (B, h, w, 2) of the shown picture."""

    def __init__(self, at: Tensor, moved: tuple[Tensor, Tensor], faces: Faces, atlas: Atlas) -> None:
        turn, shift = moved
        (a, b), (c, d) = (row.unbind(1) for row in turn.unbind(1))
        determinant = a * d - b * c
        back = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1) / determinant[:, None, None]
        # Where the pixels were before the head moved.
        self._at = (at - shift[:, None, None]) @ back.mT[:, None]
        self._faces, self._texels = faces, atlas.texels

    def texture(self, layer: str, anchor_px: Tensor) -> Tensor:
        """(B, h, w, 4) premultiplied, its anchor at `anchor_px` (B, 2) of the photo."""
        return self._looked_up(self._faces.place(layer), layer, anchor_px)

    def mixed(self, layer: str, first: Tensor, share: Tensor, anchor_px: Tensor) -> Tensor:
        """The same of a layer of the jaw, `share` (B, 1) of the way from key `first` (B,) to the next."""
        index = TEXTURES[f"{layer}_0"] + first
        rows = torch.arange(len(index), device=index.device)
        flat, count = self._faces.places.view(-1, 3), self._faces.places.shape[1]
        one, two = (flat.index_select(0, rows * count + index + k) for k in (0, 1))
        return torch.lerp(
            self._looked_up(one, layer, anchor_px), self._looked_up(two, layer, anchor_px), share[..., None, None]
        )

    def _looked_up(self, place: Tensor, layer: str, anchor_px: Tensor) -> Tensor:
        anchor = self._faces.numbers.anchors[:, LAYERS.index(layer), None, None]
        return sample_texture(self._texels, place, (self._at - anchor_px[:, None, None]) * RESOLUTION + anchor)


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


def _over(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    return torch.lerp(below, above, share[..., None]).round()
