"""Where a session's delay goes: milliseconds by stage, gathered chunk by chunk and told twice a second.

Pure: every time is an argument, all from one clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from models.rates import CHUNK_MS

REPORT_CHUNKS = 12
"""Chunks between two reports: about half a second."""

LATE_REPORTS = 60
"""Reports over which lateness is told: half a minute."""

KEPT = 64


@dataclass(slots=True)
class ChunkTimes:
    """One chunk's way: received (its last sample), taken (its tick), queued and stepped, ready, released."""

    taken_at: float
    received_at: float | None
    ready_at: float | None = None
    queue_ms: float = 0.0
    stage_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """stages: mean milliseconds of each; total_ms: from a chunk's last sample to its release."""

    stages: dict[str, float]
    total_ms: float
    late_per_mille: float

    def message(self) -> dict[str, object]:
        return {
            "type": "latency",
            "stages": {name: round(ms, 1) for name, ms in self.stages.items()},
            "total_ms": round(self.total_ms, 1),
            "late_per_mille": round(self.late_per_mille, 1),
        }


class LatencyMeter:
    """`taken`, `ready` and `released` are told as they happen; a report comes from every twelfth `released`."""

    def __init__(self, look_ahead_chunks: int) -> None:
        self._look_ahead_ms = look_ahead_chunks * CHUNK_MS
        self._open: dict[int, ChunkTimes] = {}
        self._stages: dict[str, list[float]] = {}
        self._late_now = 0
        self._late: deque[tuple[int, int]] = deque(maxlen=LATE_REPORTS)

    def taken(self, index: int, at: float, received_at: float | None) -> None:
        self._open[index] = ChunkTimes(at, received_at)
        self._open.pop(index - KEPT, None)

    def ready(self, index: int, at: float, queue_ms: float, stage_ms: dict[str, float]) -> None:
        times = self._open.get(index)
        if times:
            times.ready_at, times.queue_ms, times.stage_ms = at, queue_ms, stage_ms
        else:
            # Too late for its release; what it cost is told all the same.
            self._gather({"queue": queue_ms, **stage_ms})

    def released(self, index: int, at: float, late: bool) -> tuple[dict[str, float], LatencyReport | None]:
        """This chunk's own stages in ms ("total" among them), and the report if one is due."""
        self._late_now += late
        times = self._open.pop(index, None)
        stages = self._stages_of(times, at) if times else {}
        self._gather(stages)
        return stages, self._report() if index % REPORT_CHUNKS == REPORT_CHUNKS - 1 else None

    def _gather(self, stages: dict[str, float]) -> None:
        for name, ms in stages.items():
            self._stages.setdefault(name, []).append(ms)

    def _stages_of(self, times: ChunkTimes, at: float) -> dict[str, float]:
        # A chunk of silence was not waited for: its delay starts at its tick.
        received_at = times.taken_at if times.received_at is None else times.received_at
        stages = {"receive": (times.taken_at - received_at) * 1000, "look_ahead": float(self._look_ahead_ms)}
        if times.ready_at is not None:
            stages |= {"queue": times.queue_ms, **times.stage_ms, "wait": (at - times.ready_at) * 1000}
        return stages | {"total": (at - received_at) * 1000}

    def _report(self) -> LatencyReport:
        means = {name: sum(values) / len(values) for name, values in self._stages.items()}
        self._late.append((self._late_now, REPORT_CHUNKS))
        self._stages, self._late_now = {}, 0
        late, chunks = (sum(column) for column in zip(*self._late, strict=True))
        total_ms = means.pop("total", 0.0)
        return LatencyReport(means, total_ms, 1000 * late / chunks)
