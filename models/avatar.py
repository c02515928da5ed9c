"""The whole avatar: 40 ms of speech in, one frame of the face out.

Pure composition: mel → phonemes → motion ⊕ idle → picture. Every session's state goes in and comes out, so a
batch is any set of sessions and `render` (no clock) equals the live path (a clock) bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from models.generator import FrameGenerator
from models.idle import IdleModel, IdleMotion, IdleState
from models.motion import MotionModel, MotionState, combine
from models.phonemes import EncoderState, PhonemeEncoder, SpeechFrames
from models.rates import DEFAULT_LOOK_AHEAD_MS, look_ahead_chunks
from models.runtime import drawing_device
from models.style import Style


@dataclass(frozen=True, slots=True)
class StepInput:
    """What one session brings to a step.

    chunk: (640,) float32, 16 kHz, -1..1.
    generator: draws the face; None computes the motion alone (no picture).
    """

    chunk: NDArray[np.float32]
    generator: FrameGenerator | None
    style: Style


@dataclass(frozen=True, slots=True)
class AvatarFrame:
    """One frame: the face that belongs to the sound of chunk `index`.

    picture: (H, W, 3) uint8 BGR, or None if none was asked for.
    stage_ms: wall-clock milliseconds of this step by stage; "encoder" is shared by the batch,
        and so is "picture" on a GPU.
    idle: what is in `motion` besides speech.
    """

    index: int
    motion: FaceMotion
    picture: NDArray[np.uint8] | None
    stage_ms: dict[str, float]
    idle: IdleMotion = field(default_factory=IdleMotion.none)

    def with_mouth(self, strength: float) -> FaceMotion:
        """The motion with speech moving the face so much less, 0..1."""
        silent = combine(np.zeros_like(self.motion.weights), self.idle).weights
        return replace(self.motion, weights=silent + np.float32(strength) * (self.motion.weights - silent))


@dataclass(frozen=True, slots=True)
class AvatarState:
    """All that one session remembers between chunks."""

    index: int
    look_ahead_chunks: int
    encoder: EncoderState
    motion: MotionState
    idle: IdleState


class Avatar:
    """The networks of the chain, loaded once and shared by every session.

    drawing_threads: threads that draw the pictures of a batch on the CPU; they are the same pictures whatever the
    number. On a GPU all are drawn together: gpu_bytes, most_rows are those of `models.gpu.drawing.Drawing`.
    drawing: draws instead.
    """

    def __init__(
        self,
        device: str = "cpu",
        threads: int = 1,
        drawing_threads: int = 1,
        gpu_bytes: int = 0,
        most_rows: int = 1,
        drawing: Together | None = None,
    ) -> None:
        self._encoder = PhonemeEncoder(device, threads)
        self._drawing = drawing
        if drawing is None and drawing_device(device) == "cuda":
            from models.gpu.drawing import Drawing

            self._drawing = Drawing("cuda", gpu_bytes, most_rows)
        self._motion = MotionModel()
        self._idle = IdleModel()
        helpers = drawing_threads - 1  # this thread is one
        self._helpers = ThreadPoolExecutor(helpers, thread_name_prefix="draw") if helpers > 0 else None

    def initial_state(self, seed: int, look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS) -> AvatarState:
        """State of a new session. `seed` decides its blinks and glances. Raises ValueError for a
        look-ahead outside `rates.LOOK_AHEADS_MS`."""
        return AvatarState(
            index=0,
            look_ahead_chunks=look_ahead_chunks(look_ahead_ms),
            encoder=self._encoder.initial_state(1),
            motion=self._motion.initial_state(),
            idle=self._idle.initial_state(seed),
        )

    def prepare(self, generator: FrameGenerator) -> None:
        """Makes a face ready to be drawn, where that is worth doing ahead. For any thread."""
        if self._drawing is not None:
            self._drawing.prepare(generator)

    def step(
        self, inputs: Sequence[StepInput], states: Sequence[AvatarState]
    ) -> tuple[list[AvatarFrame | None], list[AvatarState]]:
        """One chunk of each session.

        Returns a frame for chunk `index - look-ahead` of each session, None while there is none yet,
        and the new states, in the order of `inputs`.
        """
        started = time.perf_counter()
        speech, encoder = self._encoder.step(
            np.stack([row.chunk for row in inputs]), EncoderState.stack([state.encoder for state in states])
        )
        encoder_ms = _ms_since(started)
        rows = [
            self._moved(row, state, after, frames, encoder_ms)
            for row, state, after, frames in zip(inputs, states, encoder.split(), speech.split(), strict=True)
        ]
        if self._drawing is not None:
            rows = _drawn_together(self._drawing, rows)
        elif self._helpers is not None and len(rows) > 1:  # a single row is not worth the way to another thread
            rows = _drawn_with_help(self._helpers, rows)
        else:
            rows = [_drawn(row) for row in rows]
        return [row.frame for row in rows], [row.state for row in rows]

    def _moved(
        self, row: StepInput, state: AvatarState, encoder: EncoderState, speech: SpeechFrames, encoder_ms: float
    ) -> _Row:
        index = state.index - state.look_ahead_chunks
        started = time.perf_counter()
        weights, voice, motion_state = self._motion.step(speech, row.style, state.look_ahead_chunks, state.motion)
        idle_state = state.idle
        frame = None
        if index >= 0:
            idle, idle_state = self._idle.step(index, voice, row.style, state.idle)
            motion = combine(weights, idle)
            frame = AvatarFrame(index, motion, None, {"encoder": encoder_ms, "motion": _ms_since(started)}, idle)
        after = AvatarState(state.index + 1, state.look_ahead_chunks, encoder, motion_state, idle_state)
        return _Row(frame, after, row.generator)


@dataclass(frozen=True, slots=True)
class _Row:
    """One session's part of a step, between moving and drawing."""

    frame: AvatarFrame | None
    state: AvatarState
    generator: FrameGenerator | None


class Together(Protocol):
    """What draws all pictures of a step at once: `models.gpu.drawing.Drawing`."""

    def prepare(self, generator: FrameGenerator) -> None: ...

    def render(self, rows: Sequence[tuple[FrameGenerator, FaceMotion]]) -> list[NDArray[np.uint8]]: ...


def _drawn_together(drawing: Together, rows: list[_Row]) -> list[_Row]:
    started = time.perf_counter()
    asked = [(row.generator, row.frame.motion) for row in rows if row.frame and row.generator]
    pictures = iter(drawing.render(asked) if asked else ())
    picture_ms = _ms_since(started)
    return [_with_picture(row, next(pictures) if row.frame and row.generator else None, picture_ms) for row in rows]


def _drawn(row: _Row) -> _Row:
    started = time.perf_counter()
    picture = row.generator.render(row.frame.motion) if row.frame and row.generator else None
    return _with_picture(row, picture, _ms_since(started))


def _drawn_with_help(helpers: Executor, rows: list[_Row]) -> list[_Row]:
    """All pictures are begun, then ended. Whole pictures in threads of their own would wait for each other: they are
    hundreds of short calls, and Python runs one at a time."""
    begun: list[tuple[Callable[[], NDArray[np.uint8]] | None, float]] = []
    for row in rows:
        started = time.perf_counter()
        end = row.generator.begin(row.frame.motion, helpers) if row.frame and row.generator else None
        begun.append((end, _ms_since(started)))
    done = []
    for row, (end, begin_ms) in zip(rows, begun, strict=True):
        started = time.perf_counter()
        picture = end() if end else None
        done.append(_with_picture(row, picture, begin_ms + _ms_since(started)))
    return done


def _with_picture(row: _Row, picture: NDArray[np.uint8] | None, picture_ms: float) -> _Row:
    if row.frame is None:
        return row
    stage_ms = row.frame.stage_ms | {"picture": picture_ms}
    return replace(row, frame=replace(row.frame, picture=picture, stage_ms=stage_ms))


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
