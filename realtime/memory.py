"""Gives memory back to the system: what ended sessions leave in the C library's pools would look like a leak.

Touches Python's collector, and the C library where it is glibc.
"""

from __future__ import annotations

import ctypes
import gc
from functools import cache

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
