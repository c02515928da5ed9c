"""Where each pixel of the shown picture comes from: the head's turn and the expression, undone.
Tensor arithmetic for a batch, after `Head`, `Layer` and `warp.invert`.

Positions are pixels (x, y) unless nodes are said; node k lies at k * step + (step - 1) / 2 px.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.generator import ROUNDS
from models.gpu.layout import Numbers, Room
from models.gpu.sampling import enlarged, grid, sample_field
from models.head import ROUNDS as HEAD_ROUNDS
from models.identity import HEAD_STEP


class Held:
    """How head and body of each row are held: `Head` for a batch."""

    def __init__(self, head: Tensor, body: Tensor, own: Numbers[Tensor], room: Room) -> None:
        """head (B, 6), body (B, 2) as in `FaceMotion`."""
        self._room, self._step = room, HEAD_STEP * room.step
        self._turn = _turned(head)
        shares = [self._turn, (head[:, 3:5] * own.unit_px)[..., None], _upwards(body * own.unit_px)[..., None]]
        self._field = torch.einsum("bkj,bjyx->bkyx", torch.cat(shares, 2), own.head_basis)

    def nodes_before(self) -> Tensor:
        """(B, N, N, 2) where each node of the shown picture was before head and body moved; counted in nodes."""
        room = self._room
        nodes = grid((room.head_nodes, room.head_nodes), self._field.device)
        at = unmoved(self._field / self._step, nodes.expand(len(self._field), -1, -1, -1), HEAD_ROUNDS)
        shift = enlarged((nodes - at).permute(0, 3, 1, 2) * HEAD_STEP, HEAD_STEP)[..., : room.nodes, : room.nodes]
        return grid((room.nodes, room.nodes), at.device) - shift.permute(0, 2, 3, 1)

    def moved(self, points: Tensor) -> Tensor:
        """Where head and body take points (B, n, 2) px of the photo."""
        at = (points - (self._step - 1) / 2) / self._step
        return points + sample_field(self._field, at[:, None])[:, 0]

    def near(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """What they do near `point` (B, 2) px as an affine map of the picture: (B, 2, 2) and (B, 2)."""
        turn = torch.eye(2, device=point.device) + self._turn[..., :2]
        return turn, self.moved(point[:, None])[:, 0] - (turn @ point[..., None])[..., 0]


def _turned(head: Tensor) -> Tensor:
    """(B, 2, 3) as `models.head.turned`."""
    yaw, pitch, roll = head[:, 0], head[:, 1], head[:, 2]
    sin_y, cos_y, sin_p, cos_p = yaw.sin(), yaw.cos(), pitch.sin(), pitch.cos()
    sin_r, cos_r = roll.sin(), roll.cos()
    x = [cos_r * cos_y - sin_r * sin_p * sin_y, -sin_r * cos_p, cos_r * sin_y + sin_r * sin_p * cos_y]
    y = [sin_r * cos_y + cos_r * sin_p * sin_y, cos_r * cos_p, sin_r * sin_y - cos_r * sin_p * cos_y]
    turned = torch.stack([torch.stack(x, 1), torch.stack(y, 1)], 1)
    return turned * head[:, 5].exp()[:, None, None] - torch.eye(2, 3, device=head.device)


def _upwards(body: Tensor) -> Tensor:
    """Right and up as x and y of the picture."""
    return torch.stack([body[:, 0], -body[:, 1]], 1)


def unmoved(field: Tensor, at: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Rest positions x with x + field(x) = `at` (B, h, w, 2), by x <- at - field(x); all in nodes of `field`."""
    x = at
    for _ in range(rounds):
        x = at - sample_field(field, x)
    return x


def texture_positions(shift: Tensor, room: Room) -> Tensor:
    """(B, h, w, 2) texels of a texture to be drawn at each pixel; shift: (B, rows, columns, 2) nodes, from node to
    place in the texture."""
    wide = enlarged(shift.permute(0, 3, 1, 2), room.step).permute(0, 2, 3, 1)
    return (wide * room.step + grid((wide.shape[1], wide.shape[2]), shift.device)) * room.scale
