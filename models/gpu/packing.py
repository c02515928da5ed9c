"""A face made ready for a slot on the device: its arrays brought into the room that every face has.
Pure arithmetic on NumPy arrays; about 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eye_drawing import EyeDrawing
from models.eyes import OUTWARDS, Eyes
from models.eyes_builder import EyeParts
from models.generator import FrameGenerator
from models.gpu.layout import EYE_LINES, EYE_PLANES, LAYERS, TEXTURES, WEIGHTS, Room, number_shapes
from models.head import Head
from models.identity import Identity
from models.mouth import MouthInterior
from models.opening import Opening

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PackedFace:
    """numbers: (K,) float32. fields: (W, field_values) float16, in pixels. texels: (T,) int32, T at most the room's;
    places: (n, 3) int64, first texel, width and height of each of TEXTURES."""

    numbers: NDArray[np.float32]
    fields: NDArray[np.float16]
    texels: NDArray[np.int32]
    places: NDArray[np.int64]


def room_for(generator: FrameGenerator) -> Room:
    base, *_ = generator.textures
    return Room(generator.size_px, generator.identity.step_px, base.shape[0] // generator.size_px)


def misfit(generator: FrameGenerator) -> str | None:
    """Why a face cannot be drawn on the device; None if it can."""
    room, own = room_for(generator), generator.identity
    if own.mouth is None or own.eyes is None:
        return "it has no mouth or eyes"
    left, top, right, bottom = own.upper_box.tolist()
    if bottom - top > room.mouth[0] or right - left > room.mouth[1]:
        return "its mouth is larger than the room for it"
    if any((np.array(eye.photo.shape[:2]) > room.eye).any() for eye in own.eyes.parts):
        return "an eye is larger than the room for it"
    texels = sum(picture.shape[0] * picture.shape[1] for _, picture in _textures(generator, own.mouth, own.eyes))
    return "its textures are larger than the room for them" if texels > room.texels else None


def pack(generator: FrameGenerator) -> PackedFace:
    """Raises ValueError for a misfit."""
    room, own = room_for(generator), generator.identity
    why = misfit(generator)
    if why or own.mouth is None or own.eyes is None:
        raise ValueError(f"a face cannot be drawn on the device: {why}")
    numbers = dict(_face(own, room)) | dict(_mouth(own.mouth))
    drawings = [EyeDrawing(part, outwards) for part, outwards in zip(own.eyes.parts, OUTWARDS, strict=True)]
    eyes = [dict(_eye(part, drawing, room)) for part, drawing in zip(own.eyes.parts, drawings, strict=True)]
    numbers |= {name: np.stack([eye[name] for eye in eyes]) for name in eyes[0]}
    flat = [np.asarray(numbers[name], np.float32).reshape(shape).ravel() for name, shape in number_shapes(room).items()]
    texels, places = _heap(dict(_textures(generator, own.mouth, own.eyes)))
    return PackedFace(np.concatenate(flat), _fields(own, room), texels, places)


def _face(own: Identity, room: Room) -> Iterator[tuple[str, Any]]:
    opening = Opening(own)
    yield from (("lip_lines", opening.lines), ("lip_contours", opening.contours))
    for name in ("gap", "gaps", "close", "ellipse", "pressed_px"):
        yield name, getattr(opening, name)
    yield from (("lip_down", own.lip_down), ("unit_px", own.unit_px), ("head_basis", Head(own).basis))
    yield "lip_box", own.upper_box * room.step
    yield "mouth_node", _mouth_corner(own, room)


def _mouth_corner(own: Identity, room: Room) -> NDArray[np.int64]:
    """Node (x, y) of the corner of the mouth's room, which lies inside the picture and holds the upper lip's layer.

    The spare room is for what moves: most of it below, where the jaw goes.
    """
    low, high, size = own.upper_box[:2], own.upper_box[2:], np.array(room.mouth[::-1])
    spare = size - (high - low)
    return np.clip(low - spare // (2, 4), 0, room.nodes - size)


def _mouth(mouth: MouthInterior) -> Iterator[tuple[str, Any]]:
    # One more for the clear frame around each layer.
    yield "anchors", np.stack([getattr(mouth, f"{layer}_anchor") + 1 for layer in LAYERS])
    for name in ("upper_at", "lower_at", "jaw_travel", "own_jaw", "cavity", "black", "soft_px", "down_per_cm"):
        yield name, getattr(mouth, name)
    yield "mouth_unit_px", mouth.unit_px


def _eye(eye: EyeParts, drawing: EyeDrawing, room: Room) -> Iterator[tuple[str, Any]]:
    height, width = eye.photo.shape[:2]
    spare = room.eye[0] - height, room.eye[1] - width
    lines, planes = (
        np.stack([getattr(drawing if hasattr(drawing, name) else eye, name) for name in names])
        for names in (EYE_LINES, EYE_PLANES)
    )
    yield from (("eye_corner", eye.box[:2]), ("eye_size", np.array([width, height])))
    yield "eye_lines", np.pad(lines, ((0, 0), (0, spare[1])), mode="edge")
    yield "eye_planes", np.pad(planes, ((0, 0), (0, spare[0]), (0, spare[1])))
    yield "eye_turn_px", np.array([drawing.most_left, drawing.most_right])
    yield from (("eye_unit_px", eye.unit_px), ("lash_colour", eye.lash_colour))


def _fields(own: Identity, room: Room) -> NDArray[np.float16]:
    base = np.zeros((WEIGHTS, room.nodes, room.nodes), np.uint32)
    left, top, right, bottom = own.base_box.tolist()
    base[:, top:bottom, left:right] = np.ascontiguousarray(own.base_fields).view(np.uint32)[..., 0]
    # Around the box of the upper lip its fields hold, as where they are looked up beyond it.
    pairs = np.ascontiguousarray(own.upper_fields).view(np.uint32)[..., 0]
    corner = _mouth_corner(own, room) - own.upper_box[:2]
    rows, columns = (
        (first + np.arange(count)).clip(0, held - 1)
        for first, count, held in zip(corner[::-1], room.mouth, pairs.shape[1:], strict=True)
    )
    upper = pairs.take(rows, 1).take(columns, 2)
    return np.concatenate([base.reshape(WEIGHTS, -1), upper.reshape(WEIGHTS, -1)], 1).view(np.float16)


def _textures(generator: FrameGenerator, mouth: MouthInterior, eyes: Eyes) -> Iterator[tuple[str, Picture]]:
    base, lip, lit = generator.textures
    yield from (("base", base), ("lip", lip), ("lit", _opaque(lit)))
    for side, eye in zip("RL", eyes.parts, strict=True):
        yield f"eye_{side}", _opaque(eye.photo)
        yield f"lid_{side}", _with_alpha(eye.lid, eye.lashes)
    for layer in LAYERS:
        pictures = getattr(mouth, layer)
        if pictures.ndim == 3:
            yield layer, _framed(pictures)
        else:
            yield from ((f"{layer}_{key}", _framed(picture)) for key, picture in enumerate(pictures))


def _opaque(colours: Picture) -> Picture:
    return _with_alpha(colours, np.full(colours.shape[:2], 255, np.uint8))


def _with_alpha(colours: Picture, alpha: Picture) -> Picture:
    return np.dstack([colours, alpha])


def _framed(picture: Picture) -> Picture:
    """A clear pixel all around, which then is what lies beyond the edge."""
    return np.pad(picture, ((1, 1), (1, 1), (0, 0)))


def _heap(textures: dict[str, Picture]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    flat, places, start = [], [], 0
    for name in TEXTURES:
        picture = np.ascontiguousarray(textures[name])
        height, width = picture.shape[:2]
        places.append((start, width, height))
        flat.append(picture.reshape(-1).view(np.int32))
        start += width * height
    return np.concatenate(flat), np.array(places, np.int64)
