"""The one timeline of a session, and its exact conversions.

Values only. `index` counts 40 ms chunks; sound, picture and RTP timestamps are whole multiples of it, so no
clock drifts against another. 32-bit RTP timestamps are unwrapped here.
"""

from __future__ import annotations

from models.rates import CHUNK_MS, FPS

AUDIO_RATE = 48_000
"""Samples a second of the sound that people hear, and ticks a second of the audio RTP clock."""

AUDIO_CHUNK = AUDIO_RATE // FPS
"""Samples of a chunk at 48 kHz: 1920."""

VIDEO_CLOCK = 90_000
"""Ticks a second of the video RTP clock (RFC 3551)."""

VIDEO_CHUNK = VIDEO_CLOCK // FPS
"""Ticks of a chunk of the video clock: 3600."""

CHUNK_S = CHUNK_MS / 1000


def audio_pts(index: int) -> int:
    """Presentation time of chunk `index` in samples at 48 kHz."""
    return index * AUDIO_CHUNK


def video_pts(index: int) -> int:
    """Presentation time of chunk `index` in ticks of 90 kHz."""
    return index * VIDEO_CHUNK


def unwrap(timestamp: int, near: int, bits: int = 32) -> int:
    """The value nearest to `near` that equals `timestamp` modulo 2**bits (RFC 3550, appendix A.1)."""
    span = 1 << bits
    return near + ((timestamp - near + span // 2) % span) - span // 2
