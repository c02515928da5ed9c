"""Which face lies in which slot: the least recently drawn one makes room.
Pure bookkeeping. Faces are held weakly: one that nobody else keeps any more gives its slot back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar
from weakref import ref

Face = TypeVar("Face")


class Slots(Generic[Face]):
    """count: slots that there are."""

    def __init__(self, count: int) -> None:
        self._held: dict[int, ref[Face] | None] = dict.fromkeys(range(count))  # the least recently used first

    def place(self, faces: Sequence[Face]) -> tuple[list[int], dict[int, Face]]:
        """A slot for each face (the same face has one), and those slots that are to be filled.

        Raises ValueError if there are more faces than slots.
        """
        found: dict[int, int] = {}
        fresh: dict[int, Face] = {}
        wanted = {id(face): face for face in faces}
        if len(wanted) > len(self._held):
            raise ValueError(f"{len(wanted)} faces do not fit into {len(self._held)} slots")
        for slot, held in self._held.items():
            face = held() if held else None
            if face is not None and id(face) in wanted:
                found[id(face)] = slot
        taken = set(found.values())
        free = [slot for slot, held in self._held.items() if slot not in taken and (held is None or held() is None)]
        free += [slot for slot in self._held if slot not in taken and slot not in free]
        for key, face in wanted.items():
            if key not in found:
                found[key] = free.pop(0)
                fresh[found[key]] = face
            del self._held[found[key]]
            self._held[found[key]] = ref(face)
        return [found[id(face)] for face in faces], fresh
