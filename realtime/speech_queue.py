"""Speech that is pushed to be spoken (text to speech, PCM): utterances, one after the other, in order.

Numpy only. An utterance grows while it is played. The queue is bounded in seconds; what does not fit is refused,
so that the pusher slows down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from realtime.direction import END, Cue
from realtime.dsp import to_int16
from realtime.errors import TooMuchWaiting
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE

PATIENCE_TICKS = 2
"""Ticks that less than a chunk waits for its rest before it is played with silence behind it."""

YIELD_TICKS = 10
"""Ticks that an utterance without an end may stay dry before the next one goes first."""


@dataclass(slots=True, eq=False)
class Utterance:
    """One thing to say. open_ended: fed live (PCM), so it may pause for long.
    blocks: its sound, and cues where they belong. directed: it has had a cue, so its end is one too.
    on_end: for the queue's owner to call once, with whether it was played to its end."""

    on_end: Callable[[bool], None] | None = None
    open_ended: bool = False
    blocks: deque[NDArray[np.int16] | Cue] = field(default_factory=deque)
    directed: bool = False
    samples: int = 0
    started: bool = False
    finished: bool = False
    cancelled: bool = False
    dry_ticks: int = 0


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """samples: (1920,) int16, or None while nothing is to be played; ended: utterances whose last sample this was;
    cues: those within these 40 ms, in order."""

    samples: NDArray[np.int16] | None
    ended: tuple[Utterance, ...]
    cues: tuple[Cue, ...] = ()


class SpeechQueue:
    """bound_s: most speech that may wait. lead_ms: how much of an utterance is gathered before it starts."""

    def __init__(self, bound_s: float, lead_ms: int) -> None:
        self._bound = int(bound_s * AUDIO_RATE)
        self._lead = max(lead_ms * AUDIO_RATE // 1000, 1)
        self._utterances: deque[Utterance] = deque()
        self._samples = 0

    @property
    def waiting_s(self) -> float:
        return self._samples / AUDIO_RATE

    @property
    def is_empty(self) -> bool:
        return not self._utterances

    @property
    def room_s(self) -> float:
        return (self._bound - self._samples) / AUDIO_RATE

    def begin(self, on_end: Callable[[bool], None] | None = None, open_ended: bool = False) -> Utterance:
        """Queues an utterance that is yet to be filled."""
        utterance = Utterance(on_end, open_ended)
        self._utterances.append(utterance)
        return utterance

    def push(self, utterance: Utterance, samples: NDArray[np.floating] | NDArray[np.int16]) -> None:
        """More of an utterance: (n,) mono at 48 kHz. Sound for a cancelled one is dropped.

        Raises TooMuchWaiting when more than the bound would wait.
        """
        if utterance.cancelled or not len(samples):
            return
        if self._samples + len(samples) > self._bound:
            raise TooMuchWaiting(
                f"{self._bound / AUDIO_RATE:g} s of speech are waiting already; push no faster than it is played"
            )
        if not utterance.samples:
            utterance.dry_ticks = 0
        utterance.blocks.append(to_int16(samples))
        utterance.samples += len(samples)
        self._samples += len(samples)

    def cue(self, utterance: Utterance, cue: Cue) -> None:
        """A cue where the sound pushed so far ends."""
        if not utterance.cancelled:
            utterance.blocks.append(cue)
            utterance.directed = True

    def finish(self, utterance: Utterance) -> None:
        """Nothing more will be pushed to it."""
        utterance.finished = True

    def clear(self) -> list[Utterance]:
        """Drops all that waits; returns what was cancelled."""
        cancelled = list(self._utterances)
        for utterance in cancelled:
            utterance.cancelled = True
            utterance.blocks.clear()
        self._utterances.clear()
        self._samples = 0
        return cancelled

    def take(self) -> SpeechChunk:
        """The next 40 ms. A chunk may hold the end of one utterance and the start of the next."""
        pieces: list[NDArray[np.int16]] = []
        ended: list[Utterance] = []
        cues: list[Cue] = []
        wanted = AUDIO_CHUNK
        self._let_others_pass()
        while wanted and self._utterances:
            head = self._utterances[0]
            if not self._ready(head, wanted):
                head.dry_ticks += 1
                head.started = head.started and head.samples > 0
                break
            head.started, head.dry_ticks = True, 0
            got = self._pull(head, wanted, cues)
            pieces += got
            wanted -= sum(map(len, got))
            if head.finished and not head.samples:
                ended.append(self._utterances.popleft())
                cues += [block for block in head.blocks if isinstance(block, Cue)]
                cues += [END] * head.directed
            elif wanted:
                break
        if not pieces:
            return SpeechChunk(None, tuple(ended), tuple(cues))
        return SpeechChunk(np.concatenate([*pieces, np.zeros(wanted, np.int16)]), tuple(ended), tuple(cues))

    def _ready(self, head: Utterance, wanted: int) -> bool:
        enough = wanted if head.started else max(self._lead, wanted)
        impatient = head.samples > 0 and head.dry_ticks >= PATIENCE_TICKS
        return head.finished or head.samples >= enough or impatient

    def _let_others_pass(self) -> None:
        head = self._utterances[0] if self._utterances else None
        if head and head.open_ended and head.dry_ticks >= YIELD_TICKS and len(self._utterances) > 1:
            head.dry_ticks = 0
            self._utterances.rotate(-1)

    def _pull(self, utterance: Utterance, wanted: int, cues: list[Cue]) -> list[NDArray[np.int16]]:
        """Up to `wanted` samples of an utterance; the cues before them go to `cues`."""
        got: list[NDArray[np.int16]] = []
        while wanted and utterance.blocks:
            block = utterance.blocks.popleft()
            if isinstance(block, Cue):
                cues.append(block)
                continue
            if len(block) > wanted:
                utterance.blocks.appendleft(block[wanted:])
                block = block[:wanted]
            got.append(block)
            wanted -= len(block)
            utterance.samples -= len(block)
            self._samples -= len(block)
        return got
