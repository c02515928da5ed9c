"""What a session and a viewer's connection exchange: one chunk of media, and two small protocols.

Values only. `Session` implements `PeerEvents` and hands out `MediaSource`s; `webrtc.Peer` uses both, so that
either side is tested with a fake of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MediaChunk:
    """40 ms of media: the face of chunk `index` and the sound that it speaks.

    audio: (1920,) int16, mono, 48 kHz.
    picture: (H, W, 3) uint8 BGR; None repeats the last one.
    """

    index: int
    audio: NDArray[np.int16]
    picture: NDArray[np.uint8] | None


class MediaEnded(Exception):
    """The session behind a source has ended, or the source was closed: no chunk will follow."""


class MediaSource(Protocol):
    """One viewer's view of a session. Bounded: a viewer that does not keep up loses the oldest chunks.

    `size_px` is the width and height of the pictures; it may change when the avatar is switched.
    """

    @property
    def size_px(self) -> tuple[int, int]: ...

    async def next_audio(self) -> MediaChunk:
        """The next chunk, when its sound is to be sent: a little before its picture. Raises MediaEnded."""
        ...

    def part(self, chunk: MediaChunk, start: int, end: int) -> NDArray[np.int16]:
        """Samples `start` to `end` of the chunk that `next_audio` gave last. Whoever sends it in parts asks for each
        when it is sent, for an interrupt may have silenced the rest."""
        ...

    async def next_video(self) -> MediaChunk:
        """The next chunk, when its picture is to be seen. Raises MediaEnded."""
        ...

    def close(self) -> None:
        """Gives the source up; both calls above raise MediaEnded from now on. May be called twice."""
        ...


class PeerEvents(Protocol):
    """What a viewer's connection tells its session. All calls come from the event loop and return at once."""

    def on_microphone(self, samples: NDArray[np.int16], at_samples: int) -> None:
        """Decoded microphone sound: (n,) int16 mono 48 kHz; `at_samples` is its place in the sender's timeline."""
        ...

    def on_message(self, message: dict[str, Any]) -> None:
        """A JSON object that came over the data channel."""
        ...

    def on_connected(self) -> None:
        """ICE and DTLS stand; media flows."""
        ...

    def on_closed(self, reason: str) -> None:
        """The connection is gone for good. Comes exactly once."""
        ...
