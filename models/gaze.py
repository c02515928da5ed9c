"""Where the eyes look: at the viewer mostly, with small shifts, and away now and then.

Pure: `gaze_step(chunk, voice, …, state) -> (x, y in degrees, jumped, state)`. See `models.idle` for the sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX
from models.noise import draw, draw_log_normal
from models.rates import FPS
from models.voice import VoiceFeatures

FULL_SIDE_DEG, FULL_UP_DEG, FULL_DOWN_DEG = 32.0, 24.0, 28.0
"""Eye rotation of an eyeLook weight of 1."""

LEAST_CHUNKS = 5
LARGE_DEG = 5.0
FIRST_FRAME_SHARE = 0.65
"""A saccade of some degrees takes 40 to 60 ms: most of it lies in its first frame."""

AWAY_SPEAKING, AWAY_SILENT = 0.72, 0.55
"""Chance that a look at the viewer ends in a glance away."""

LESS_AWAY_HEARING = 0.35
"""Share of those glances that somebody saves who is spoken to: 75 % of listening is spent looking at the speaker."""

SHIFT_SIDE_DEG, SHIFT_UP_DEG = 1.3, 0.9
LID_PER_DEG_DOWN = 0.014

LOOK_DEG = {"left": (-14.0, 0.0), "right": (14.0, 0.0), "up": (0.0, 10.0), "down": (0.0, -11.0)}
"""Where a wanted look goes: right and up in the picture."""

_WHERE, _SIDE, _UP, _FAR, _HOW_LONG = range(80, 85)


@dataclass(frozen=True, slots=True)
class GazeState:
    """The present fixation: from where, to where (degrees, right and up in the picture), since and until when; look:
    what was wanted when it began (`style.LOOKS`)."""

    seed: int
    count: int
    before: tuple[float, float]
    target: tuple[float, float]
    since: int
    until: int
    away: bool
    look: str = "free"


def first_gaze(seed: int) -> GazeState:
    return GazeState(seed, 0, (0.0, 0.0), (0.0, 0.0), 0, _duration(seed, 0, 1.2), False)


def gaze_step(
    index: int, voice: VoiceFeatures, engaged: float, heard: float, look: str, state: GazeState
) -> tuple[float, float, bool, GazeState]:
    """Gaze relative to the viewer at chunk `index`, whether a large jump begins now, and the new state.

    engaged: 0 silent .. 1 speaking; heard: 0..1, how attentively the face listens; look: one of `style.LOOKS`.
    """
    back = voice.phrase_end and state.away and index - state.since >= LEAST_CHUNKS
    if index >= state.until or back or look != state.look:
        state = _next(index, engaged, heard, look, state)
    share = FIRST_FRAME_SHARE if index == state.since and state.count else 1.0
    x, y = (b + share * (t - b) for b, t in zip(state.before, state.target, strict=True))
    jumped = index == state.since and math.dist(state.before, state.target) > LARGE_DEG
    return x, y, jumped, state


def _next(index: int, engaged: float, heard: float, look: str, state: GazeState) -> GazeState:
    seed, count = state.seed, state.count + 1
    where, side, up, far = (draw(seed, stream, count) for stream in (_WHERE, _SIDE, _UP, _FAR))
    leaving = (AWAY_SILENT + engaged * (AWAY_SPEAKING - AWAY_SILENT)) * (1 - heard * LESS_AWAY_HEARING)
    away = look == "free" and not state.away and where < leaving
    if away:
        # Speakers look aside and up, listeners aside and down.
        distance = 6 + 7 * far
        target = (distance * (1 if side < 0.5 else -1), distance * (0.7 * up - 0.45 + 0.2 * engaged))
        median_s = 0.95
    else:
        right_deg, up_deg = LOOK_DEG.get(look, (0.0, 0.0))
        target = (right_deg + SHIFT_SIDE_DEG * (2 * side - 1), up_deg + SHIFT_UP_DEG * (2 * up - 1))
        median_s = 1.9 - 0.7 * engaged
    return GazeState(seed, count, state.target, target, index, index + _duration(seed, count, median_s), away, look)


def _duration(seed: int, count: int, median_s: float) -> int:
    return max(LEAST_CHUNKS, round(min(8.0, draw_log_normal(seed, _HOW_LONG, count, median_s, 0.55)) * FPS))


def gaze_weights(weights: NDArray[np.float32], right_deg: float, up_deg: float) -> None:
    """Writes the eyeLook weights of a gaze into `weights`; the upper lids follow it down."""
    side = min(1.0, abs(right_deg) / FULL_SIDE_DEG)
    # The picture's right is the subject's left.
    outer, inner = ("Left", "Right") if right_deg > 0 else ("Right", "Left")
    weights[ARKIT_INDEX["eyeLookOut" + outer]] = side
    weights[ARKIT_INDEX["eyeLookIn" + inner]] = side
    up, down = max(0.0, up_deg), max(0.0, -up_deg)
    for eye in ("Left", "Right"):
        weights[ARKIT_INDEX["eyeLookUp" + eye]] = min(1.0, up / FULL_UP_DEG)
        weights[ARKIT_INDEX["eyeLookDown" + eye]] = min(1.0, down / FULL_DOWN_DEG)
        weights[ARKIT_INDEX["eyeBlink" + eye]] += min(0.2, LID_PER_DEG_DOWN * down)
