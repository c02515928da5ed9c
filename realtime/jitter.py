"""Adaptive receive buffer for speech: puts packets in order, waits as little as the network allows, names lost ones.
Pure: time comes in as an argument; no clock, socket or decoder here.
Its delay follows the jitter: it grows at once when a packet comes late and shrinks back slowly (as WebRTC's NetEq).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from realtime.timebase import unwrap

MARGIN_S = 0.004
"""Held on top of the jitter seen, for the event loop's own lateness."""

JITTER_QUANTILE = 0.97
BASE_WINDOW_S = 2.0
"""Length of one slot of the sliding minimum of transit times; the minimum spans `BASE_SLOTS` of them."""

BASE_SLOTS = 5
JITTER_HISTORY = 400
"""Packets (8 s) whose lateness decides the delay."""

SHRINK_PER_S = 0.010
MAX_PACKETS = 64
RESET_GAP = 500
"""A jump of the sequence number beyond this is another stream, not loss or reordering."""

RELEARN_LATE = 12
"""So many packets in a row beyond the greatest delay mean that the path has changed: measure it anew."""


@dataclass(frozen=True, slots=True)
class JitterConfig:
    """Bounds of the delay (seconds) and the nominal length of a packet (samples)."""

    clock_rate: int = 48_000
    min_delay_s: float = 0.020
    max_delay_s: float = 0.120
    packet_samples: int = 960
    conceal_s: float = 0.100


@dataclass(frozen=True, slots=True)
class Release:
    """A piece of sound that is due. `payload` is None where the packet is lost: conceal `samples` samples.

    `at_samples` counts the sender's clock from its first packet.
    """

    at_samples: int
    samples: int
    payload: bytes | None


@dataclass(slots=True)
class JitterCounts:
    """What became of the packets, since the start."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    overflow: int = 0
    resets: int = 0
    relearnt: int = 0


@dataclass(slots=True)
class _Packet:
    at_samples: int
    payload: bytes


@dataclass(slots=True)
class JitterBuffer:
    """`push` packets as they arrive, `pop` what is due; `next_due_s` says when to look again."""

    config: JitterConfig = field(default_factory=JitterConfig)
    counts: JitterCounts = field(default_factory=JitterCounts)
    delay_s: float = field(init=False)
    _waiting: dict[int, _Packet] = field(default_factory=dict)
    _sequence: int | None = None  # newest, unwrapped
    _timestamp: int = 0  # of the newest packet, unwrapped
    _origin: int = 0  # timestamp that counts as sample 0
    _expected: int = 0  # sequence number to release next
    _expected_at: int = 0  # its place on the sender's clock, samples
    _packet_samples: int = 0
    _base: deque[tuple[float, float]] = field(default_factory=deque)  # (start of slot, least transit in it)
    _least_s: float = 0.0  # the least of these
    _lateness: deque[float] = field(default_factory=lambda: deque(maxlen=JITTER_HISTORY))
    _shrunk_s: float = 0.0
    _concealed_s: float = 0.0
    _late_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.delay_s = self.config.min_delay_s
        self._packet_samples = self.config.packet_samples

    def push(self, sequence: int, timestamp: int, payload: bytes, now_s: float) -> None:
        """Take in an RTP packet (16-bit sequence number, 32-bit timestamp) that came at `now_s` of a steady clock."""
        self.counts.received += 1
        if self._sequence is not None:
            unwrapped = unwrap(sequence, self._sequence, bits=16)
            if abs(unwrapped - self._sequence) > RESET_GAP:
                self.restart()
        if self._sequence is None:
            self._start(sequence, timestamp)
        assert self._sequence is not None
        sequence = unwrap(sequence, self._sequence, bits=16)
        timestamp = unwrap(timestamp, self._timestamp)
        at = timestamp - self._origin
        if sequence > self._sequence:
            if sequence == self._sequence + 1 and 0 < timestamp - self._timestamp <= self.config.clock_rate // 8:
                self._packet_samples = timestamp - self._timestamp
            self._sequence, self._timestamp = sequence, timestamp
        self._adapt(now_s - at / self.config.clock_rate, now_s)
        if sequence < self._expected or at < self._expected_at:
            self.counts.late += 1
            return
        if sequence in self._waiting:
            self.counts.duplicate += 1
            return
        self._waiting[sequence] = _Packet(at, payload)
        if len(self._waiting) > MAX_PACKETS:
            self._skip_to(sorted(self._waiting)[len(self._waiting) - MAX_PACKETS])

    def pop(self, now_s: float) -> list[Release]:
        """Everything that is due at `now_s`, in order and without overlap."""
        out: list[Release] = []
        while self._sequence is not None and self._due_s(self._expected_at) <= now_s:
            packet = self._waiting.pop(self._expected, None)
            if packet is not None:
                if now_s - self._due_s(packet.at_samples) > self.config.max_delay_s and self._waiting:
                    self._lose(packet.at_samples + self._packet_samples, out)
                    continue
                samples = self._packet_samples
                following = self._waiting.get(self._expected + 1)
                if following is not None:
                    samples = max(1, min(samples, following.at_samples - packet.at_samples))
                out.append(Release(packet.at_samples, samples, packet.payload))
                self._expected += 1
                self._expected_at = packet.at_samples + samples
                self._concealed_s = 0.0
            elif not self._conceal(now_s, out):
                break
        return out

    def next_due_s(self) -> float | None:
        """When `pop` next has something to say, or None while nothing is expected."""
        if self._sequence is None or (not self._waiting and self._concealed_s >= self.config.conceal_s):
            return None
        return self._due_s(self._expected_at)

    def restart(self) -> None:
        """Forget the path and what waits: another stream begins. Its place continues where the last one ended."""
        self.counts.resets += 1
        self._sequence = None
        self._waiting.clear()
        self._base.clear()
        self._lateness.clear()
        self._concealed_s = 0.0
        self._late_in_a_row = 0

    def _start(self, sequence: int, timestamp: int) -> None:
        # After a restart the sender's clock goes on: what was released stays released.
        timestamp = unwrap(timestamp, self._timestamp) if self.counts.resets else timestamp
        if not self.counts.resets:
            self._origin = timestamp
        elif not 0 <= timestamp - self._origin - self._expected_at < 10 * self.config.clock_rate:
            self._origin = timestamp - self._expected_at
        self._sequence = self._expected = sequence
        self._timestamp = timestamp
        self._expected_at = timestamp - self._origin

    def _adapt(self, transit_s: float, now_s: float) -> None:
        if not self._base or now_s - self._base[-1][0] >= BASE_WINDOW_S:
            self._base.append((now_s, transit_s))
            if len(self._base) > BASE_SLOTS:
                self._base.popleft()
        elif transit_s < self._base[-1][1]:
            self._base[-1] = (self._base[-1][0], transit_s)
        self._least_s = min(least for _, least in self._base)
        late_s = transit_s - self._least_s
        self._late_in_a_row = self._late_in_a_row + 1 if late_s > self.config.max_delay_s else 0
        if self._late_in_a_row >= RELEARN_LATE:
            self._base.clear()
            self._base.append((now_s, transit_s))
            self._least_s = transit_s
            self._lateness.clear()
            self._late_in_a_row, late_s = 0, 0.0
            self.counts.relearnt += 1
        self._lateness.append(late_s)
        low, high = self.config.min_delay_s, self.config.max_delay_s
        if late_s + MARGIN_S > self.delay_s:
            self.delay_s = min(high, late_s + MARGIN_S)
        elif now_s - self._shrunk_s > 0.1:
            elapsed_s = min(now_s - self._shrunk_s, 1.0)
            ranked = sorted(self._lateness)
            wanted = ranked[int(JITTER_QUANTILE * (len(ranked) - 1))] + MARGIN_S
            self.delay_s = max(low, min(self.delay_s, max(wanted, self.delay_s - SHRINK_PER_S * elapsed_s)))
            self._shrunk_s = now_s

    def _due_s(self, at_samples: int) -> float:
        return self._least_s + at_samples / self.config.clock_rate + self.delay_s

    def _conceal(self, now_s: float, out: list[Release]) -> bool:
        """Fill the hole at the expected place; False where it is better to wait."""
        if self._waiting:
            following = min(self._waiting)
            gap = self._waiting[following].at_samples - self._expected_at
            missing = following - self._expected
            if missing == 0 or gap <= 0 or gap > 2 * missing * self._packet_samples:
                self._skip_to(following)  # the sender paused (DTX) or the hole is filled already
                return True
        if self._concealed_s >= self.config.conceal_s:
            if not self._waiting:
                return False
            self._skip_to(min(self._waiting))
            return True
        self._lose(self._expected_at + self._packet_samples, out)
        return True

    def _lose(self, until_samples: int, out: list[Release]) -> None:
        samples = until_samples - self._expected_at
        out.append(Release(self._expected_at, samples, None))
        self.counts.lost += 1
        self._concealed_s += samples / self.config.clock_rate
        self._expected += 1
        self._expected_at = until_samples

    def _skip_to(self, sequence: int) -> None:
        for stale in [s for s in self._waiting if s < sequence]:
            del self._waiting[stale]
            self.counts.overflow += 1
        self._expected = sequence
        self._expected_at = max(self._expected_at, self._waiting[sequence].at_samples)
