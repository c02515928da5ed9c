"""The timeline of one session: when each chunk is taken in, and when its sound and picture are due together.

Pure: `now` is an argument. Chunk `index` is taken from the inbox at `epoch + 40 ms * index`, and is due the
look-ahead and a margin later. Sound never waits for a picture; a late picture shows at the next chunk.
A sound leaves one chunk before its picture, because its receiver holds it about as much longer: see `SOUND_LEAD`.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from realtime.media import MediaChunk
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE, CHUNK_S

STALL_S = 0.2
"""Lateness beyond which the timeline is moved rather than caught up with."""

FADE_SAMPLES = AUDIO_RATE // 200
"""Sound that is cut off fades out over 5 ms, without a click."""

SOUND_LEAD = 1
"""Chunks that a sound leaves before its picture. A browser keeps sound 40 to 60 ms (jitter buffer, device) and pictures
about 10: sent together, lips run ahead. Both carry their true time, so a browser can still correct what is left."""

EARLY_S = 0.005
"""A sound may leave so much before its time rather than wait for the next event of the timeline."""

Picture = NDArray[np.uint8]


class Action(Enum):
    """TAKE a chunk from the inbox; RELEASE one to the viewers."""

    TAKE = "take"
    RELEASE = "release"


class Playout:
    """State of one timeline.

    margin_s: may be changed at any time. late, released: chunks whose picture was not there in time, and all chunks.
    moved: times the timeline was moved after a stall.
    """

    def __init__(self, epoch: float, look_ahead_chunks: int, margin_s: float, first_picture: Picture | None) -> None:
        self._epoch = epoch
        self._look_ahead_s = look_ahead_chunks * CHUNK_S
        self.margin_s = margin_s
        self._sounds: deque[NDArray[np.int16]] = deque()
        self._pictures: dict[int, Picture] = {}
        self._shown = -1
        self._first_picture = first_picture
        self.next_take = 0
        self.next_release = 0
        self._next_sound = 0
        self.late = 0
        self.released = 0
        self.moved = 0

    @property
    def delay_s(self) -> float:
        """From the tick that takes a chunk in until it is due."""
        return self._look_ahead_s + self.margin_s

    def take_at(self, index: int) -> float:
        """When chunk `index` is to be taken from the inbox."""
        return self._epoch + index * CHUNK_S

    def due(self, index: int) -> float:
        """When chunk `index` is to be heard and seen."""
        return self.take_at(index) + self.delay_s

    def next_action(self) -> tuple[float, Action]:
        """What is to be done next, and when."""
        taken = self.take_at(self.next_take)
        if self._sounds and self.due(self.next_release) <= taken:
            return self.due(self.next_release), Action.RELEASE
        return taken, Action.TAKE

    def re_anchor(self, now: float) -> float:
        """Moves the timeline if it is more than `STALL_S` behind. Returns the seconds it was moved."""
        behind = now - self.next_action()[0]
        if behind <= STALL_S:
            return 0.0
        self._epoch += behind
        self.moved += 1
        return behind

    def move(self, seconds: float) -> None:
        """Moves the timeline a little; negative is earlier."""
        self._epoch += seconds

    def put_sound(self, audio: NDArray[np.int16]) -> int:
        """The sound (1920,) of the next chunk; returns its index."""
        self._sounds.append(audio)
        self.next_take += 1
        return self.next_take - 1

    def put_picture(self, index: int, picture: Picture) -> None:
        """The picture of chunk `index`; one that is older than what is shown already is dropped."""
        if index > self._shown:
            self._pictures[index] = picture

    def take_back(self, index: int) -> None:
        """The picture of chunk `index` is no longer right, and is not to be shown."""
        self._pictures.pop(index, None)

    def first_due(self, at: float) -> int:
        """The first chunk that is due at that time or later, and has not been released."""
        return max(self.next_release, math.ceil((at - self._epoch - self.delay_s) / CHUNK_S - 1e-6))

    def sounds_due(self, at: float) -> list[MediaChunk]:
        """The sounds that leave at this time, each once: those whose picture is due `SOUND_LEAD` chunks later."""
        end = first = max(self._next_sound, self.next_release)
        while end < self.next_take and self.due(end) - SOUND_LEAD * CHUNK_S <= at + EARLY_S:
            end += 1
        self._next_sound = end
        return [MediaChunk(index, self._sounds[index - self.next_release], None) for index in range(first, end)]

    def release(self) -> MediaChunk:
        """The chunk `next_release`, whose time has come. Its picture is None if none newer than the last is there."""
        index = self.next_release
        audio = self._sounds.popleft()
        self.next_release += 1
        self.released += 1
        self.late += index not in self._pictures
        candidates = [i for i in self._pictures if i <= index]
        picture = None
        if candidates:
            self._shown = max(candidates)
            picture = self._pictures[self._shown]
            self._pictures = {i: p for i, p in self._pictures.items() if i > index}
        elif index == 0:
            picture = self._first_picture
        return MediaChunk(index, audio, picture)

    def hush(self, fade: bool = True) -> None:
        """Silences the sound that is not out yet; the first of it fades. The pictures stay: they shut the mouth."""
        out = max(self._next_sound - self.next_release, 0)
        sounds = list(self._sounds)
        for place in range(out, len(sounds)):
            sounds[place] = faded(sounds[place]) if fade and place == out else np.zeros(AUDIO_CHUNK, np.int16)
        self._sounds = deque(sounds)


def faded(audio: NDArray[np.int16]) -> NDArray[np.int16]:
    """A chunk (1920,) that falls silent within `FADE_SAMPLES`."""
    silent = np.zeros_like(audio)
    silent[:FADE_SAMPLES] = audio[:FADE_SAMPLES] * np.linspace(1, 0, FADE_SAMPLES)
    return silent
