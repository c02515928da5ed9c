"""The opening between the lips: the lower lip in the light, what is seen inside, and the upper lip over it.
Tensor arithmetic for a batch, after `FrameGenerator`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.compositor import SOFT_PX
from models.generator import CUT_UPPER, INNER_LOWER, INNER_SHARE, LEAST_GAP_PX, SHADOW_GONE
from models.gpu.atlas import Atlas, Faces
from models.gpu.interior import mouth_inside
from models.gpu.layout import Numbers
from models.gpu.lips import along_down, coverage, edges
from models.gpu.sampling import Window, grid, interpolate, sample_texture, window
from models.gpu.warps import Held, texture_positions, unmoved


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
    """Draws the mouth on `frame` (B * S * S,) texels.

    at: (B * S * S, 2) texels of the base texture which the frame's pixels show. weights: (B, W).
    field: (B, 2, h, w) of the upper lip. before_head: (B, N, N, 2) nodes.
    """
    own = faces.numbers
    upper, lower, gap = _opening(weights, held, own)
    _draw_opening(frame, at, weights, (upper, lower, gap), held, faces, atlas)
    _draw_upper_lip(frame, field, before_head, upper, faces, atlas)


def _draw_opening(
    frame: Tensor,
    at: Tensor,
    weights: Tensor,
    opening: tuple[Tensor, Tensor, Tensor],
    held: Held,
    faces: Faces,
    atlas: Atlas,
) -> None:
    room, own = atlas.room, faces.numbers
    upper, lower, gap = opening
    lips = torch.cat([upper, lower], 1)
    area = Window.around((lips.amin(1) + lips.amax(1)) / 2, room.opening_px, room.size)
    in_texture = area.read(at) - room.scale * own.lip_box[:, None, None, :2]
    lit = sample_texture(atlas.texels, faces.place("lit"), in_texture).round()
    picture = _over(area.colours(frame), lit, _in_the_light(area.px, lower, gap, own))

    open_px = along_down(lower - upper, own).clamp(min=0)
    hidden = open_px.clamp(max=2)[..., None] * own.lip_down[:, None]
    outline = torch.cat([upper - hidden, lower.flip(1)], 1) - area.corner[:, None]
    covered = coverage(outline, room.opening_px, own.soft_px + 0.1)
    covered = covered * (open_px.amax(1) > LEAST_GAP_PX)[:, None, None]
    inside = mouth_inside(area.px, weights, upper, lower, held, faces, atlas)
    area.draw(frame, _over(picture, torch.nn.functional.pad(inside, (0, 1), value=255), covered))


def _draw_upper_lip(
    frame: Tensor, field: Tensor, before_head: Tensor, edge: Tensor, faces: Faces, atlas: Atlas
) -> None:
    """Draws the upper lip down to its `edge` (B, n, 2) px."""
    room, own = atlas.room, faces.numbers
    area = Window(own.mouth_node.long() * room.step, room.mouth_px, room.size)
    beyond = 2 * room.size * own.lip_down[:, None]
    outline = torch.cat([edge, edge[:, -1:] - beyond, edge[:, :1] - beyond], 1) - area.corner[:, None]
    above = coverage(outline, room.mouth_px, torch.full_like(own.soft_px, SOFT_PX))
    low, high = own.lip_box[:, None, None].split(2, 3)
    layer = ((area.px >= low) & (area.px < high)).all(3)
    lip = _upper_lip(field, before_head, faces, atlas)
    area.draw(frame, _over(area.colours(frame), lip, above * layer * lip[..., 3] / 255))


def _opening(weights: Tensor, held: Held, own: Numbers[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, n, 2) px, the edges of what is seen between the lips in the shown picture; (B, n) px between the lips."""
    upper, lower = edges(weights, own)
    gap = along_down(lower - upper, own).clamp(min=0)
    cut, shown = (torch.minimum(INNER_SHARE * gap, most * own.unit_px) for most in (CUT_UPPER, INNER_LOWER))
    upper = upper - cut[..., None] * own.lip_down[:, None]
    lower = lower - shown[..., None] * own.lip_down[:, None]
    upper, lower = (held.moved(edge) for edge in (upper, lower))
    return upper, lower, gap


def _in_the_light(px: Tensor, lower: Tensor, gap: Tensor, own: Numbers[Tensor]) -> Tensor:
    """(B, h, w) how far the shadow between the lips is gone from the pixels at `px` (B, h, w, 2)."""
    reach = SHADOW_GONE * own.unit_px
    share = interpolate(px[:, 0, :, 0], lower[..., 0], (gap / reach).clamp(max=1))[:, None]
    low, high = (lower.amin(1) - reach).floor(), (lower.amax(1) + 2 * reach).ceil()
    near = ((px >= low[:, None, None]) & (px < high[:, None, None])).all(3)
    return share * near * (gap.amax(1) > LEAST_GAP_PX)[:, None, None]


def _upper_lip(field: Tensor, before_head: Tensor, faces: Faces, atlas: Atlas) -> Tensor:
    """(B, h, w, 4) the upper lip's layer with its alpha."""
    room, own = atlas.room, faces.numbers
    nodes = window(own.mouth_node.long(), room.mouth, room.nodes).view(-1)
    at = before_head.view(-1, 2).index_select(0, nodes).view(-1, *room.mouth, 2) - own.mouth_node[:, None, None]
    shift = unmoved(field, at) - grid(room.mouth, at.device)
    # The texture begins at the corner of the layer's box, not of the room.
    spare = own.lip_box[:, None, None, :2] - (own.mouth_node * room.step)[:, None, None]
    return sample_texture(atlas.texels, faces.place("lip"), texture_positions(shift, room) - spare * room.scale).round()


def _over(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    return torch.lerp(below, above, share[..., None]).round()
