"""Microphone sound between the network and the session's tick: a line of samples with its times put right.

Numpy only; `now` is an argument. Gaps become silence, repeats are dropped, jumps start afresh. Latency is
bounded twice: a backlog that never empties loses its silent parts, and beyond the bound the oldest goes.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE, unwrap

JUMP_SAMPLES = AUDIO_RATE
"""A timestamp further off than one second is a new beginning, not a gap."""

SILENT_PEAK = 180
"""Loudest int16 sample of what counts as silence (-45 dB full scale)."""

TRIM_SAMPLES = AUDIO_RATE // 50
"""Silence is cut out in pieces of 20 ms, a packet."""

WATCH_TICKS = 25
"""The backlog counts as surplus if it was there for this many ticks (one second)."""

PATIENCE_TICKS = 2
"""Ticks that less than a chunk waits for its rest before it is played with silence behind it."""


class MicrophoneQueue:
    """Sound of one microphone: `push` from the network, `take` from the tick.

    trimmed, dropped: samples of silence cut out, and of sound lost to the bound.
    """

    def __init__(self, bound_ms: int) -> None:
        self._bound = max(bound_ms * AUDIO_RATE // 1000, 2 * AUDIO_CHUNK)
        self._line = np.zeros(0, np.int16)
        self._arrivals: deque[tuple[int, float]] = deque()  # (samples in the line when it came, time)
        self._end_pts: int | None = None
        self._played_silence = 0
        self._dry_ticks = 0
        self._backlogs: deque[int] = deque(maxlen=WATCH_TICKS)
        self.trimmed = 0
        self.dropped = 0

    @property
    def waiting_samples(self) -> int:
        return len(self._line)

    def push(self, samples: NDArray[np.int16], at_samples: int, now: float) -> None:
        """(n,) int16 mono at 48 kHz, whose first sample is number `at_samples` of the sender (it may wrap at 2^32)."""
        if self._end_pts is None:
            self._end_pts = at_samples
        at = unwrap(at_samples, self._end_pts)
        end, gap = at + len(samples), at - self._end_pts
        if abs(gap) >= JUMP_SAMPLES:
            gap = 0
        elif gap < 0:
            if len(samples) <= -gap:
                return
            samples = samples[-gap:]
        # Silence that an empty queue has already played stands for the part that was missing.
        missing = max(gap - self._played_silence, 0)
        self._played_silence = 0
        self._end_pts = end
        self._line = np.concatenate([self._line, np.zeros(missing, np.int16), samples])
        self._arrivals.append((len(self._line), now))
        excess = len(self._line) - self._bound - AUDIO_CHUNK
        if excess > 0:
            self._discard(excess)
            self.dropped += excess

    def take(self) -> tuple[NDArray[np.int16], float] | None:
        """One chunk (1920,) and the time when its last sample came in; None if there is none to play."""
        self._trim_surplus()
        if len(self._line) < AUDIO_CHUNK:
            self._dry_ticks += 1
            if not len(self._line) or self._dry_ticks < PATIENCE_TICKS:
                self._played_silence += AUDIO_CHUNK
                self._backlogs.append(0)
                return None
            rest = AUDIO_CHUNK - len(self._line)
            self._line = np.concatenate([self._line, np.zeros(rest, np.int16)])
            self._played_silence += rest
        else:
            self._dry_ticks = 0
        chunk, received = self._line[:AUDIO_CHUNK], self._received(AUDIO_CHUNK)
        self._discard(AUDIO_CHUNK)
        self._backlogs.append(len(self._line))
        return chunk, received

    def clear(self) -> None:
        """Forgets what waits. What comes next is played as if it followed."""
        self._discard(len(self._line))
        self._backlogs.clear()

    def _trim_surplus(self) -> None:
        surplus = min(self._backlogs) if len(self._backlogs) == WATCH_TICKS else 0
        while surplus >= TRIM_SAMPLES and np.abs(self._line[:TRIM_SAMPLES].astype(np.int32)).max() <= SILENT_PEAK:
            self._discard(TRIM_SAMPLES)
            self.trimmed += TRIM_SAMPLES
            surplus -= TRIM_SAMPLES
            self._backlogs.clear()

    def _received(self, samples: int) -> float:
        """When the sample before number `samples` of the line came in."""
        for end, time in self._arrivals:
            if end >= samples:
                return time
        return self._arrivals[-1][1]

    def _discard(self, samples: int) -> None:
        self._line = self._line[samples:]
        self._arrivals = deque((end - samples, time) for end, time in self._arrivals if end > samples)
