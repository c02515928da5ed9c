"""A critically damped spring: one value follows another without overshoot.

Pure arithmetic on numbers or arrays, solved exactly for the length of a chunk.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.rates import FPS

Value = TypeVar("Value", float, NDArray[np.float64])

SETTLING = 4.74
"""`rate` times the seconds after which 95 % of the way is done: (1 + x) exp(-x) is 0.05 there."""


def follow(wanted: Value, at: Value, speed: Value, rate: float) -> tuple[Value, Value]:
    """(at, speed a second) one chunk later; `rate` a second."""
    seconds = 1 / FPS
    off = at - wanted
    push = speed + rate * off
    decay = math.exp(-rate * seconds)
    return wanted + (off + push * seconds) * decay, (speed - rate * push * seconds) * decay
