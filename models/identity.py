"""What is kept of a photo: everything that a frame needs, as arrays.
Reads and writes one .npz file without pickle.
`Identity` is a tree of frozen dataclasses; the file holds its leaves under dotted names, with a version.
"""

from __future__ import annotations

import dataclasses
import typing
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.eyes import Eyes
from models.mouth import MouthInterior

FORMAT_VERSION = 19

HEAD_STEP = 4
"""Nodes of the displacement grid between two nodes of the coarser grid on which the head turns."""


class IdentityFileError(ValueError):
    """The file is no identity, or one of another version."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One enrolled face. Pixels are those of `picture`; nodes are a grid every `step_px` of them.

    picture: (S, S, 3) uint8 BGR, shown at rest. base_texture, upper_texture: (S, S, 3) and (S, S, 4) uint8, what the
    two layers are drawn from; the fourth channel is where the upper-lip layer is drawn. lit_texture: the pixels of
    upper_box of base_texture, the lower lip without the shadow that lies on it while the lips touch.
    base_fields: (W, h, w, 2) float16 pixels per unit of weight over base_box; upper_fields likewise over upper_box;
    boxes are (left, top, right, bottom) in nodes. W: 52 weights, then the closings of lower and upper lip.
    upper_line, lower_line: (n, 2) px, the lips' inner edges, one line if they are shut. lip_down: (2,) of the face.
    upper_contour, lower_contour: (W, n, 2) px per unit of weight.
    closing: (2 * CLOSINGS, n), closings for a gap of 1 px less in each column.
    depth_px: (M, M) float16 towards the viewer, from the centre of rotation; hold, body: (M, M) float16 0..1, how much
    the picture follows the head, and neck and shoulders; M nodes are a grid every HEAD_STEP * step_px pixels.
    centre_px: (2,). unit_px: the eye distance. mouth: what is seen between the lips; eyes: lids and gaze. Both are
    None while the photo's own open mouth is being shut.
    """

    picture: NDArray[np.uint8]
    base_texture: NDArray[np.uint8]
    upper_texture: NDArray[np.uint8]
    lit_texture: NDArray[np.uint8]
    base_fields: NDArray[np.float16]
    upper_fields: NDArray[np.float16]
    base_box: NDArray[np.int32]
    upper_box: NDArray[np.int32]
    step_px: int
    upper_line: NDArray[np.float32]
    lower_line: NDArray[np.float32]
    lip_down: NDArray[np.float32]
    upper_contour: NDArray[np.float32]
    lower_contour: NDArray[np.float32]
    closing: NDArray[np.float32]
    depth_px: NDArray[np.float16]
    hold: NDArray[np.float16]
    body: NDArray[np.float16]
    centre_px: NDArray[np.float32]
    unit_px: float
    mouth: MouthInterior | None
    eyes: Eyes | None

    def save(self, file: Path) -> None:
        """Writes everything to `file` (.npz)."""
        leaves = dict(_leaves(self, ""))
        with Path(file).open("wb") as out:
            np.savez(out, format_version=np.int32(FORMAT_VERSION), **leaves)  # type: ignore[arg-type]

    @staticmethod
    def load(file: Path) -> Identity:
        """Reads what `save` wrote. Raises IdentityFileError for anything else, OSError if there is no such file."""
        try:
            with np.load(file, allow_pickle=False) as arrays:
                leaves = dict(arrays)
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise IdentityFileError(f"{Path(file).name} is not an avatar file; enroll the photo again") from error
        version = int(leaves.pop("format_version", np.int32(0)))
        if version != FORMAT_VERSION:
            raise IdentityFileError(
                f"{Path(file).name} was made by another version of this program; enroll the photo again"
            )
        try:
            identity: Identity = _built(Identity, leaves, "")
        except KeyError as error:
            raise IdentityFileError(f"{Path(file).name} is incomplete; enroll the photo again") from error
        return identity


def _leaves(value: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Dotted names and arrays of everything in a tree of dataclasses."""
    if value is None:
        return
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _leaves(getattr(value, field.name), f"{name}.{field.name}" if name else field.name)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}.{index}")
    else:
        yield name, np.asarray(value)


def _built(kind: Any, leaves: dict[str, NDArray[Any]], name: str) -> Any:
    """The value of type `kind` whose leaves are under `name`."""
    if type(None) in typing.get_args(kind):
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
        if not any(leaf.startswith(f"{name}.") for leaf in leaves):
            return None
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        parts = {
            field.name: _built(hints[field.name], leaves, f"{name}.{field.name}" if name else field.name)
            for field in dataclasses.fields(kind)
        }
        return typing.cast(type, kind)(**parts)
    if typing.get_origin(kind) is tuple:
        return tuple(_built(item, leaves, f"{name}.{index}") for index, item in enumerate(typing.get_args(kind)))
    leaf = leaves[name]
    return leaf.item() if kind in (int, float, bool, str) else leaf
