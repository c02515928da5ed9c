"""Microphones for benches: synthetic speech by espeak-ng, and beeps at exact times, as 48 kHz mono WAV files.
Runs espeak-ng; writes files where it is told to.
"""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
TEXT = (
    "Good morning. Peter bought a big blue map of Bombay, before his mother had moved to Vermont. "
    "We may well have to wait for the weather, said the old man, and put five boxes of paper by the window. "
    "How much would it cost to leave on Wednesday? Thank you, that is all I wanted to know. "
)


def write_wav(path: Path, samples: NDArray[np.int16]) -> Path:
    """(n,) int16 at 48 kHz to a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def speech(folder: Path, text: str = TEXT) -> NDArray[np.int16]:
    """A text as espeak-ng reads it, (n,) int16 at 48 kHz."""
    spoken = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "150", "-w", str(spoken), text], check=True)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(spoken)) as container:
        pieces = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(pieces).astype(np.int16)


def beeps(starts_s: Sequence[float], length_s: float, seconds: float) -> NDArray[np.int16]:
    """1 kHz beeps that begin at `starts_s`, between silences; (n,) int16 at 48 kHz."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    on = np.zeros(len(time_s), bool)
    for start_s in starts_s:
        on |= (time_s >= start_s) & (time_s < start_s + length_s)
    return (16_000 * np.sin(2 * np.pi * 1000 * time_s) * on).astype(np.int16)
