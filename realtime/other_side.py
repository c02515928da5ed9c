"""How loudly the other side speaks now: heard from its microphone, or told by its client.

Pure: `now` is an argument. The level follows a voice up at once and falls when it is silent or nothing more is heard,
so that a client that goes away leaves no face nodding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUIET_DB, LOUD_DB = -50.0, -25.0
"""Levels of a microphone (dB full scale) that count as silence and as full speech."""

HOLD_S = 0.6
"""A voice is still there between two words."""

FALL_S = 0.5
"""Then it takes so long to fall from 1 to 0."""

TOLD_S = 2.0
"""What a client says holds for so long, unless it says something else."""


class OtherSide:
    """One session's other side."""

    def __init__(self) -> None:
        self._heard, self._heard_at = 0.0, float("-inf")
        self._told, self._told_at = 0.0, float("-inf")

    def hear(self, samples: NDArray[np.int16], now: float) -> None:
        """(n,) int16 of the other side's microphone."""
        if not len(samples):
            return
        power = float(np.mean(np.square(samples.astype(np.float32) / 32768)))
        level = float(np.clip((10 * np.log10(power + 1e-12) - QUIET_DB) / (LOUD_DB - QUIET_DB), 0, 1))
        if level >= self._fallen(now):
            self._heard, self._heard_at = level, now

    def tell(self, level: float, now: float) -> None:
        """0..1, as the other side's client says it."""
        self._told, self._told_at = level, now

    def level(self, now: float) -> float:
        """0..1"""
        return max(self._fallen(now), self._told if now - self._told_at < TOLD_S else 0.0)

    def _fallen(self, now: float) -> float:
        silent_s = max(now - self._heard_at - HOLD_S, 0.0)
        return max(self._heard - silent_s / FALL_S, 0.0)
