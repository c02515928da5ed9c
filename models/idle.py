"""Life that is not speech: blinks, glances, sway, nods, breath, brows.

A pure function of (seed, index, voice): no clock, no random generator. What does not depend on the voice (sway, breath,
slow brows) is noise hashed from (seed, index), open at any index and never repeating; what does (blinks at phrase ends,
glances, nods on accents) is a small explicit state whose draws are hashed from (seed, count). Angles are in degrees
until the last line.

Sources. Blinks: rates Bentivoglio et al. 1997 (17 a minute at rest, 26 in conversation), durations and the quick
closing Stern et al. 1984 and Evinger et al. 1991, at phrase ends Nakano & Kitazawa 2010, with gaze shifts Evinger et
al. 1994. Gaze: speakers look away more than listeners, and come back at the end of the phrase: Kendon 1967, Argyle &
Cook 1976; saccades Bahill et al. 1975. Head: nods on prominent syllables Hadar et al. 1983, Munhall et al. 2004.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES, HEAD_NAMES
from models.blinks import BlinkState, blink_step, first_blink
from models.gaze import GazeState, first_gaze, gaze_step, gaze_weights
from models.noise import draw, smooth_noise
from models.rates import FPS
from models.style import Style
from models.voice import VoiceFeatures

# Sway: (amplitude in degrees, period in seconds) of yaw, pitch, roll. The quick one is the head of someone talking.
SLOW = ((2.2, 6.1), (1.3, 7.3), (1.2, 8.9))
MIDDLE = ((1.2, 2.3), (0.8, 2.0), (0.8, 2.6))
QUICK = ((1.0, 0.9), (0.8, 0.8), (0.5, 1.0))
SETTLE_CHUNKS = 2 * FPS
"""A session starts in the photo's own pose and takes this long to be fully alive."""

ENGAGE_CHUNKS = 15
BREATH_S, BREATH_PITCH_DEG, BREATH_SHIFT, BREATH_ZOOM = 4.3, 0.22, 0.004, 0.0015

NOD_ACCENT, NOD_GAP_CHUNKS, NOD_CHUNKS, NOD_CHANCE = 0.35, 14, 14, 0.75
NOD_DOWN_CHUNKS = 5
BROW_CHANCE = 0.45

_STREAMS = {"yaw": 10, "pitch": 20, "roll": 30, "breath": 40, "brow": 50, "nod": 60}


@dataclass(frozen=True, slots=True)
class IdleMotion:
    """weights: (52,) to add to the speaking mouth. head: (6,) as `FaceMotion.head`."""

    weights: NDArray[np.float32]
    head: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Nod:
    """A nod of `depth_deg` that begins at `start`; `brow` 0..1 raises the brows with it."""

    start: int
    depth_deg: float
    brow: float


@dataclass(frozen=True, slots=True)
class IdleState:
    """engaged: 0 listening .. 1 speaking, smoothed. nods: the recent ones, at most two overlap."""

    seed: int
    blink: BlinkState
    gaze: GazeState
    engaged: float = 0.0
    nods: tuple[Nod, ...] = ()
    nod_count: int = 0


class IdleModel:
    """Stateless; one serves every session."""

    def initial_state(self, seed: int) -> IdleState:
        """A session whose blinks, glances and sway follow from `seed`."""
        return IdleState(seed, first_blink(seed), first_gaze(seed))

    def step(self, index: int, voice: VoiceFeatures, style: Style, state: IdleState) -> tuple[IdleMotion, IdleState]:
        """The life of chunk `index`; call once for each index, in order."""
        engaged = state.engaged + (voice.speaking - state.engaged) / ENGAGE_CHUNKS
        state = replace(state, engaged=engaged)
        state = _maybe_nod(index, voice, state)
        angles = style.head * (sway_deg(state.seed, index, engaged) + np.array([0.0, _nod_deg(index, state.nods), 0.0]))
        gaze_x, gaze_y, jumped, gaze = gaze_step(index, voice, engaged, state.gaze)
        lid, blink = blink_step(index, voice, jumped, state.blink)

        weights = np.zeros(len(ARKIT_NAMES), np.float32)
        # The eyes stay on what they look at while the head turns (vestibulo-ocular reflex).
        gaze_weights(weights, style.gaze * gaze_x - angles[0], style.gaze * gaze_y - angles[1])
        if style.blink:
            _both(weights, "eyeBlink", lid)
        _brows(weights, index, state)

        breath = _breath(state.seed, index)
        angles[1] += style.head * BREATH_PITCH_DEG * breath
        head = np.zeros(len(HEAD_NAMES), np.float32)
        head[:3] = np.radians(angles)
        head[4] = -style.head * BREATH_SHIFT * breath
        head[5] = style.head * BREATH_ZOOM * breath
        return IdleMotion(np.clip(weights, 0, 1), head), replace(state, gaze=gaze, blink=blink)


def sway_deg(seed: int, index: int, engaged: float) -> NDArray[np.float64]:
    """(yaw, pitch, roll) of a head that no voice moves: bounded, without a mean, nothing above about 1 Hz."""
    seconds, settled = index / FPS, min(1.0, index / SETTLE_CHUNKS)
    out = np.zeros(3)
    for axis, name in enumerate(("yaw", "pitch", "roll")):
        for n, (layer, share) in enumerate(((SLOW, 1.0), (MIDDLE, 0.5 + 0.5 * engaged), (QUICK, engaged))):
            amplitude, period = layer[axis]
            out[axis] += share * amplitude * smooth_noise(seed, _STREAMS[name] + n, seconds / period)
    return out * settled * settled * (3 - 2 * settled)


def _breath(seed: int, index: int) -> float:
    """-1 .. 1; faster in than out, its length never the same twice."""
    turns = index / FPS / BREATH_S + 0.25 * smooth_noise(seed, _STREAMS["breath"], index / FPS / 17)
    settled = min(1.0, index / SETTLE_CHUNKS)
    return settled * math.sin(2 * math.pi * turns + 0.35 * math.sin(2 * math.pi * turns))


def _maybe_nod(index: int, voice: VoiceFeatures, state: IdleState) -> IdleState:
    nods = tuple(nod for nod in state.nods if index - nod.start < NOD_CHUNKS)
    recent = state.nods[-1].start if state.nods else -NOD_GAP_CHUNKS
    if voice.accent < NOD_ACCENT or index - recent < NOD_GAP_CHUNKS:
        return replace(state, nods=nods or state.nods[-1:])
    chance, size, brow = (draw(state.seed, _STREAMS["nod"] + n, state.nod_count) for n in range(3))
    depth = (1.2 + 2.4 * size) * (0.7 + 0.6 * voice.accent) if chance < NOD_CHANCE else 0.0
    nod = Nod(index, depth, voice.accent * min(1.0, 0.4 + brow) if brow < BROW_CHANCE else 0.0)
    return replace(state, nods=(*nods, nod), nod_count=state.nod_count + 1)


def _nod_shape(chunks: int) -> float:
    """0 .. 1 .. 0: down in 200 ms, back in 360 ms."""
    if not 0 <= chunks < NOD_CHUNKS:
        return 0.0
    if chunks <= NOD_DOWN_CHUNKS:
        return 0.5 - 0.5 * math.cos(math.pi * chunks / NOD_DOWN_CHUNKS)
    return 0.5 + 0.5 * math.cos(math.pi * (chunks - NOD_DOWN_CHUNKS) / (NOD_CHUNKS - NOD_DOWN_CHUNKS))


def _nod_deg(index: int, nods: tuple[Nod, ...]) -> float:
    return -sum(nod.depth_deg * _nod_shape(index - nod.start) for nod in nods)


def _brows(weights: NDArray[np.float32], index: int, state: IdleState) -> None:
    slow = 0.5 + 0.5 * smooth_noise(state.seed, _STREAMS["brow"], index / FPS / 3.7)
    flash = max((nod.brow * _nod_shape(index - nod.start) for nod in state.nods), default=0.0)
    weights[ARKIT_INDEX["browInnerUp"]] = min(0.4, 0.05 * slow + 0.35 * flash)
    _both(weights, "browOuterUp", min(0.4, 0.03 * slow + 0.25 * flash))


def _both(weights: NDArray[np.float32], name: str, value: float) -> None:
    weights[ARKIT_INDEX[name + "Left"]] += value
    weights[ARKIT_INDEX[name + "Right"]] += value
