"""Where a session's sound comes together: every tick takes exactly one chunk out, whatever came in.

Numpy only; `now` is an argument. Pushed speech goes before the microphone, whose sound meanwhile is let go; with
neither there is silence. One decimator runs over the result, so the models hear one continuous sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from realtime.direction import Cue
from realtime.dsp import Decimator, to_float
from realtime.microphone import MicrophoneQueue
from realtime.speech_queue import SpeechQueue, Utterance
from realtime.timebase import AUDIO_CHUNK

PAUSE_CHUNKS = 3
"""Chunks without speech that are a pause; one may be missing while somebody speaks."""


class Origin(Enum):
    SILENCE = "silence"
    MICROPHONE = "microphone"
    SPEECH = "speech"


@dataclass(frozen=True, slots=True)
class InboxChunk:
    """40 ms of sound, for people and for the models.

    sound: (1920,) int16, 48 kHz. speech: (640,) float32, 16 kHz, the same 40 ms, also where people hear nothing of it.
    received_at: when its last sample came in; None for sound that was not waited for.
    ended: utterances whose last sample is in this chunk. cues: those of what is said in it.
    """

    sound: NDArray[np.int16]
    speech: NDArray[np.float32]
    origin: Origin
    received_at: float | None
    ended: tuple[Utterance, ...]
    cues: tuple[Cue, ...]


class Inbox:
    """`microphone` and `speech` are pushed to; `take` is called once a tick."""

    def __init__(self, microphone_bound_ms: int, speech_bound_s: float, speech_lead_ms: int) -> None:
        self.microphone = MicrophoneQueue(microphone_bound_ms)
        self.speech = SpeechQueue(speech_bound_s, speech_lead_ms)
        self._held_chunks = 0
        self._decimator = Decimator()

    @property
    def is_held(self) -> bool:
        """Whether the microphone goes to the models alone, and is silent for people."""
        return self._held_chunks > 0

    def hold(self) -> None:
        """People are not to hear the microphone before its next pause, which `heard` tells of."""
        self._held_chunks = PAUSE_CHUNKS

    def heard(self, is_speaking: bool) -> None:
        """Voice detection has heard another chunk."""
        if self.is_held:
            self._held_chunks = PAUSE_CHUNKS if is_speaking else self._held_chunks - 1

    def take(self) -> InboxChunk:
        pushed, live = self.speech.take(), self.microphone.take()
        sound, origin, received_at = np.zeros(AUDIO_CHUNK, np.int16), Origin.SILENCE, None
        if pushed.samples is not None:
            sound, origin = pushed.samples, Origin.SPEECH
        elif live is not None:
            (sound, received_at), origin = live, Origin.MICROPHONE
        speech = self._decimator.step(to_float(sound))
        if self.is_held and origin is Origin.MICROPHONE:
            sound = np.zeros_like(sound)
        return InboxChunk(sound, speech, origin, received_at, pushed.ended, pushed.cues)

    def clear(self) -> list[Utterance]:
        """Drops all sound that waits; returns the utterances that were cancelled."""
        self.microphone.clear()
        return self.speech.clear()
