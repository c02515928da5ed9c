"""Gives memory back to the system: what ended sessions leave in the C library's pools would look like a leak.

Touches the C library where it is glibc, and does nothing elsewhere.
"""

from __future__ import annotations

import ctypes
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


def give_back() -> bool:
    """Returns free memory to the system (some milliseconds); whether anything was returned."""
    library = _glibc()
    return bool(library and library.malloc_trim(0))
