"""Chance without a generator: numbers hashed from (seed, stream, n), and smooth noise through them.

Pure. Any n can be asked for at any time, nothing grows, nothing repeats (SplitMix64, Steele et al. 2014).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_MASK = (1 << 64) - 1
_NORMAL = NormalDist()


@lru_cache(4096)
def draw(seed: int, stream: int, n: int) -> float:
    """Uniform in 0..1 (neither end). Slow motion asks for the same numbers many chunks long, so they are kept."""
    z = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03 + n * 0x8CB92BA72F3D8DD7 + 0x632BE59BD9B4E019) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = ((z ^ (z >> shift)) * factor) & _MASK
    return (((z ^ (z >> 31)) >> 11) + 0.5) / (1 << 53)


def draw_log_normal(seed: int, stream: int, n: int, median: float, sigma: float) -> float:
    """Log-normal with this median; `sigma` is the standard deviation of the logarithm."""
    return median * math.exp(sigma * _NORMAL.inv_cdf(draw(seed, stream, n)))


def smooth_noise(seed: int, stream: int, at: float) -> float:
    """In -1..1, mean 0, twice differentiable; new about once a unit of `at`."""
    cell = math.floor(at)
    x = at - cell
    before, after = (2 * draw(seed, stream, cell + k) - 1 for k in (0, 1))
    return before + (after - before) * x * x * x * (x * (6 * x - 15) + 10)
