"""The rates that everything in `models` shares. One chunk is one video frame: 40 ms.

A session has a single integer timeline, `index`, which counts chunks. Every other rate is an exact
multiple, so no clock ever drifts against another.
"""

FPS = 25
CHUNK_MS = 1000 // FPS

SPEECH_RATE = 16_000
"""Samples a second of the sound that the models hear."""

SPEECH_CHUNK = SPEECH_RATE // FPS
"""Samples of a chunk as the models hear it: 640."""

MEL_HOP = SPEECH_RATE // 100
"""Samples between two mel frames (10 ms)."""

MEL_FRAMES = SPEECH_CHUNK // MEL_HOP
"""Mel frames of a chunk: 4."""

LOOK_AHEADS_MS = (0, 40, 80, 200)
"""Right contexts that a session can choose between, in milliseconds."""

DEFAULT_LOOK_AHEAD_MS = 80


def look_ahead_chunks(look_ahead_ms: int) -> int:
    """Chunks of a look-ahead. Raises ValueError for one that the models were not trained with."""
    if look_ahead_ms not in LOOK_AHEADS_MS:
        choices = ", ".join(map(str, LOOK_AHEADS_MS))
        raise ValueError(f"look-ahead must be one of {choices} ms, not {look_ahead_ms}")
    return look_ahead_ms // CHUNK_MS
