"""Beeps that can be told apart, which effect belongs to which, and how a delay moves over a run. Pure.

The gaps between beeps are unequal, so that a delay cannot be taken for one that is a beep more or less: a row of beeps
fits its effects at one delay only. Gaps follow the powers of a primitive root (Welch's construction of Costas arrays),
in which no two differences repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

Times = Sequence[float] | NDArray[np.floating]

GAPS_S = tuple(0.72 + 0.107 * pow(2, k, 11) for k in range(1, 11))
"""Between the beginnings of beeps. No multiples of 40 ms, so that beeps fall anywhere in a chunk."""

PERIOD_S = sum(GAPS_S)
STARTS_S = tuple(sum(GAPS_S[:k]) for k in range(len(GAPS_S)))
"""Where beeps begin in a period."""

NEIGHBOURS = 8
"""So many beeps around one have a say in its delay."""

TOLERANCE_MS = 200.0
"""How far the delays of neighbours may lie apart."""


def pair(causes: Times, effects: Times, low_ms: float, high_ms: float) -> NDArray[np.float64]:
    """For each cause (ms) the time of its effect (ms), `low_ms` to `high_ms` after it; NaN where none is sure.

    Of the delays that a cause can have, it is the one at which most of its neighbours have an effect too, if more than
    two thirds of them have; of equals the one with the least deviations.
    """
    caused, found = np.asarray(causes, float), np.sort(np.asarray(effects, float))
    paired = np.full(len(caused), np.nan)
    if not found.size:
        return paired
    for i, cause in enumerate(caused):
        first = max(0, min(i - NEIGHBOURS // 2, len(caused) - NEIGHBOURS - 1))
        around = np.delete(caused[first : first + NEIGHBOURS + 1], i - first)
        best = (2 * len(around) // 3 + 1, -np.inf)
        for effect in found[(found >= cause + low_ms) & (found <= cause + high_ms)]:
            misses = np.abs(found - (around + effect - cause)[:, None]).min(axis=1)
            agreeing = misses <= TOLERANCE_MS
            rank = (int(agreeing.sum()), -float(misses[agreeing].sum()))
            if rank > best:
                best, paired[i] = rank, effect
    return paired


@dataclass(frozen=True, slots=True)
class Trend:
    """Change a minute, and the bounds between which it lies with 95 %."""

    a_minute: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.a_minute:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def trend(times_ms: Times, values: Times) -> Trend | None:
    """The median of the slopes between all pairs (Theil and Sen), which outliers do not move. None below 3 values."""
    if len(values) < 3:
        return None
    slope, _, low, high = theilslopes(values, np.asarray(times_ms) / 60_000, 0.95)
    return Trend(*(round(float(value), 2) for value in (slope, low, high)))
