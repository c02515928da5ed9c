"""Pitch of a whole sound, found with hindsight: what the pitch head learns and what streaming pitch is judged by.

Pure arithmetic. Method: Boersma, "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17
(1993), with its path search: of every frame's likeliest periods, and "unvoiced", the cheapest sequence is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.rates import MEL_HOP, SPEECH_RATE

LOWEST_HZ, HIGHEST_HZ = 70, 450
_RATE = SPEECH_RATE // 2
_WINDOW = 384  # 48 ms: three periods of the lowest voice
_FFT = 1024
_LAGS = np.arange(_RATE // HIGHEST_HZ, _RATE // LOWEST_HZ + 1)
_HANN = np.hanning(_WINDOW)
_CANDIDATES = 5
_OCTAVE_COST, _JUMP_COST, _SWITCH_COST = 0.02, 0.7, 0.25
_VOICING_THRESHOLD, _SILENCE = 0.45, 0.02  # silence: of the loudest frame's amplitude


def track(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pitch in Hz at each 10 ms frame (N // 160,) of (N,) sound at 16 kHz, 0 where unvoiced."""
    frames = len(sound) // MEL_HOP
    if not frames:
        return np.zeros(0, np.float32)
    halved = np.pad(sound[: frames * MEL_HOP], (0, MEL_HOP)).reshape(-1, 2).mean(1)
    hop = MEL_HOP // 2
    padded = np.pad(halved, (_WINDOW // 2 - hop // 2, _WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop][:frames]
    windows = windows - windows.mean(1, keepdims=True)
    loud = np.abs(windows).max(1)
    power = np.abs(np.fft.rfft(windows * _HANN, _FFT)) ** 2
    correlation = np.fft.irfft(power)[:, : _LAGS[-1] + 2]
    normal = correlation / np.maximum(correlation[:, :1], 1e-12) / _OF_WINDOW
    score, hertz = _candidates(normal)
    unvoiced = _VOICING_THRESHOLD + np.maximum(0, 2 - loud / (_SILENCE * max(float(loud.max()), 1e-6)))
    return _cheapest(np.concatenate((unvoiced[:, None], score), 1), np.pad(hertz, ((0, 0), (1, 0))))


def _candidates(normal: NDArray) -> tuple[NDArray, NDArray]:
    """(strength, Hz) of the highest peaks of each row, (T, K); strength -1 where there is none."""
    before, at, after = (normal[:, _LAGS + i] for i in (-1, 0, 1))
    score = at - _OCTAVE_COST * np.log2(_LAGS * LOWEST_HZ / _RATE)
    score = np.where((at >= before) & (at > after) & (at > 0.2), score, -1)
    best = np.argpartition(-score, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    bend = np.minimum(before - 2 * at + after, -1e-9)
    lag = _LAGS + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return np.take_along_axis(score, best, 1), _RATE / np.take_along_axis(lag, best, 1)


def _cheapest(strength: NDArray, hertz: NDArray) -> NDArray[np.float32]:
    """Viterbi over (T, 1 + K) candidates, the first of which is unvoiced (0 Hz)."""
    octaves, voiced = np.log2(np.maximum(hertz, 1)), hertz > 0
    best, came = strength[0].copy(), np.zeros(strength.shape, np.int64)
    for t in range(1, len(strength)):
        both = voiced[t - 1][:, None] & voiced[t]
        jump = _JUMP_COST * np.abs(octaves[t - 1][:, None] - octaves[t])
        step = best[:, None] - np.where(both, jump, _SWITCH_COST * (voiced[t - 1][:, None] != voiced[t]))
        came[t] = step.argmax(0)
        best = step.max(0) + strength[t]
    path = np.empty(len(strength), np.int64)
    path[-1] = best.argmax()
    for t in range(len(strength) - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return hertz[np.arange(len(path)), path].astype(np.float32)


def _window_correlation() -> NDArray:
    full = np.fft.irfft(np.abs(np.fft.rfft(_HANN, _FFT)) ** 2)[: _LAGS[-1] + 2]
    return full / full[0]


_OF_WINDOW = _window_correlation()
