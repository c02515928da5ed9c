"""How many sessions this machine carries, measured; and what share of its pictures each gets when there are too many.

Runs the models and encoders and reads a clock while it measures; the rest is arithmetic.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from models.avatar import AvatarFrame, StepInput
from models.generator import FrameGenerator
from models.rates import SPEECH_CHUNK
from models.style import Style
from realtime import cores
from realtime.codecs import H264Encoder
from realtime.timebase import CHUNK_S

HEADROOM = 0.8
"""Share of a tick that a full step and its encoding may take; the rest is for what else runs."""

LOOP_S = 0.003
"""What the event loop spends on a session in each tick: packets, encryption, sound, queues."""

MOST = 256

REPEATS = 5
PROBE_BPS = 1_000_000

WINDOW_S = 0.25
TOLERATED = 0.02
"""Share of rows that may come late to their step; beyond it twice in a row, pictures are left out."""

CUT, RISE = 0.5, 0.03
LEAST = 0.1


def most_rows(step_s: Callable[[int], float], bound_s: float, most: int) -> int:
    """The most rows (at least 1) whose step takes `bound_s`: doubled until it is too long, then in between."""
    few, few_s = 1, step_s(1)
    while few_s <= bound_s and few < most:
        many = min(2 * few, most)
        many_s = step_s(many)
        if many_s > bound_s:
            return few + int((many - few) * (bound_s - few_s) / (many_s - few_s))
        few, few_s = many, many_s
    return few


def measured(stepper: Any, generator: FrameGenerator) -> int:
    """Sessions that fit, by running full steps of speaking faces and encoding their pictures (a second or so)."""
    workers = cores.count()
    encoders = [H264Encoder(PROBE_BPS) for _ in range(workers)]
    noise = np.random.default_rng(0).normal(0, 0.1, SPEECH_CHUNK).astype(np.float32)
    row = StepInput(noise, generator, Style())
    encoded = itertools.count()

    def encode(encoder: H264Encoder, frames: Sequence[AvatarFrame | None]) -> None:
        for frame in frames:
            encoder.encode(frame.picture if frame else None, next(encoded), False)

    def step_s(rows: int) -> float:
        states = [stepper.initial_state(seed, 0) for seed in range(rows)]
        took = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            frames, states = stepper.step([row] * rows, states)
            list(pool.map(encode, encoders, [frames[worker::workers] for worker in range(workers)]))
            took.append(time.perf_counter() - started)
        return min(took) + rows * LOOP_S / min(workers, 2)

    with ThreadPoolExecutor(workers) as pool:
        return most_rows(step_s, HEADROOM * CHUNK_S, MOST)


class PictureShare:
    """The share of its pictures that each session may have drawn: less while steps come late; more when not, slowly at
    first and twice as fast from window to window, so that a machine which was only held up is soon itself again.

    What a picture costs depends on how many are drawn at once and on what else runs, so nothing is reckoned ahead.
    """

    def __init__(self) -> None:
        self.share = 1.0
        self._rise = RISE
        self._began = float("-inf")
        self._rows = self._late = 0
        self._was_late = False

    @property
    def is_short(self) -> bool:
        """Whether there are too many pictures, or may be."""
        return self._was_late or self.share < 1.0

    def stepped(self, now: float, rows: int, late: int) -> None:
        """A step of so many rows began; so many of them had waited too long already."""
        self._rows += rows
        self._late += late
        if now - self._began < WINDOW_S:
            return
        late_share = self._late / self._rows
        is_late = late_share > TOLERATED
        if not is_late:
            self.share = min(self.share + self._rise, 1.0)
        elif self._was_late:
            self.share = max(self.share * (1 - CUT * late_share), LEAST)
        self._rise = RISE if is_late else min(2 * self._rise, 1.0)
        self._began, self._rows, self._late, self._was_late = now, 0, 0, is_late
