"""A viewer's bounded view of a session: chunks in from the tick, sound and picture out to two tracks.

Touches the event loop, nothing else. A viewer that does not read loses the oldest chunks, never holds up others,
and gets the newest picture with the first chunk that it does read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from realtime.media import MediaChunk, MediaEnded
from realtime.playout import Picture, faded
from realtime.timebase import AUDIO_CHUNK

BOUND_CHUNKS = 4


class _Queue:
    """One track's chunks. Before the first read only the newest is kept, so that nobody starts late."""

    def __init__(self) -> None:
        self._chunks: deque[MediaChunk] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._bound = 1
        self._closed = False
        self.dropped = 0

    def put(self, chunk: MediaChunk) -> None:
        self._chunks.append(chunk)
        while len(self._chunks) > self._bound:
            lost = self._chunks.popleft()
            self.dropped += self._bound > 1
            if lost.picture is not None and self._chunks[0].picture is None:
                self._chunks[0] = replace(self._chunks[0], picture=lost.picture)
        self._wake()

    def hush(self, fade: bool) -> bool:
        silent = [replace(chunk, audio=np.zeros_like(chunk.audio)) for chunk in self._chunks]
        if silent and fade:
            silent[0] = replace(silent[0], audio=faded(self._chunks[0].audio))
        self._chunks = deque(silent)
        return bool(silent)

    async def get(self) -> MediaChunk:
        self._bound = BOUND_CHUNKS
        while not self._chunks:
            if self._closed:
                raise MediaEnded
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._chunks.popleft()

    def close(self) -> None:
        self._closed = True
        self._chunks.clear()
        self._wake()

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)


class Subscription:
    """Implements `MediaSource`. `on_close` is called once, when the viewer gives it up."""

    def __init__(self, size_px: tuple[int, int], picture: Picture | None, on_close: Callable[[Subscription], None]):
        self.size_px = size_px
        self._picture = picture
        self._on_close = on_close
        self._closed = False
        self._audio, self._video = _Queue(), _Queue()
        self._sent = AUDIO_CHUNK  # samples of the chunk that is being sent
        self._cut: int | None = None  # where it was silenced

    @property
    def dropped(self) -> int:
        """Chunks that this viewer was too slow for."""
        return self._audio.dropped + self._video.dropped

    def put_sound(self, chunk: MediaChunk) -> None:
        self._audio.put(chunk)

    def put_picture(self, chunk: MediaChunk) -> None:
        if self._picture is not None:
            if chunk.picture is None:
                chunk = replace(chunk, picture=self._picture)
            self._picture = None
        self._video.put(chunk)

    def hush(self) -> bool:
        """Silences what this viewer has not been sent yet; whether there was anything."""
        is_sending = self._sent < AUDIO_CHUNK
        if is_sending and self._cut is None:
            self._cut = self._sent
        return self._audio.hush(fade=not is_sending) or is_sending

    async def next_audio(self) -> MediaChunk:
        chunk = await self._audio.get()
        self._sent, self._cut = 0, None
        return chunk

    def part(self, chunk: MediaChunk, start: int, end: int) -> NDArray[np.int16]:
        self._sent = end
        samples = chunk.audio[start:end]
        if self._cut is None:
            return samples
        return faded(samples) if start == self._cut else np.zeros_like(samples)

    async def next_video(self) -> MediaChunk:
        return await self._video.get()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._audio.close()
            self._video.close()
            self._on_close(self)
