"""What keeps the delay as short as this machine and this microphone allow, while a session runs.

Pure: times are arguments. Both move the timeline by fractions of a millisecond a tick, which a receiver takes for a
network that changes a little; no sound is cut or stretched for it.
"""

from __future__ import annotations

from collections import deque

from realtime.playout import Playout

LEAST_S = 0.015
SPARE_S = 0.008
"""Kept over what the pictures of late have needed."""

FULL_GAIN = 2.0
"""How much more than at first a full machine may take."""

FULL_FROM, FULL_UNTIL = 0.1, 0.01
"""Share of the pictures remembered that need more than the first margin when a machine is full, and no longer is. A
few slow ones, as when a session begins, are let go late: to wait for them would delay all others."""

REMEMBERED = 200
"""Pictures that say what is needed (8 s); of these the slowest one is let go late."""

TRUSTED = 50
FALL_S, RISE_S = 0.00025, 0.005
"""Most that the margin changes in a tick."""

WATCHED = 50
"""Ticks (2 s) whose packets say how early they come at least."""

GUARD_S = 0.006
"""How early the last packet of a chunk is to be there, at least, before the tick that takes it."""

EARLIER_S, LATER_S = 0.0008, 0.001
"""Most that the ticks move in one tick: 2 and 2.5 %."""

NEAR_S = 0.001


class Margin:
    """How long after its tick a picture is due: at first `first_s`, then what the last pictures needed, at most twice
    as much. A full machine is late by tens of milliseconds; more delay shows less than pictures left out."""

    def __init__(self, first_s: float) -> None:
        self.seconds = first_s
        self._first_s, self._least_s = first_s, min(LEAST_S, first_s)
        self._full = False
        self._needed: deque[float] = deque(maxlen=REMEMBERED)

    def needed(self, seconds: float) -> None:
        """A picture was ready so long after its tick."""
        self._needed.append(seconds)

    def step(self) -> float:
        """Once a tick: the margin from now on."""
        if len(self._needed) >= TRUSTED:
            most_s = self._first_s * (FULL_GAIN if self._is_full() else 1.0)
            wanted = min(max(sorted(self._needed)[-2] + SPARE_S, self._least_s), most_s)
            self.seconds += min(max(wanted - self.seconds, -FALL_S), RISE_S)
        return self.seconds

    def _is_full(self) -> bool:
        over = sum(needed > self._first_s for needed in self._needed) / REMEMBERED
        self._full = over > (FULL_UNTIL if self._full else FULL_FROM)
        return self._full


class PhaseLock:
    """Keeps the ticks a little after the packets of a microphone, whose clock is not ours.

    Ticks that fall anywhere between packets cost half a packet on average, and as clocks drift they come just before a
    packet sooner or later, and miss it.
    """

    def __init__(self) -> None:
        self._early: deque[float] = deque(maxlen=WATCHED)  # as it would be had the ticks never been moved
        self._moved_s = 0.0

    def step(self, early_s: float | None) -> float:
        """Once a tick. early_s: how long before it the chunk was complete; None if there was no live chunk.

        Returns by how much to move the ticks; negative is earlier.
        """
        if early_s is None:
            return 0.0
        self._early.append(early_s - self._moved_s)
        if len(self._early) < WATCHED:
            return 0.0
        surplus_s = min(self._early) + self._moved_s - GUARD_S
        if abs(surplus_s) < NEAR_S:
            return 0.0
        move_s = max(-EARLIER_S, min(-surplus_s, LATER_S))
        self._moved_s += move_s
        return move_s


class Pacer:
    """Both, for one timeline."""

    def __init__(self, playout: Playout) -> None:
        self._playout = playout
        self._margin, self._phase = Margin(playout.margin_s), PhaseLock()

    def ready(self, index: int, at: float) -> None:
        """The picture of chunk `index` is ready."""
        self._margin.needed(at - self._playout.due(index) + self._playout.margin_s)

    def ticked(self, at: float, received_at: float | None) -> None:
        """A chunk was taken, whose last sample came in at `received_at` if it is live."""
        self._playout.margin_s = self._margin.step()
        self._playout.move(self._phase.step(None if received_at is None else at - received_at))
