"""Sample formats and the one filter of the live path: 48 kHz to 16 kHz.

Numpy only. The decimator is causal and carries its tail, so chunk by chunk equals all at once and no sound waits
for the sound after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.rates import SPEECH_RATE
from realtime.timebase import AUDIO_RATE

DECIMATION = AUDIO_RATE // SPEECH_RATE
TAPS = 97
"""Length of the low-pass: 1 ms of group delay at 48 kHz."""

CUTOFF_HZ = 7_400.0


def _low_pass() -> NDArray[np.float32]:
    """Windowed-sinc low-pass (Kaiser, beta 8: about 80 dB), unit gain at 0 Hz."""
    n = np.arange(TAPS) - (TAPS - 1) / 2
    taps = np.sinc(2 * CUTOFF_HZ / AUDIO_RATE * n) * np.kaiser(TAPS, 8.0)
    return (taps / taps.sum()).astype(np.float32)


LOW_PASS = _low_pass()

BLOCK = TAPS - 1
"""Samples that are filtered at a time by one matrix product: an output needs its own block and the one before."""


def _by_blocks() -> NDArray[np.float32]:
    """(2 * BLOCK, BLOCK / 3): column k holds the taps where output k of a block finds its samples. The taps are
    symmetric; every output ends on the newest sample of its group of three."""
    outputs = BLOCK // DECIMATION
    matrix = np.zeros((2 * BLOCK, outputs), np.float32)
    for k in range(outputs):
        first = DECIMATION * (k + 1) - 1
        matrix[first : first + TAPS, k] = LOW_PASS
    return matrix


EARLIER, LATER = np.split(_by_blocks(), 2)


class Decimator:
    """48 kHz to 16 kHz, for one continuous sound. Its only state is the last `TAPS - 1` samples."""

    def __init__(self) -> None:
        self._tail = np.zeros(BLOCK, np.float32)

    def step(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(3 n,) float32 at 48 kHz to (n,) float32 at 16 kHz."""
        if len(samples) % DECIMATION:
            raise ValueError(f"give a multiple of {DECIMATION} samples, not {len(samples)}")
        filling = np.zeros(-len(samples) % BLOCK, np.float32)
        line: NDArray[np.float32] = np.concatenate([self._tail, samples, filling])
        self._tail = line[len(samples) : len(samples) + BLOCK].copy()
        blocks = line.reshape(-1, BLOCK)
        return (blocks[:-1] @ EARLIER + blocks[1:] @ LATER).reshape(-1)[: len(samples) // DECIMATION]


def to_int16(samples: NDArray[np.floating] | NDArray[np.int16]) -> NDArray[np.int16]:
    """-1..1 to int16, clipped; what is not a number becomes silence. int16 stays as it is."""
    if samples.dtype == np.int16:
        return samples  # type: ignore[return-value]
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return (np.clip(finite, -1.0, 1.0) * 32767.0).astype(np.int16)


def to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """int16 to float32, -1..1."""
    return samples.astype(np.float32) * np.float32(1 / 32768)
