"""What this machine has to share out: its cores, and how many media processes suit it.

Asks the system; loads no models.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection

from models.driver import has_driver
from realtime import memory

PROCESS_BYTES = 400_000_000
"""Memory of a media process with a few sessions; avatars that are shared are not counted."""

MOST_PROCESSES = 64

_pinned_from: list[int] = []
"""The cores that this process could use before `pin`; none if it was not pinned."""


def available() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def pin(own: Collection[int]) -> None:
    """Keeps this process, and what it starts, on some of its cores."""
    _pinned_from[:] = available()
    os.sched_setaffinity(0, own)


def unpin(pid: int = 0) -> None:
    """Lets a thread or child (0: the calling thread) use all cores that this process could before `pin`."""
    if _pinned_from:
        with contextlib.suppress(OSError):  # it may have ended already
            os.sched_setaffinity(pid, _pinned_from)


def count() -> int:
    """How many they are."""
    return len(available())


def processes(device: str) -> int:
    """Media processes that suit this machine: one a core, as far as memory reaches; one alone if a GPU may be used."""
    if device != "cpu" and has_driver():
        return 1
    return max(1, min(count(), memory.available_bytes() // PROCESS_BYTES, MOST_PROCESSES))
