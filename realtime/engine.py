"""The inference thread: takes whatever chunk waits in each slot, at most one a slot, and steps them as one batch,
through the models and through voice detection.

Touches one thread and the event loop that it was made in; reads a clock for lateness and timings. Slots are fixed
at start. A batch that fails is repeated row by row, so that a broken session ends alone. Overload costs pictures,
never sound, and everybody the same share of them; a row that is behind is stepped without drawing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.avatar import AvatarFrame, StepInput
from models.generator import FrameGenerator
from models.rates import SPEECH_CHUNK, look_ahead_chunks
from models.style import Style
from realtime import capacity as machine
from realtime.errors import Busy
from realtime.metrics import Metrics
from realtime.voice_activity import VoiceEvent, VoiceState

log = logging.getLogger(__name__)

MAX_WAITING = 8
"""Chunks that may wait in a slot; one more pushes the oldest out, unseen by the models."""

MAX_UNDRAWN = 8
"""Pictures in a row that a slot may go without: however far behind, a face still moves three times a second."""

MAX_CREDIT = 8.0
"""Pictures that a slot which came away empty may have later."""

WARM_UP_STEPS = 8

LEAST_MEASURED = 2
"""A machine that is busy while it is measured must not turn people away for good; overload is shared fairly.
One of several processes may say that it carries but one."""

UNMEASURED = 4
"""Sessions that are let in before the machine has been measured."""


class Stepper(Protocol):
    """What the engine runs: `models.avatar.Avatar`, or a fake of it."""

    def initial_state(self, seed: int, look_ahead_ms: int = ...) -> Any: ...

    def step(
        self, inputs: Sequence[StepInput], states: Sequence[Any]
    ) -> tuple[list[AvatarFrame | None], list[Any]]: ...


class Listener(Protocol):
    """Hears where somebody speaks: `voice_activity.VoiceDetector`, or a fake of it."""

    def step(
        self, chunks: Sequence[NDArray[np.float32]], states: Sequence[VoiceState]
    ) -> tuple[list[list[VoiceEvent]], list[VoiceState]]: ...


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One chunk of one session. index: its place in the session's timeline; due_at: when the frame that comes out
    of this step is to be shown, on the event loop's clock."""

    index: int
    chunk: NDArray[np.float32]
    generator: FrameGenerator | None
    style: Style
    due_at: float
    submitted_at: float


@dataclass(frozen=True, slots=True)
class StepResult:
    """frame: None during the first look-ahead chunks. index: the frame's place in the session's timeline.
    heard: the place of the chunk that went in; voice: what began or ended in it; is_speaking: whether it is speech.
    queue_ms: from `submit` to the step; ready_at: when the step was done, on the event loop's clock."""

    index: int
    frame: AvatarFrame | None
    heard: int
    voice: list[VoiceEvent]
    is_speaking: bool
    queue_ms: float
    ready_at: float


@dataclass(slots=True, eq=False)
class Slot:
    """A session's place in the engine. credit: pictures it may have drawn; it, `state`, `voice`, `indices`, `undrawn`
    belong to the inference thread."""

    engine: Engine
    state: Any
    look_ahead_chunks: int
    on_result: Callable[[StepResult], None]
    on_failure: Callable[[BaseException], None]
    waiting: deque[StepRequest] = field(default_factory=deque)
    indices: deque[int] = field(default_factory=deque)
    voice: VoiceState = field(default_factory=VoiceState)
    undrawn: int = 0
    credit: float = 1.0
    closed: bool = False

    def submit(
        self, index: int, chunk: NDArray[np.float32], generator: FrameGenerator | None, style: Style, due_at: float
    ) -> None:
        """Queues a chunk (640,). The result comes to `on_result` in the event loop."""
        self.engine.submit(self, StepRequest(index, chunk, generator, style, due_at, self.engine.now()))

    def close(self) -> None:
        """Gives the place back. No callback comes any more."""
        self.engine.close_slot(self)


class Engine:
    """Owns the thread; all methods are called from the event loop. capacity: sessions at once; 0: as measured, but at
    least `least`."""

    def __init__(
        self, stepper: Stepper, listener: Listener, capacity: int, metrics: Metrics, least: int = LEAST_MEASURED
    ) -> None:
        self.capacity = capacity or UNMEASURED
        self._least = least
        self._measures = not capacity
        self._pictures = machine.PictureShare()
        self._stepper, self._listener = stepper, listener
        self._metrics = metrics
        self._slots: list[Slot] = []
        self._wakeup = threading.Condition()
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        metrics.capacity.set(self.capacity)

    async def start(self, generator: FrameGenerator | None = None) -> float:
        """Warms up (with pictures, if given a generator) and starts. Returns the seconds of a warm one-row step."""
        seconds = await self._loop.run_in_executor(None, self._warm_up, generator)
        self._thread.start()
        return seconds

    async def measure(self, generator: FrameGenerator) -> None:
        """Finds out how many sessions with such a face this machine carries, unless a capacity was given."""
        if self._measures:
            found = await self._loop.run_in_executor(None, machine.measured, self._stepper, generator)
            self.capacity = max(found, self.sessions, self._least)
            self._metrics.capacity.set(self.capacity)

    async def stop(self) -> None:
        """Ends the thread after the step in progress."""
        with self._wakeup:
            self._stopping = True
            self._wakeup.notify()
        if self._thread.ident is not None:
            await self._loop.run_in_executor(None, self._thread.join)

    def now(self) -> float:
        return self._loop.time()

    @property
    def sessions(self) -> int:
        return len(self._slots)

    def open(
        self,
        seed: int,
        look_ahead_ms: int,
        on_result: Callable[[StepResult], None],
        on_failure: Callable[[BaseException], None],
    ) -> Slot:
        """A free slot. Raises Busy when there is none, ValueError for an unknown look-ahead."""
        if len(self._slots) >= self.capacity:
            raise Busy(f"all {self.capacity} places are taken; try again in a moment")
        slot = Slot(
            self,
            self._stepper.initial_state(seed, look_ahead_ms),
            look_ahead_chunks(look_ahead_ms),
            on_result,
            on_failure,
        )
        with self._wakeup:
            self._slots.append(slot)
        return slot

    def submit(self, slot: Slot, request: StepRequest) -> None:
        with self._wakeup:
            if slot.closed:
                return
            slot.waiting.append(request)
            if len(slot.waiting) > MAX_WAITING:
                slot.waiting.popleft()
                self._metrics.dropped_chunks.inc()
            self._wakeup.notify()

    def close_slot(self, slot: Slot) -> None:
        with self._wakeup:
            if not slot.closed:
                slot.closed = True
                slot.waiting.clear()
                self._slots.remove(slot)

    def _run(self) -> None:
        while True:
            with self._wakeup:
                self._wakeup.wait_for(lambda: self._stopping or any(slot.waiting for slot in self._slots))
                if self._stopping:
                    return
                rows = [(slot, slot.waiting.popleft(), bool(slot.waiting)) for slot in self._slots if slot.waiting]
            self._step(rows)

    def _step(self, rows: list[tuple[Slot, StepRequest, bool]]) -> None:
        started = self.now()
        drawn = self._to_draw(rows, started)
        inputs = []
        for slot, request, _ in rows:
            draw = slot in drawn
            slot.undrawn = 0 if draw else slot.undrawn + 1
            self._metrics.skipped_pictures.inc(request.generator is not None and not draw)
            inputs.append(StepInput(request.chunk, request.generator if draw else None, request.style))
            slot.indices.append(request.index)
        slots = [slot for slot, _, _ in rows]
        outcomes = self._outcomes(inputs, slots)
        voices, states = self._listener.step([row.chunk for row in inputs], [slot.voice for slot in slots])
        ready = self.now()
        self._metrics.step_s.observe(ready - started)
        self._metrics.batch_rows.observe(len(rows))
        deliveries: list[tuple[Slot, StepResult | BaseException]] = []
        for (slot, request, _), outcome, voice, slot.voice in zip(rows, outcomes, voices, states, strict=True):
            if isinstance(outcome, BaseException):
                deliveries.append((slot, outcome))
                continue
            index = slot.indices.popleft() if len(slot.indices) > slot.look_ahead_chunks else -1
            queue_ms = (started - request.submitted_at) * 1000
            result = StepResult(index, outcome, request.index, voice, slot.voice.speaking, queue_ms, ready)
            deliveries.append((slot, result))
        # RuntimeError: the loop was closed while we worked; nobody is left to hear of it.
        try:
            self._loop.call_soon_threadsafe(_deliver, deliveries)
        except RuntimeError:
            self._stopping = True

    def _to_draw(self, rows: list[tuple[Slot, StepRequest, bool]], now: float) -> set[Slot]:
        """Who gets a picture in this step."""
        drawn, late = set(), 0
        for slot, _, _ in rows:
            slot.credit = min(slot.credit + self._pictures.share, MAX_CREDIT)
        # Whoever's chunks fall badly between the others' steps is late more often: those who had more make way.
        credits = [slot.credit for slot in self._slots] if self._pictures.is_short else []
        least = max(1.0, sum(credits) / len(credits) - 0.5) if credits else 1.0
        for slot, request, behind in rows:
            # A slot that has more waiting, or whose frame is late already, catches up by not drawing this one.
            is_late = behind or now >= request.due_at
            late += is_late
            may_draw = not is_late and slot.credit >= least
            if request.generator is not None and (may_draw or slot.undrawn >= MAX_UNDRAWN):
                slot.credit = max(slot.credit - 1.0, 0.0)
                drawn.add(slot)
        self._pictures.stepped(now, len(rows), late)
        return drawn

    def _outcomes(self, inputs: list[StepInput], slots: list[Slot]) -> list[AvatarFrame | BaseException | None]:
        """The batch's frames; where the batch fails, each row's own frame or exception."""
        try:
            frames, states = self._stepper.step(inputs, [slot.state for slot in slots])
        except Exception as error:
            if len(inputs) == 1:
                log.exception("a session's step failed")
                return [error]
            return [self._outcomes([row], [slot])[0] for row, slot in zip(inputs, slots, strict=True)]
        for slot, state in zip(slots, states, strict=True):
            slot.state = state
        return list(frames)

    def _warm_up(self, generator: FrameGenerator | None) -> float:
        """Runs every batch size once and a single row a few times, so that the first session is not the slow one."""
        silence = StepInput(np.zeros(SPEECH_CHUNK, np.float32), generator, Style())
        for rows in {1, 2, min(self.capacity, UNMEASURED)}:
            self._stepper.step([silence] * rows, [self._stepper.initial_state(0, 0) for _ in range(rows)])
        states = [self._stepper.initial_state(0, 0)]
        durations = []
        for _ in range(WARM_UP_STEPS):
            started = time.perf_counter()
            _, states = self._stepper.step([silence], states)
            durations.append(time.perf_counter() - started)
        return min(durations)


def _deliver(deliveries: list[tuple[Slot, StepResult | BaseException]]) -> None:
    for slot, outcome in deliveries:
        if slot.closed:
            continue
        if isinstance(outcome, BaseException):
            slot.on_failure(outcome)
        else:
            slot.on_result(outcome)
