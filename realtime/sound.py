"""Sound out of files: any container that PyAV decodes, as 40 ms chunks at 48 kHz.

Reads files (or bytes), nothing else. Decodes as it goes, so an hour costs no more memory than a second.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from realtime.errors import BadSound
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE

Source = Path | bytes


def duration_s(source: Source) -> float | None:
    """Length that the container claims, in seconds; None if it claims none. Raises BadSound."""
    with _open(source) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return container.duration / av.time_base if container.duration else None


def blocks(source: Source) -> Iterator[NDArray[np.float32]]:
    """Mono float32 blocks at 48 kHz, -1..1, of any length, from the first sample on.

    A stream that starts late (a video file whose sound begins after the picture) is not padded.
    Raises BadSound when there is no sound to decode.
    """
    with _open(source) as container:
        resampler = av.AudioResampler("fltp", "mono", AUDIO_RATE)
        heard = False
        try:
            for decoded in container.decode(audio=0):
                for out in resampler.resample(decoded):
                    heard = True
                    yield out.to_ndarray()[0]
            for out in resampler.resample(None):
                yield out.to_ndarray()[0]
        except FFmpegError as error:
            if not heard:
                raise BadSound(
                    "this file's sound cannot be decoded; convert it to WAV, MP3, M4A, OGG or FLAC"
                ) from error
    if not heard:
        raise BadSound("this file holds no sound; choose a recording of at least a tenth of a second")


def chunks(pieces: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Cuts blocks of any length into (1920,) chunks; the last one is filled up with silence."""
    waiting = np.zeros(0, np.float32)
    for piece in pieces:
        waiting = np.concatenate([waiting, piece])
        whole = len(waiting) // AUDIO_CHUNK * AUDIO_CHUNK
        yield from waiting[:whole].reshape(-1, AUDIO_CHUNK)
        waiting = waiting[whole:]
    if len(waiting):
        yield np.pad(waiting, (0, AUDIO_CHUNK - len(waiting)))


def frame(samples: NDArray[np.int16], rate: int) -> av.AudioFrame:
    """(n,) mono samples at `rate` Hz, as PyAV takes them."""
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), "s16", "mono")
    made.sample_rate = rate
    return made


def _open(source: Source) -> av.container.InputContainer:
    try:
        container = av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), "r")
    except FileNotFoundError as error:
        raise BadSound(f"there is no file {source!s}; check the path") from error
    except (FFmpegError, OSError, ValueError) as error:
        raise BadSound("this is not a sound file; give WAV, MP3, M4A, OGG, FLAC or a video with sound") from error
    if not container.streams.audio:
        container.close()
        raise BadSound("this file holds no sound; choose one with an audio track")
    return container
