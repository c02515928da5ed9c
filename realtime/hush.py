"""How an interrupt shuts the mouth: a strength for each frame whose speech was cut off.

Pure. Frames are drawn a look-ahead after their sound went in, so those of dropped speech are still to come: they are
drawn with less and less mouth, and the frames of what is said next open it again.
"""

from __future__ import annotations

RAMP_FRAMES = 2
"""Frames that shutting takes, and opening."""


class Hush:
    """The latest interrupt of one session: the frames `first` (drawn next) until `until` (the next to be heard)."""

    def __init__(self) -> None:
        self._first = self._until = -(10**9)

    def begin(self, next_chunk: int, look_ahead_chunks: int) -> None:
        """Speech was dropped just before chunk `next_chunk` was taken in."""
        first = next_chunk - look_ahead_chunks
        # An interrupt while the mouth is still being held shut does not open it in between.
        if first >= self._until:
            self._first = first
        self._until = next_chunk

    def strength(self, frame: int) -> float:
        """How far speech may move the mouth in this frame, 0..1."""
        shutting = 1 - (frame - self._first + 1) / RAMP_FRAMES
        opening = (frame - self._until) / RAMP_FRAMES
        return min(max(shutting, opening, 0.0), 1.0)
