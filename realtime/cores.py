"""What this machine has to share out: its cores, and how many media processes suit it.

Asks the system; loads no models.
"""

from __future__ import annotations

import os

from models.driver import has_driver
from realtime import memory

PROCESS_BYTES = 400_000_000
"""Memory of a media process with a few sessions; avatars that are shared are not counted."""

MOST_PROCESSES = 64


def available() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def count() -> int:
    """How many they are."""
    return len(available())


def processes(device: str) -> int:
    """Media processes that suit this machine: one a core, as far as memory reaches; one alone if a GPU may be used."""
    if device != "cpu" and has_driver():
        return 1
    return max(1, min(count(), memory.available_bytes() // PROCESS_BYTES, MOST_PROCESSES))
