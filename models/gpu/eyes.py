"""Lids and gaze, drawn over the eyes of the base layer.
Tensor arithmetic for a batch, after `EyeDrawing`, which says what each step is for.
Eyes of both sides are rows alike. Colours are (B, h, w, 3) 0..255; lines are (B, 1, w); numbers are (B, 1, 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.blendshapes import ARKIT_INDEX
from models.eye_drawing import LID_FOLLOWS_GAZE, LID_SHADOW, SHADOW_REACH, reaches
from models.eyes import ACTIONS, OUTWARDS, SIDES
from models.generator import EYE_SCALE
from models.gpu.atlas import Atlas, Faces
from models.gpu.layout import EYE_LINES, EYE_PLANES
from models.gpu.sampling import (
    Window,
    filtered,
    grid,
    sample_field,
    sample_line,
    sample_texture,
    smoothstep,
)
from models.lid_skin import RIM
from models.warp import HALF_PIXEL_SHARP

REACH_SHARE = 1 / 16
"""How far an eye may be from its place in the photo, as a share of the picture's side."""


def draw_eyes(frame: Tensor, at: Tensor, shapes: Tensor, faces: Faces, atlas: Atlas) -> None:
    """Draws on `frame` (B * S * S,) texels the eyes as the weights `shapes` (B, 52) have them.

    at: (B * S * S, 2) texels of the base texture which the frame's pixels show.
    """
    room, own = atlas.room, faces.numbers
    sides = [{a: shapes[:, ARKIT_INDEX[a + side]] for a in ACTIONS} for side in SIDES]
    action = {a: torch.cat([side[a] for side in sides])[:, None, None] for a in ACTIONS}
    patches = _finer(_drawn(_Eyes(faces, atlas), action)).permute(0, 3, 1, 2).chunk(2)
    moved = torch.stack(list(action.values())).any(0).chunk(2)
    reach = int(REACH_SHARE * room.size)
    shape = room.eye[0] + 2 * reach, room.eye[1] + 2 * reach
    # One side after the other: their surroundings overlap.
    for side in range(len(SIDES)):
        corner, size = own.eye_corner[:, side], own.eye_size[:, side]
        area = Window.around(corner + size / 2, shape, room.size)
        inside = area.read(at) * (EYE_SCALE / room.scale) - EYE_SCALE * corner[:, None, None]
        covered = ((inside >= 0) & (inside <= EYE_SCALE * (size - 1)[:, None, None])).all(3) & moved[side]
        above = torch.nn.functional.pad(sample_field(patches[side], inside).round(), (0, 1), value=255)
        area.draw(frame, torch.where(covered[..., None], above, area.colours(frame)))


class _Eyes:
    """The eyes of a batch, all right ones first: EYE_LINES and EYE_PLANES by name, and how far they turn."""

    def __init__(self, faces: Faces, atlas: Atlas) -> None:
        own = faces.numbers
        self.line = dict(zip(EYE_LINES, _by_side(own.eye_lines)[:, :, None].unbind(1), strict=True))
        self.plane = dict(zip(EYE_PLANES, _by_side(own.eye_planes).unbind(1), strict=True))
        self.most_left, self.most_right = _by_side(own.eye_turn_px)[..., None, None].unbind(1)
        self.unit = _by_side(own.eye_unit_px)[..., None]
        self.lash_colour = _by_side(own.lash_colour)[:, None, None]
        row = torch.ones_like(own.unit_px)
        self.outwards = torch.cat([outwards * row for outwards in OUTWARDS])[..., None]
        pixels = grid(atlas.room.eye, atlas.texels.device)
        self.columns, self.rows = pixels[..., 0].contiguous(), pixels[..., 1].contiguous()
        self._texels = atlas.texels
        self._photo, self._lid = (
            torch.cat([faces.place(f"{part}_{side}") for side in "RL"]) for part in ("eye", "lid")
        )

    def photo_at(self, x: Tensor, y: Tensor) -> Tensor:
        """The photo at columns and rows that broadcast to (B, h, w)."""
        at = torch.stack(torch.broadcast_tensors(x, y), -1)
        return sample_texture(self._texels, self._photo, at)[..., :3].round()

    def lid(self) -> Tensor:
        return self._lid_at(self.rows.expand(len(self.unit), -1, -1))[..., :3]

    def lashes_at(self, y: Tensor) -> Tensor:
        """(B, h, w) coverage 0..255 at rows `y` (B, h, w)."""
        return self._lid_at(y)[..., 3]

    def _lid_at(self, y: Tensor) -> Tensor:
        return sample_texture(self._texels, self._lid, torch.stack([self.columns.expand_as(y), y], -1))


def _drawn(eye: _Eyes, action: dict[str, Tensor]) -> Tensor:
    """(B, h, w, 3) the eyes; one at rest is the photo's."""
    photo = eye.photo_at(eye.columns.expand(len(eye.unit), -1, -1), eye.rows)
    turn_x, turn_y, raised, squeezed = reaches(action, eye.outwards, eye.unit)
    turns = ((turn_x != 0) | (turn_y != 0))[..., None]
    picture = torch.where(turns, _turned(eye, photo, turn_x, turn_y), photo)
    from_rows = eye.rows + raised * eye.plane["raising"] + squeezed * eye.plane["squeezing"]
    pulled = sample_field(picture.permute(0, 3, 1, 2), torch.stack([eye.columns.expand_as(from_rows), from_rows], -1))
    picture = torch.where(((raised != 0) | (squeezed != 0))[..., None], pulled.round(), picture)
    shut = (action["eyeBlink"] + LID_FOLLOWS_GAZE * action["eyeLookDown"]).clamp(max=1)
    return torch.where((shut > 0)[..., None], _shut(eye, picture, shut), picture)


def _turned(eye: _Eyes, photo: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    falloff = eye.line["iris_falloff"]
    from_x = eye.columns[0] - torch.minimum(torch.maximum(shift_x, eye.most_left), eye.most_right) * falloff
    top, bottom = (sample_line(eye.line[rim][:, 0], from_x[:, 0])[:, None] for rim in ("ball_from", "ball_to"))
    from_y = torch.minimum(torch.maximum(eye.rows - shift_y * falloff, top), torch.maximum(bottom, top + 1))
    return _mixed(photo, eye.photo_at(from_x, from_y), eye.plane["ball"]).round()


def _shut(eye: _Eyes, picture: Tensor, shut: Tensor) -> Tensor:
    upper, way, rim = eye.line["upper"], eye.line["way"], RIM * eye.unit
    from_rows = eye.rows - shut * way
    under_edge = from_rows - upper
    dark = (1 - under_edge / (SHADOW_REACH * eye.unit)).clamp(0, 1) * eye.plane["shaded"]
    skin = (0.5 - under_edge).clamp(0, 1) * eye.plane["below_skin"] * (5 * shut).clamp(max=1)
    lid = _mixed(picture * (1 - LID_SHADOW * (3 * shut).clamp(max=1) * dark)[..., None], eye.lid(), skin)
    own = 1 - smoothstep((shut - 0.3) / 0.5)
    share = ((under_edge + rim) / (0.6 * rim)).clamp(0, 1) * ((0.35 * rim - under_edge) / (0.3 * rim)).clamp(0, 1)
    lid = _mixed(lid, eye.photo_at(eye.columns, from_rows), own * eye.line["taper"] * share)
    lashes = eye.lashes_at(eye.rows + (1 - shut) * way)
    return _mixed(lid, eye.lash_colour, (1 - own) / 255 * lashes).round().clamp(0, 255)


def _by_side(values: Tensor) -> Tensor:
    """(B, 2, …) to (2 * B, …)."""
    return values.transpose(0, 1).flatten(0, 1)


def _mixed(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    return torch.lerp(below, above.expand_as(below), share[..., None])


def _finer(picture: Tensor) -> Tensor:
    """(B, 2h, 2w, 3) as `warp.finer` has it."""
    taps = HALF_PIXEL_SHARP[0].tolist()
    before = len(taps) // 2 - 1
    planes = picture.permute(0, 3, 1, 2)
    across = filtered(planes, taps, before, dim=3).round().clamp(0, 255)
    wide = torch.stack([planes, across], 4).flatten(3)
    down = filtered(wide, taps, before, dim=2).round().clamp(0, 255)
    return torch.stack([wide, down], 3).flatten(2, 3).permute(0, 2, 3, 1)
