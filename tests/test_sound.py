"""Sound out of files: every container, chunk sizes, and what is not sound."""

from __future__ import annotations

import io
import math

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import sound
from realtime.errors import BadSound
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE


def encoded(container: str, codec: str, rate: int, seconds: float = 0.5) -> bytes:
    """A 440 Hz tone as a file in memory."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
        frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 8000),
        ("wav", "pcm_s16le", 44100),
        ("flac", "flac", 16000),
        ("ogg", "libopus", 48000),
        ("mp3", "libmp3lame", 44100),
        ("mp4", "aac", 48000),
    ],
)
def test_any_container_becomes_the_same_tone(container, codec, rate):
    samples = np.concatenate(list(sound.blocks(encoded(container, codec, rate))))
    assert len(samples) == pytest.approx(AUDIO_RATE * 0.5, abs=AUDIO_RATE * 0.06)
    spectrum = np.abs(np.fft.rfft(samples))
    loudest_hz = np.argmax(spectrum) * AUDIO_RATE / len(samples)
    assert loudest_hz == pytest.approx(440, abs=4)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / math.sqrt(2), rel=0.15)


def test_the_duration_of_a_file_is_known_before_it_is_decoded():
    assert sound.duration_s(encoded("wav", "pcm_s16le", 16000, 1.5)) == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("source", [b"", b"not a sound file at all" * 40])
def test_what_is_not_sound_is_refused_with_advice(source):
    with pytest.raises(BadSound, match=r"give WAV|holds no sound"):
        list(sound.blocks(source))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadSound, match=r"no file .*gone\.wav"):
        list(sound.blocks(tmp_path / "gone.wav"))


@given(lengths=st.lists(st.integers(0, 5000), max_size=12))
def test_chunks_keep_every_sample_in_order(lengths):
    total = sum(lengths)
    samples = np.arange(1, total + 1, dtype=np.float32)
    pieces = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    chunks = list(sound.chunks(iter(pieces)))
    assert all(chunk.shape == (AUDIO_CHUNK,) for chunk in chunks)
    assert len(chunks) == math.ceil(total / AUDIO_CHUNK)
    joined = np.concatenate([*chunks, np.zeros(0, np.float32)])
    np.testing.assert_array_equal(joined[:total], samples)
    assert not joined[total:].any()
