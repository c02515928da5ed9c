"""Where somebody speaks: Silero VAD over 32 ms windows, with hysteresis, as started and stopped events.

Reads the network's file once; otherwise pure: `step(chunks, states) -> (events, states)`, a row a session. The
network is Silero VAD v6 (MIT) as it lies in the installed `silero_vad` package, which is found but not imported, for it
would pull torch in.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.rates import SPEECH_RATE

WINDOW = 512
"""Samples that the network hears at a time (32 ms at 16 kHz)."""

CONTEXT = 64
"""Samples of the window before, which it expects in front."""

START_PROBABILITY = 0.5
STOP_PROBABILITY = 0.35
START_WINDOWS = 2
"""Windows in a row that make speech: a click is one."""

STOP_WINDOWS = 10
"""Windows in a row (320 ms) that end it: a pause between words is shorter."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    pass


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    pass


VoiceEvent = SpeechStarted | SpeechStopped


def _zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


@dataclass(frozen=True, slots=True)
class VoiceState:
    """What one session remembers. run: windows in a row that speak against the present state."""

    speaking: bool = False
    run: int = 0
    network: NDArray[np.float32] = field(default_factory=lambda: _zeros(2, 1, 128))
    context: NDArray[np.float32] = field(default_factory=lambda: _zeros(CONTEXT))
    waiting: NDArray[np.float32] = field(default_factory=lambda: _zeros(0))


class VoiceDetector:
    """The network, loaded once and shared by all sessions."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._network = onnxruntime.InferenceSession(str(_network_file()), options, ["CPUExecutionProvider"])
        self._rate = np.array(SPEECH_RATE, np.int64)

    def step(
        self, chunks: Sequence[NDArray[np.float32]], states: Sequence[VoiceState]
    ) -> tuple[list[list[VoiceEvent]], list[VoiceState]]:
        """chunks: (n,) float32 at 16 kHz of each session, any length. Each session's events come in order.

        Sessions do not change each other's result; together they take half the time.
        """
        after = [
            replace(state, waiting=np.concatenate([state.waiting, c])) for c, state in zip(chunks, states, strict=True)
        ]
        events: list[list[VoiceEvent]] = [[] for _ in after]
        while ready := [row for row, state in enumerate(after) if len(state.waiting) >= WINDOW]:
            probabilities, networks = self._network.run(
                None,
                {
                    "input": np.stack([np.concatenate([after[r].context, after[r].waiting[:WINDOW]]) for r in ready]),
                    "state": np.concatenate([after[r].network for r in ready], 1),
                    "sr": self._rate,
                },
            )
            for place, row in enumerate(ready):
                state = after[row]
                speaking, run, event = hysteresis(state.speaking, state.run, float(probabilities[place, 0]))
                context, waiting = state.waiting[WINDOW - CONTEXT : WINDOW], state.waiting[WINDOW:]
                after[row] = VoiceState(speaking, run, networks[:, place : place + 1], context, waiting)
                events[row] += [event] if event else []
        return events, after


def hysteresis(speaking: bool, run: int, probability: float) -> tuple[bool, int, VoiceEvent | None]:
    """One window's probability to the new state: two thresholds, and a number of windows in a row for each."""
    against = probability < STOP_PROBABILITY if speaking else probability >= START_PROBABILITY
    run = run + 1 if against else 0
    if run < (STOP_WINDOWS if speaking else START_WINDOWS):
        return speaking, run, None
    return not speaking, 0, SpeechStopped() if speaking else SpeechStarted()


def _network_file() -> Path:
    package = importlib.util.find_spec("silero_vad")
    if package is None or package.origin is None:
        raise RuntimeError("the silero-vad package is missing; run 'make setup'")
    return Path(package.origin).parent / "data" / "silero_vad_16k_op15.onnx"
