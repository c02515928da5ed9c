"""How a face lies on the device: which numbers and textures it has, and the room that each is given.
Pure values. Room depends on the picture's size alone, so that any face of that size fits into any slot.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import Any, Generic, TypeVar

from models.blendshapes import ARKIT_NAMES
from models.identity import HEAD_STEP
from models.lips import CLOSINGS, COLUMNS
from models.mouth_builder import JAW_KEYS

Values = TypeVar("Values")

SHAPES = len(ARKIT_NAMES)
WEIGHTS = SHAPES + 2 * CLOSINGS

TEXTURES: dict[str, int] = {}
"""Index of each texture among a face's places. `_R` and `_L` are the subject's eyes; numbers are those of JAW_KEYS."""
for _name in (
    *("base", "lip", "lit", "eye_R", "eye_L", "lid_R", "lid_L", "hollow", "tip", "upper"),
    *(f"{part}_{key}" for part in ("tongue", "lower") for key in range(len(JAW_KEYS))),
):
    TEXTURES[_name] = len(TEXTURES)

LAYERS = ("hollow", "tip", "upper", "tongue", "lower")
"""Order of the anchors of what is seen between the lips."""

EYE_LINES = ("iris_falloff", "ball_from", "ball_to", "way", "upper", "taper")
EYE_PLANES = ("ball", "raising", "squeezing", "shaded", "below_skin")
"""What is said of an eye for each column and for each pixel, as in `EyeDrawing` and `EyeParts`."""


@dataclass(frozen=True, slots=True)
class Room:
    """Sizes for pictures of `size` px, whose nodes are `step` px apart and whose textures are `scale` times finer."""

    size: int
    step: int
    scale: int

    @property
    def nodes(self) -> int:
        return self.size // self.step

    @property
    def head_nodes(self) -> int:
        return -(-self.size // (HEAD_STEP * self.step))

    @property
    def mouth(self) -> tuple[int, int]:
        """Rows and columns of nodes for the upper lip's layer."""
        return self.nodes * 3 // 8, self.nodes * 5 // 8

    @property
    def mouth_px(self) -> tuple[int, int]:
        return self.mouth[0] * self.step, self.mouth[1] * self.step

    @property
    def opening_px(self) -> tuple[int, int]:
        """Rows and columns of px for what is seen between the lips."""
        return self.size // 4, self.size * 5 // 16

    @property
    def eye(self) -> tuple[int, int]:
        """Rows and columns of px for an eye at rest."""
        return self.size * 13 // 64, self.size // 4

    @property
    def field_values(self) -> int:
        """Numbers of one weight's fields: x, y of each node of the base layer, then of the upper lip's."""
        return 2 * (self.nodes**2 + prod(self.mouth))

    @property
    def texels(self) -> int:
        lip = prod(self.mouth_px) * self.scale**2
        return (self.size * self.scale) ** 2 + 2 * lip + 3 * self.size**2


@dataclass(frozen=True, slots=True)
class Numbers(Generic[Values]):
    """A face's numbers: NumPy arrays of one, or tensors with the batch as first axis. Shapes are in `number_shapes`.

    lip_lines to pressed_px are those of `Opening`, head_basis is that of `Head`. lip_box: px of the upper lip's layer.
    mouth_node: corner of the room for the mouth. anchors: of LAYERS in their textures. Of each eye: corner, size,
    EYE_LINES, EYE_PLANES, most turn to left and right in px. The rest is as in `Identity`, `MouthInterior`, `EyeParts`.
    """

    lip_lines: Values
    lip_contours: Values
    gap: Values
    gaps: Values
    close: Values
    ellipse: Values
    pressed_px: Values
    lip_down: Values
    unit_px: Values
    head_basis: Values
    lip_box: Values
    mouth_node: Values
    anchors: Values
    upper_at: Values
    lower_at: Values
    jaw_travel: Values
    own_jaw: Values
    cavity: Values
    black: Values
    soft_px: Values
    down_per_cm: Values
    mouth_unit_px: Values
    eye_corner: Values
    eye_size: Values
    eye_lines: Values
    eye_planes: Values
    eye_turn_px: Values
    eye_unit_px: Values
    lash_colour: Values


def number_shapes(room: Room) -> dict[str, tuple[int, ...]]:
    """Shape of each field of `Numbers` for one face."""
    eye = room.eye
    return {
        "lip_lines": (2, COLUMNS, 2),
        "lip_contours": (WEIGHTS, 2, COLUMNS, 2),
        "gap": (COLUMNS,),
        "gaps": (WEIGHTS, COLUMNS),
        "close": (COLUMNS, 2 * CLOSINGS),
        "ellipse": (COLUMNS,),
        "pressed_px": (COLUMNS,),
        "lip_down": (2,),
        "unit_px": (1,),
        "head_basis": (5, room.head_nodes, room.head_nodes),
        "lip_box": (4,),
        "mouth_node": (2,),
        "anchors": (len(LAYERS), 2),
        "upper_at": (2,),
        "lower_at": (2,),
        "jaw_travel": (SHAPES, 2),
        "own_jaw": (1,),
        "cavity": (3,),
        "black": (3,),
        "soft_px": (1,),
        "down_per_cm": (2,),
        "mouth_unit_px": (1,),
        "eye_corner": (2, 2),
        "eye_size": (2, 2),
        "eye_lines": (2, len(EYE_LINES), eye[1]),
        "eye_planes": (2, len(EYE_PLANES), *eye),
        "eye_turn_px": (2, 2),
        "eye_unit_px": (2, 1),
        "lash_colour": (2, 3),
    }


def numbers_count(room: Room) -> int:
    return sum(prod(shape) for shape in number_shapes(room).values())


def split(flat: Any, room: Room) -> Numbers[Any]:
    """Views of the numbers (B, numbers_count) of a batch of faces."""
    out, start = {}, 0
    for name, shape in number_shapes(room).items():
        out[name] = flat[:, start : start + prod(shape)].reshape(len(flat), *shape)
        start += prod(shape)
    return Numbers(**{field.name: out[field.name] for field in fields(Numbers)})
