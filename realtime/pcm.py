"""Pushed PCM to mono blocks at 48 kHz: any rate, any number of channels, cut at any byte.

Uses PyAV's resampler; no clock, no socket. A sample that is split between two messages is put together again.
"""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from realtime.protocol import PcmHello
from realtime.timebase import AUDIO_RATE


class PcmDecoder:
    """One client's PCM, in the format that its hello announced."""

    def __init__(self, hello: PcmHello) -> None:
        self._type = np.dtype("<i2" if hello.format == "s16le" else "<f4")
        self._hello = hello
        self._rest = b""
        self._resampler = self._new_resampler()

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """(n,) float32, -1..1; what is not a number becomes silence."""
        data = self._rest + data
        frame_bytes = self._type.itemsize * self._hello.channels
        whole = len(data) // frame_bytes * frame_bytes
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], self._type).reshape(-1, self._hello.channels)
        scale = 1 / 32768 if self._type.kind == "i" else 1.0
        mono = np.clip(np.nan_to_num(samples.mean(axis=1, dtype=np.float32) * np.float32(scale)), -1, 1)
        return self._resampled(mono.astype(np.float32))

    def flush(self) -> NDArray[np.float32]:
        """What the resampler still holds; the next `decode` begins afresh."""
        self._rest = b""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        last = _joined(self._resampler.resample(None))
        self._resampler = self._new_resampler()
        return last

    def _new_resampler(self) -> av.AudioResampler | None:
        return None if self._hello.rate == AUDIO_RATE else av.AudioResampler("fltp", "mono", AUDIO_RATE)

    def _resampled(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._resampler is None or not len(mono):
            return mono
        frame = av.AudioFrame.from_ndarray(mono[None], "fltp", "mono")
        frame.sample_rate = self._hello.rate
        return _joined(self._resampler.resample(frame))


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *(frame.to_ndarray()[0] for frame in frames)])
