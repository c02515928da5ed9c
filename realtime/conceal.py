"""Fills holes in speech: goes on with the last pitch period, fading, and blends back when sound returns.
Pure numpy. `Concealer.heard` passes sound through; `Concealer.lost` invents the missing samples.
After ITU-T G.711 appendix I: pitch by autocorrelation, full strength for 10 ms, then a fade to silence by 60 ms.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from realtime.timebase import AUDIO_RATE

HISTORY = AUDIO_RATE * 40 // 1000
PERIOD_MIN = AUDIO_RATE // 400
PERIOD_MAX = AUDIO_RATE // 60
BLEND = AUDIO_RATE * 4 // 1000
STEADY = AUDIO_RATE * 10 // 1000
FADE = AUDIO_RATE * 50 // 1000
COARSE = 8
"""The pitch is looked for at 6 kHz: fast, and fine enough for a few repetitions."""


def pitch_period(history: NDArray[np.int16]) -> int:
    """Samples after which the end of `history` (n,) best repeats itself."""
    coarse = history[: len(history) // COARSE * COARSE].reshape(-1, COARSE).astype(np.float32).mean(axis=1)
    window = coarse[-len(coarse) // 2 :]
    best, best_score = PERIOD_MAX, 0.0
    for period in range(PERIOD_MIN // COARSE, min(PERIOD_MAX // COARSE, len(coarse) - len(window)) + 1):
        earlier = coarse[len(coarse) - len(window) - period : len(coarse) - period]
        score = float(window @ earlier) / (float(np.linalg.norm(window) * np.linalg.norm(earlier)) + 1e-6)
        if score > best_score + 1e-3:
            best, best_score = period * COARSE, score
    return best


class Concealer:
    """One stream of (n,) int16 samples at 48 kHz, in order."""

    def __init__(self) -> None:
        self._recent: deque[NDArray[np.int16]] = deque([np.zeros(HISTORY, np.int16)])
        self._recent_samples = HISTORY
        self._period: NDArray[np.float32] | None = None
        self._invented = 0

    def heard(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Samples that arrived; their beginning is blended with what was invented just before."""
        if self._period is not None:
            count = min(BLEND, len(samples))
            tail = self._invent(count)
            weight = np.linspace(0, 1, count, dtype=np.float32)
            samples = samples.copy()
            samples[:count] = (weight * samples[:count] + (1 - weight) * tail).astype(np.int16)
            self._period, self._invented = None, 0
        self._remember(samples)
        return samples

    def lost(self, count: int) -> NDArray[np.int16]:
        """`count` samples in place of sound that did not arrive."""
        if self._period is None:
            history = np.concatenate(self._recent)[-HISTORY:]
            self._period = history[-pitch_period(history) :].astype(np.float32)
        samples = self._invent(count).astype(np.int16)
        self._remember(samples)
        return samples

    def _remember(self, samples: NDArray[np.int16]) -> None:
        """Keeps the last packets that make up `HISTORY`."""
        self._recent.append(samples)
        self._recent_samples += len(samples)
        while self._recent_samples - len(self._recent[0]) >= HISTORY:
            self._recent_samples -= len(self._recent.popleft())

    def _invent(self, count: int) -> NDArray[np.float32]:
        assert self._period is not None
        place = self._invented + np.arange(count)
        strength = np.clip(1 - (place - STEADY) / FADE, 0, 1).astype(np.float32)
        self._invented += count
        return self._period[place % len(self._period)] * strength
