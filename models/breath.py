"""Breath: how full the lungs are, breath by breath.

Pure: `breath_step(index, voice, state) -> (volume, state)`. Silent people breathe in for two fifths of a cycle of some
four seconds; speakers take air quickly when a phrase has ended and spend it slowly on the next one.

Sources. Tidal breathing: Tobin et al., Chest 84 (1983), 12 to 20 breaths a minute. Speech: Winkworth et al., J. Speech
Hear. Res. 38 (1995): breaths at phrase ends, in for half a second; Hixon, Goldman & Mead (1973).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

from models.noise import draw, draw_log_normal
from models.rates import FPS
from models.spring import follow
from models.voice import VoiceFeatures

CYCLE_S, SPREAD = 4.1, 0.18
IN_SHARE = 0.4
REST, TIDAL = -0.35, 0.55
"""Volume of resting lungs, and what a silent breath adds; -1 is empty, 1 as full as lungs get in talk."""

QUICK_IN_S, SPENT_S = 0.5, 7.0
EMPTY = -0.9
ROUND_S = 0.12
"""Turning points are rounded over this time."""

_LENGTH, _DEPTH, _FULL = range(90, 93)


class Phase(Enum):
    IN = "in"
    OUT = "out"
    SPEAKING = "speaking"


@dataclass(frozen=True, slots=True)
class BreathState:
    """The present movement: from volume `before` to `target` over `chunks` chunks from `since`. shown: the volume
    after rounding, and its speed a second."""

    seed: int
    count: int = 0
    phase: Phase = Phase.OUT
    since: int = 0
    chunks: int = FPS
    before: float = REST
    target: float = REST
    shown: float = REST
    speed: float = 0.0


def breath_step(index: int, voice: VoiceFeatures, state: BreathState) -> tuple[float, BreathState]:
    """How full the lungs are (-1..1) at chunk `index`."""
    now = _volume(index, state)
    if voice.phrase_start:
        state = _begin(index, state, now, Phase.SPEAKING, EMPTY, SPENT_S * (now - EMPTY) / (1 - EMPTY) + 1)
    elif voice.phrase_end:
        full = 0.35 + 0.5 * draw(state.seed, _FULL, state.count)
        state = _begin(index, state, now, Phase.IN, max(now, full), QUICK_IN_S)
    elif index >= state.since + state.chunks and state.phase is not Phase.SPEAKING:
        cycle_s = draw_log_normal(state.seed, _LENGTH, state.count, CYCLE_S, SPREAD)
        if state.phase is Phase.IN:
            state = _begin(index, state, now, Phase.OUT, REST, (1 - IN_SHARE) * cycle_s)
        else:
            depth = TIDAL * (0.75 + 0.5 * draw(state.seed, _DEPTH, state.count))
            state = _begin(index, state, now, Phase.IN, REST + depth, IN_SHARE * cycle_s)
    shown, speed = follow(_volume(index, state), state.shown, state.speed, 2 / ROUND_S)
    return shown, replace(state, shown=shown, speed=speed)


def _begin(index: int, state: BreathState, now: float, phase: Phase, target: float, seconds: float) -> BreathState:
    chunks = max(1, round(seconds * FPS))
    return replace(state, count=state.count + 1, phase=phase, since=index, chunks=chunks, before=now, target=target)


def _volume(index: int, state: BreathState) -> float:
    x = min(1.0, (index - state.since) / state.chunks)
    way = x if state.phase is Phase.SPEAKING else 0.5 - 0.5 * math.cos(math.pi * x)
    return state.before + (state.target - state.before) * way
