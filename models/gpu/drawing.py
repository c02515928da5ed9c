"""Draws the pictures of a step on the device: any faces, of any size, in as few batches as there are sizes.
Owns the device's memory for faces: for each size of picture in use as many as fit into a bound of bytes, the most
recently drawn ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from models.batches import BUCKETS
from models.blendshapes import FaceMotion
from models.generator import FrameGenerator
from models.gpu.atlas import Atlas, slot_bytes
from models.gpu.layout import Room
from models.gpu.packing import PackedFace, misfit, pack, room_for
from models.gpu.program import Program
from models.gpu.renderer import motion_row
from models.gpu.slots import Slots

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
Row = tuple[FrameGenerator, FaceMotion]


class Drawing:
    """device: `cuda`, or `cpu` to prove it. bound_bytes: of faces of one size on the device, at least one face.
    most_rows: of one batch; more are drawn in several. For any thread, one at a time.

    What a size of picture needs is made when its first face comes: on CUDA this takes seconds.
    """

    def __init__(self, device: str, bound_bytes: int, most_rows: int = BUCKETS[-1]) -> None:
        self._device, self._bound_bytes = torch.device(device), bound_bytes
        self._buckets = [rows for rows in BUCKETS if rows < 2 * most_rows]
        self._shelves: dict[Room, _Shelf] = {}
        self._one_at_a_time = Lock()
        self._fit: WeakKeyDictionary[FrameGenerator, bool] = WeakKeyDictionary()

    def render(self, rows: Sequence[Row]) -> list[Picture]:
        """The pictures of `FrameGenerator.render`, in order."""
        with self._one_at_a_time:
            return self._rendered(rows)

    def prepare(self, generator: FrameGenerator) -> None:
        """Brings a face to the device before it is drawn, so that no step waits for it."""
        if self._fits(generator):
            face = pack(generator)
            with self._one_at_a_time:
                self._shelf(room_for(generator)).put(generator, face)

    def _rendered(self, rows: Sequence[Row]) -> list[Picture]:
        pictures: dict[int, Picture] = {}
        by_room: dict[Room, list[int]] = {}
        for index, (generator, motion) in enumerate(rows):
            if motion.is_rest or not self._fits(generator):
                pictures[index] = generator.render(motion)
            else:
                by_room.setdefault(room_for(generator), []).append(index)
        for room, indices in by_room.items():
            drawn = self._shelf(room).render([rows[index] for index in indices])
            pictures.update(zip(indices, drawn, strict=True))
        return [pictures[index] for index in range(len(rows))]

    def _fits(self, generator: FrameGenerator) -> bool:
        fit = self._fit.get(generator)
        if fit is None:
            why = misfit(generator)
            if why:
                log.warning("a face is drawn on the CPU: %s", why)
            fit = self._fit[generator] = why is None
        return fit

    def _shelf(self, room: Room) -> _Shelf:
        if room not in self._shelves:
            slots = max(1, self._room_bytes() // slot_bytes(room))
            taken = slots * slot_bytes(room) / 1e6
            log.info("faces of %d px: room for %d on %s, %.0f MB", room.size, slots, self._device, taken)
            self._shelves[room] = _Shelf(Atlas(room, slots, self._device), self._buckets)
        return self._shelves[room]

    def _room_bytes(self) -> int:
        """Bytes for faces of one more size: the bound, but no more than half of what is free."""
        if self._device.type != "cuda":
            return self._bound_bytes
        free, _ = torch.cuda.mem_get_info(self._device)
        return min(self._bound_bytes, free // 2)


class _Shelf:
    """Faces of one size on the device, and what draws them."""

    def __init__(self, atlas: Atlas, buckets: Sequence[int]) -> None:
        self._atlas, self._program = atlas, Program(atlas, buckets)
        self._slots: Slots[FrameGenerator] = Slots(atlas.slots)

    def put(self, generator: FrameGenerator, face: PackedFace) -> None:
        _, fresh = self._slots.place([generator])
        for slot in fresh:
            self._atlas.put(slot, face)

    def render(self, rows: Sequence[Row]) -> list[Picture]:
        pictures: list[Picture] = []
        for batch in _batches(rows, self._program.most_rows, self._atlas.slots):
            slots, fresh = self._slots.place([generator for generator, _ in batch])
            for slot, generator in fresh.items():
                self._atlas.put(slot, pack(generator))
            pictures += self._program.run(np.stack([motion_row(motion) for _, motion in batch]), slots)
        return pictures


def _batches(rows: Sequence[Row], most_rows: int, most_faces: int) -> Iterator[list[Row]]:
    """The rows in order, in as many parts as it takes to have no more rows and faces than given in each."""
    batch: list[Row] = []
    faces: set[int] = set()
    for row in rows:
        if len(batch) == most_rows or len(faces | {id(row[0])}) > most_faces:
            yield batch
            batch, faces = [], set()
        batch.append(row)
        faces.add(id(row[0]))
    yield batch
