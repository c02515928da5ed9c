"""Streaming log-mel spectrum with causal level normalisation: the ear of the phoneme encoder.

Pure arithmetic on arrays; it reads and writes nothing. A frame's 25 ms window ends with its own 10 ms hop, so nothing
waits for later sound. Loudness is divided out by a follower that rises within 30 ms and falls by 13 dB a second, so
that the features hold still when a speaker comes closer or a microphone is switched, and silence is not blown up to
speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.rates import MEL_HOP, SPEECH_RATE

BANDS = 80
WINDOW = SPEECH_RATE // 40
"""Samples of a window (25 ms)."""
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0

_FFT = 512
_PRE_EMPHASIS = 0.97
_HISTORY = WINDOW - MEL_HOP + 1  # one more for the pre-emphasis
_POWER_FLOOR = 1e-10
_RISE, _FALL = 0.3, 0.03  # of the gap a frame; nepers of power a frame
_LEVEL_START, _LEVEL_FLOOR = -9.0, -16.0  # log power: loud speech, and a quiet room
_LOWEST, _HIGHEST, _SCALE = -10.0, 5.0, 4.0

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MelState:
    """tail: (B, 241) the last samples heard; level: (B,) log power of the level follower."""

    tail: Array
    level: Array


def initial_state(batch: int) -> MelState:
    return MelState(np.zeros((batch, _HISTORY), np.float32), np.full(batch, _LEVEL_START, np.float32))


def step(samples: Array, state: MelState) -> tuple[Array, MelState]:
    """Features of new sound. samples: (B, n) float32 in -1..1, n a multiple of 160 -> ((B, n / 160, 80), state)."""
    spectrum, tail = log_spectrum(samples, state.tail)
    features, level = normalise(spectrum, state.level)
    return features, MelState(tail, level)


def log_spectrum(samples: Array, tail: Array) -> tuple[Array, Array]:
    """Log power in mel bands, not normalised. samples (B, n), tail (B, 241) -> ((B, n / 160, 80), new tail)."""
    sound = np.concatenate((tail, samples), axis=1, dtype=np.float32)
    emphasised = sound[:, 1:] - np.float32(_PRE_EMPHASIS) * sound[:, :-1]
    starts = np.arange(0, samples.shape[1], MEL_HOP)
    windows = emphasised[:, starts[:, None] + np.arange(WINDOW)]
    spectrum = np.fft.rfft(windows * _HANN, _FFT, axis=2)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.log(power.astype(np.float32) @ _FILTERS + np.float32(_POWER_FLOOR)), sound[:, -_HISTORY:]


def normalise(spectrum: Array, level: Array) -> tuple[Array, Array]:
    """Divides the running level out of (B, T, 80) log power. level (B,) -> (features about -1.5..1, new level)."""
    loudness = np.log(np.mean(np.exp(spectrum), axis=2))
    levels = np.empty_like(loudness)
    for frame in range(loudness.shape[1]):
        heard = loudness[:, frame]
        level = np.where(heard > level, level + _RISE * (heard - level), np.maximum(level - _FALL, heard))
        level = np.maximum(level, _LEVEL_FLOOR).astype(np.float32)
        levels[:, frame] = level
    features = np.clip(spectrum - levels[:, :, None], _LOWEST, _HIGHEST) / _SCALE + 1
    return features.astype(np.float32), level


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595 * np.log10(1 + hz / 700)  # O'Shaughnessy 1987


def _edges() -> NDArray[np.float64]:
    low, high = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    return np.linspace(low, high, BANDS + 2)


def _filters() -> Array:
    """(257, 80) triangles, evenly spaced in mel, each with unit sum."""
    edges = _edges()
    bins = _mel(np.arange(_FFT // 2 + 1) * SPEECH_RATE / _FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles / triangles.sum(axis=0)).astype(np.float32)


def band_of(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The band (fractional) whose centre is at `hz`."""
    low, high = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    return (_mel(hz) - low) / (high - low) * (BANDS + 1) - 1


_HANN = (np.hanning(WINDOW + 1)[:-1] / (WINDOW / 4)).astype(np.float32)  # a full-scale sine has power 1 in its bin
_FILTERS = _filters()
BAND_HZ = 700 * (10 ** (_edges()[1:-1] / 2595) - 1)
"""(80,) centres of the bands."""
