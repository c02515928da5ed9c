"""How an interrupt shuts the mouth: a strength for each frame whose speech was cut off.

Pure. Frames are seen a look-ahead and more after their sound went in, so those of dropped speech are still to come:
they have less and less mouth, and the frames of what is said next open it again.
"""

from __future__ import annotations

RAMP_FRAMES = 2
"""Frames that shutting takes, and opening."""


class Hush:
    """The latest interrupt of one session: from the first frame that may still change to the next to be heard."""

    def __init__(self) -> None:
        self._first = self._until = -(10**9)

    def begin(self, first: int, next_chunk: int) -> None:
        """Speech was dropped just before chunk `next_chunk` was taken in; frames before `first` stay as they are."""
        # An interrupt while the mouth is still being held shut does not open it in between.
        if first >= self._until:
            self._first = first
        self._until = next_chunk

    def hold(self, chunk: int) -> None:
        """Chunk `chunk` is taken in, and still not to be spoken."""
        self._until = chunk + 1

    def strength(self, frame: int) -> float:
        """How far speech may move the mouth in this frame, 0..1."""
        shutting = 1 - (frame - self._first + 1) / RAMP_FRAMES
        opening = (frame - self._until) / RAMP_FRAMES
        return min(max(shutting, opening, 0.0), 1.0)
