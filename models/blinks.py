"""When the eyes blink, and how far the lids are at each chunk.

Pure: `blink_step(chunk, voice, state) -> (lid, state)`. See `models.idle` for the sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from models.noise import draw, draw_log_normal
from models.rates import CHUNK_MS, FPS
from models.voice import VoiceFeatures

REST_MEDIAN_S, SPEECH_MEDIAN_S, SPREAD = 2.6, 3.4, 0.6
LEAST_GAP_CHUNKS = 12
PARTIAL_SHARE = 0.27
AT_PHRASE_END, AT_GLANCE = 0.5, 0.12

_INTERVAL, _PARTIAL, _DEPTH, _CLOSING, _HOLD, _OPENING, _PHRASE, _GLANCE, _LATER = range(70, 79)


@dataclass(frozen=True, slots=True)
class BlinkState:
    """count: blinks so far. start: chunk at which the last one began. due: chunk of the next."""

    seed: int
    count: int
    start: int
    due: int


def first_blink(seed: int) -> BlinkState:
    return BlinkState(seed, 0, -10 * FPS, _interval(seed, 0, REST_MEDIAN_S))


def blink_step(
    index: int, voice: VoiceFeatures, glanced: bool, rate: float, state: BlinkState
) -> tuple[float, BlinkState]:
    """How far the lids are closed (0..1) at chunk `index`. `glanced`: the eyes make a large jump now; `rate`: factor
    on how often they blink."""
    rested = index - state.start >= LEAST_GAP_CHUNKS
    if voice.phrase_end and rested and draw(state.seed, _PHRASE, index) < AT_PHRASE_END:
        state = replace(state, due=min(state.due, index + int(5 * draw(state.seed, _LATER, index))))
    if glanced and rested and draw(state.seed, _GLANCE, index) < AT_GLANCE:
        state = replace(state, due=index)
    if index >= state.due:
        median = SPEECH_MEDIAN_S if voice.speaking > 0.5 else REST_MEDIAN_S
        count = state.count + 1
        state = BlinkState(state.seed, count, index, index + _interval(state.seed, count, median / rate))
    return _lid((index - state.start) * CHUNK_MS, state.seed, state.count), state


def _interval(seed: int, count: int, median_s: float) -> int:
    seconds = draw_log_normal(seed, _INTERVAL, count, median_s, SPREAD)
    return max(LEAST_GAP_CHUNKS, round(min(12.0, seconds) * FPS))


def _lid(since_ms: float, seed: int, count: int) -> float:
    """Quick down, a moment shut (never shorter than a frame, so that every blink is seen), slower up."""
    partial = draw(seed, _PARTIAL, count) < PARTIAL_SHARE
    depth = draw(seed, _DEPTH, count)
    depth = 0.45 + 0.3 * depth if partial else 0.93 + 0.07 * depth
    closing = 60 + 40 * draw(seed, _CLOSING, count)
    hold = 40 + 25 * draw(seed, _HOLD, count)
    opening = (100 if partial else 130) + 90 * draw(seed, _OPENING, count)
    if since_ms < closing:
        return depth * math.sin(0.5 * math.pi * since_ms / closing) ** 2
    up = (since_ms - closing - hold) / opening
    return depth * (0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, up))))
