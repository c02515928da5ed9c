"""Whether this machine has a GPU's driver; asked without loading what would use it."""

from __future__ import annotations

import ctypes
import sys
from functools import cache


@cache
def has_driver() -> bool:
    """Whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
