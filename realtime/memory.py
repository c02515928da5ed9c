"""Gives memory back to the system: what ended sessions leave in the C library's pools would look like a leak.

Touches Python's collector, and the C library where it is glibc; reads how much memory the system has.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from functools import cache
from pathlib import Path

M_ARENA_MAX = -8  # malloc.h
ARENAS = 2
"""Pools of memory. The default is eight a core, and each keeps what its threads once needed."""


@cache
def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim.argtypes = [ctypes.c_size_t]
        library.mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    except (OSError, TypeError, AttributeError):
        return None
    return library


def available_bytes() -> int:
    """Memory that could be taken without swapping; where the system does not tell, a great deal."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    return 1 << 40


def keep_few_pools() -> None:
    """Call before threads start."""
    if library := _glibc():
        library.mallopt(M_ARENA_MAX, ARENAS)


def settle() -> None:
    """What exists by now stays for good, and the collector leaves it alone. Going through the modules of a server
    takes it 30 ms and more, in which every thread stands still."""
    gc.collect()
    gc.freeze()


def give_back() -> bool:
    """Returns free memory to the system (some milliseconds); whether anything was returned."""
    gc.collect()
    library = _glibc()
    return bool(library and library.malloc_trim(0))
