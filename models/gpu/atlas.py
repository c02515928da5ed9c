"""The faces on the device: a fixed number of slots, each with room for any face of one picture size.
Allocated once, so that addresses hold for CUDA graphs; a face is put into a slot by copying.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.gpu.layout import TEXTURES, WEIGHTS, Numbers, Room, numbers_count, split
from models.gpu.packing import PackedFace

FIELD_BYTES, TEXEL_BYTES, NUMBER_BYTES = 2, 4, 4


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of a batch: their numbers, and where each of TEXTURES lies in the heap: places (B, n, 3) int32."""

    numbers: Numbers[Tensor]
    places: Tensor

    def place(self, texture: str) -> Tensor:
        """(B, 3) first texel, width, height."""
        return self.places[:, TEXTURES[texture]]


class Atlas:
    """slots: how many faces there is room for."""

    def __init__(self, room: Room, slots: int, device: torch.device) -> None:
        self.room, self.slots = room, slots
        self.texels = torch.zeros(slots * room.texels, dtype=torch.int32, device=device)
        self._numbers = torch.zeros((slots, numbers_count(room)), device=device)
        self._fields = torch.zeros((slots * WEIGHTS, room.field_values), dtype=torch.float16, device=device)
        # Textures of an empty slot are two texels wide and high, so that sampling one is harmless.
        self._places = torch.full((slots, len(TEXTURES), 3), 2, dtype=torch.int32, device=device)

    def put(self, slot: int, face: PackedFace) -> None:
        """Copies a face into a slot, after all work that was queued before."""
        first = slot * self.room.texels
        self.texels[first : first + len(face.texels)].copy_(torch.from_numpy(face.texels))
        self._numbers[slot].copy_(torch.from_numpy(face.numbers))
        self._fields[slot * WEIGHTS : (slot + 1) * WEIGHTS].copy_(torch.from_numpy(face.fields))
        self._places[slot].copy_(torch.from_numpy(face.places + np.array([first, 0, 0])))

    def faces(self, slot: Tensor) -> Faces:
        """slot: (B,) int64."""
        return Faces(split(self._numbers.index_select(0, slot), self.room), self._places.index_select(0, slot))

    def fields(self, slot: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements of base (B, 2, N, N) and upper lip (B, 2, h, w), in nodes, at `weights` (B, W)."""
        room = self.room
        rows = slot[:, None] * WEIGHTS + torch.arange(WEIGHTS, device=slot.device)
        # A weighted sum of rows, without a copy of each face's fields.
        moved = F.embedding_bag(rows, self._fields, mode="sum", per_sample_weights=weights.to(self._fields.dtype))
        moved = moved.float() / room.step
        base, upper = moved.split([2 * room.nodes**2, 2 * room.mouth[0] * room.mouth[1]], 1)
        base, upper = base.reshape(-1, room.nodes, room.nodes, 2), upper.reshape(-1, *room.mouth, 2)
        return base.permute(0, 3, 1, 2), upper.permute(0, 3, 1, 2)


def slot_bytes(room: Room) -> int:
    """Memory of one slot."""
    fields = WEIGHTS * room.field_values * FIELD_BYTES
    return fields + room.texels * TEXEL_BYTES + numbers_count(room) * NUMBER_BYTES
