"""What several processes only read, in files that they map: each thing is made once, and lies in memory once.

Touches one folder, which only this user may write to and which lasts as long as the server, for the files hold pickles:
an object without its arrays (pickle protocol 5, out of band), and behind it the arrays.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

ALIGNED_BYTES = 64
"""Arrays begin at multiples of this, a cache line."""

LENGTH = struct.Struct("<Q")


class WarmFiles:
    """bound_bytes: of all files; beyond it the oldest are deleted, which takes nothing from those who map them.
    Methods block and may be called from any thread and process."""

    def __init__(self, folder: Path, bound_bytes: int) -> None:
        self._folder, self._bound_bytes = folder, bound_bytes

    def get(self, key: str, make: Callable[[], T]) -> T:
        """What `make` makes, which runs in one process only. All its arrays are read-only."""
        file = self._folder / f"{key}.warm"
        with (self._folder / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                made = make()
                try:
                    write(file, made)
                except OSError as error:
                    log.warning("an avatar is not shared among processes (%s)", error.strerror)
                    return made
                self._prune(file)
            return mapped(file)

    def _prune(self, kept: Path) -> None:
        files = sorted(self._folder.glob("*.warm"), key=lambda file: file.stat().st_mtime)
        held = sum(file.stat().st_size for file in files)
        for file in files:
            if held > self._bound_bytes and file != kept:
                held -= file.stat().st_size
                file.unlink()


def write(file: Path, value: Any) -> None:
    """Writes a picklable `value`; the file appears whole or not at all."""
    arrays: list[pickle.PickleBuffer] = []
    tree = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    part = file.with_suffix(".part")
    try:
        with part.open("wb") as out:
            places = []
            for array in arrays:
                out.write(bytes(-out.tell() % ALIGNED_BYTES))
                places.append((out.tell(), array.raw().nbytes))
                out.write(array.raw())
            index = out.tell()
            out.write(pickle.dumps((tree, places)))
            out.write(LENGTH.pack(index))
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def mapped(file: Path) -> Any:
    """What was written to `file`. Its arrays are read from the file as they are used; they keep it open."""
    with file.open("rb") as source:
        whole = memoryview(mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ))
    (index,) = LENGTH.unpack(whole[-LENGTH.size :])
    tree, places = pickle.loads(whole[index : -LENGTH.size])
    return pickle.loads(tree, buffers=[whole[at : at + size] for at, size in places])
