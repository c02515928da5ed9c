"""A listener's nods: small, now and then, likelier when the other side pauses.

Pure: `listening_step(index, heard_now, state) -> state`; `acknowledgement_deg` is the head's share of it.

Sources. Hadar, Steiner & Rose, "Head movement during listening turns" (1985): nods of a few degrees, often doubled;
Dittmann & Llewellyn (1968) and Poppe et al. (2010): listeners nod at the ends of the speaker's phrases, some six to ten
times a minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from models.noise import draw, draw_log_normal
from models.rates import FPS

HEARD_S = 0.6
"""How slowly attention comes and goes."""

SPOKEN_TO = 0.3
MEDIAN_S, SPREAD, LEAST_S = 9.5, 0.5, 2.5
AT_PAUSE = 0.6
PAUSE_AFTER_S = 1.2
NOD_S, SECOND_CHANCE, SECOND_SHARE = 0.56, 0.4, 0.6
LEAST_DEG, MOST_DEG = 1.2, 2.6

_WHEN, _DEPTH, _TWICE, _PAUSE = range(100, 104)


@dataclass(frozen=True, slots=True)
class ListeningState:
    """heard: 0..1, attention, smoothed. spoken_chunks: how long the other side has been speaking. start, due: chunk at
    which the last nod began and the next one will."""

    seed: int
    count: int = 0
    heard: float = 0.0
    spoken_chunks: int = 0
    start: int = -10 * FPS
    due: int = round(MEDIAN_S * FPS)


def listening_step(index: int, heard_now: float, speaking: bool, state: ListeningState) -> ListeningState:
    """One chunk: `heard_now` 0..1 is how loudly the other side speaks, `speaking` whether this face does."""
    heard = state.heard + (heard_now - state.heard) / (HEARD_S * FPS)
    spoken = state.spoken_chunks + 1 if heard_now > SPOKEN_TO else 0
    paused = not spoken and state.spoken_chunks > PAUSE_AFTER_S * FPS
    state = replace(state, heard=heard, spoken_chunks=spoken)
    rested = index - state.start >= LEAST_S * FPS
    if paused and rested and draw(state.seed, _PAUSE, index) < AT_PAUSE:
        state = replace(state, due=index)
    if index < state.due:
        return state
    count = state.count + 1
    later = index + round(max(LEAST_S, draw_log_normal(state.seed, _WHEN, count, MEDIAN_S, SPREAD)) * FPS)
    if speaking or (heard < SPOKEN_TO and not paused):
        return replace(state, count=count, due=later)
    return replace(state, count=count, start=index, due=later)


def acknowledgement_deg(index: int, state: ListeningState) -> float:
    """How far the head is down."""
    depth = LEAST_DEG + (MOST_DEG - LEAST_DEG) * draw(state.seed, _DEPTH, state.count)
    since_s = (index - state.start) / FPS
    second = SECOND_SHARE if draw(state.seed, _TWICE, state.count) < SECOND_CHANCE else 0.0
    return depth * (_dip(since_s / NOD_S) + second * _dip(since_s / NOD_S - 0.9))


def _dip(x: float) -> float:
    return 0.5 - 0.5 * math.cos(2 * math.pi * x) if 0 < x < 1 else 0.0
