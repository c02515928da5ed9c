"""Voicing and pitch of streaming sound, by autocorrelation.

Pure arithmetic on arrays. Each 10 ms frame is judged on the 40 ms that end with it, so nothing waits for later sound.
Method: Boersma, "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17 (1993): the
autocorrelation of the windowed sound, divided by that of the window, peaks at the period.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.rates import MEL_HOP, SPEECH_RATE

LOWEST_HZ, HIGHEST_HZ = 70, 450
HISTORY = SPEECH_RATE // 25 - MEL_HOP
"""Samples before a chunk that its first frame is judged on: 480."""

_RATE = SPEECH_RATE // 2
_WINDOW = _RATE // 25
_HOP = MEL_HOP // 2
_LAGS = np.arange(_RATE // HIGHEST_HZ, _RATE // LOWEST_HZ + 1)
_FFT = 512
_HANN = np.hanning(_WINDOW).astype(np.float32)
_OCTAVE_COST = 0.02
_QUIET_DB, _LOUD_DB = -65.0, -50.0

Array = NDArray[np.float32]


def voicing_and_pitch(sound: Array, level_db: Array) -> tuple[Array, Array]:
    """Of each 10 ms frame: voicing in 0..1 and pitch in Hz, 0 if unvoiced.

    sound: (B, 480 + n), new samples after their history; level_db: (B, n / 160), the shape of both answers.
    """
    halved = 0.5 * (sound[:, ::2] + sound[:, 1::2])
    windows = halved[:, np.arange(level_db.shape[1])[:, None] * _HOP + np.arange(_WINDOW)]
    windows = (windows - windows.mean(axis=2, keepdims=True)) * _HANN
    correlation = _autocorrelation(windows)
    normal = correlation * _BY_WINDOW / np.maximum(correlation[..., :1], 1e-9)
    best = _LAGS[np.argmax(normal[..., _LAGS[0] : _LAGS[-1] + 1] - _COST, axis=2)]
    row, frame = np.indices(best.shape, sparse=True)
    before, at, after = (normal[row, frame, best + i] for i in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, -1e-6)
    period = best + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    voicing = np.clip((at - 0.35) / 0.4, 0, 1) * np.clip((level_db - _QUIET_DB) / (_LOUD_DB - _QUIET_DB), 0, 1)
    return voicing.astype(np.float32), np.where(voicing > 0.3, _RATE / period, 0).astype(np.float32)


def _autocorrelation(windowed: Array) -> Array:
    spectrum = np.fft.rfft(windowed, _FFT)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.fft.irfft(power, _FFT)[..., : _LAGS[-1] + 2].astype(np.float32)


_BY_WINDOW = np.sum(_HANN**2) / _autocorrelation(_HANN)
_COST = (_OCTAVE_COST * np.log2(_LAGS * LOWEST_HZ / _RATE)).astype(np.float32)
