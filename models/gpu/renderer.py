"""The device's program that draws a batch of faces: the same pictures as `FrameGenerator.render`.
Tensor arithmetic with fixed shapes, a pure function of its inputs and of what lies in the atlas.

Order of drawing: base layer (all but the upper lip), eyes, inside of the mouth, upper-lip layer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.blendshapes import BODY_NAMES, HEAD_NAMES, FaceMotion
from models.gpu.atlas import Atlas
from models.gpu.eyes import draw_eyes
from models.gpu.layout import SHAPES
from models.gpu.lips import with_closings
from models.gpu.mouth import draw_mouth
from models.gpu.sampling import grid, packed, sample_texture, unpacked
from models.gpu.warps import Held, texture_positions, unmoved

MOTION = SHAPES + len(HEAD_NAMES) + len(BODY_NAMES)
"""Numbers that say how a face is held: weights, head, body."""

PIXELS_AT_ONCE = 1 << 22
"""Pixels that are drawn together; it bounds the memory that a batch takes on its way."""


def motion_row(motion: FaceMotion) -> NDArray[np.float32]:
    """(MOTION,) what `draw` takes of a motion."""
    return np.concatenate([motion.weights, motion.head, motion.body], dtype=np.float32)


def draw(atlas: Atlas, motion: Tensor, slot: Tensor, out: Tensor) -> None:
    """Draws into `out` (B, S, S, 3) uint8 BGR. motion: (B, MOTION) float32; slot: (B,) int64, each row's face."""
    together = max(1, PIXELS_AT_ONCE // atlas.room.size**2)
    for first in range(0, len(motion), together):
        rows = slice(first, first + together)
        out[rows].copy_(_drawn(atlas, motion[rows], slot[rows]))


def _drawn(atlas: Atlas, motion: Tensor, slot: Tensor) -> Tensor:
    room, faces = atlas.room, atlas.faces(slot)
    shapes, head, body = motion.split([SHAPES, len(HEAD_NAMES), len(BODY_NAMES)], 1)
    weights = with_closings(shapes, faces.numbers)
    base_field, upper_field = atlas.fields(slot, weights)
    held = Held(head, body, faces.numbers, room)
    before_head = held.nodes_before()
    shift = unmoved(base_field, before_head) - grid((room.nodes, room.nodes), motion.device)
    at = texture_positions(shift, room)
    frame = packed(sample_texture(atlas.texels, faces.place("base"), at)).view(-1)
    draw_eyes(frame, at.view(-1, 2), shapes, faces, atlas)
    draw_mouth(frame, at.view(-1, 2), weights, upper_field, before_head, held, faces, atlas)
    return unpacked(frame).view(-1, room.size, room.size, 4)[..., :3]
