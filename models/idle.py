"""Life that is not speech: blinks, glances, sway, nods, breath, brows, and the feeling over all of it.

A pure function of (seed, index, voice): no clock, no random generator. What does not depend on the voice (sway, breath,
slow brows) is noise hashed from (seed, index), open at any index and never repeating; what does (blinks at phrase ends,
glances, nods on accents) is a small explicit state whose draws are hashed from (seed, count). Angles are in degrees
until the last line.

Sources. Blinks: rates Bentivoglio et al. 1997 (17 a minute at rest, 26 in conversation), durations and the quick
closing Stern et al. 1984 and Evinger et al. 1991, at phrase ends Nakano & Kitazawa 2010, with gaze shifts Evinger et
al. 1994. Gaze: speakers look away more than listeners, and come back at the end of the phrase: Kendon 1967, Argyle &
Cook 1976; saccades Bahill et al. 1975. Head: nods on prominent syllables Hadar et al. 1983, Munhall et al. 2004.
Breath, feeling and listening say theirs in their own modules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, HEAD_NAMES, FaceMotion
from models.blinks import BlinkState, blink_step, first_blink
from models.breath import REST, BreathState, breath_step
from models.feelings import FeelingState, feeling_step
from models.gaze import GazeState, first_gaze, gaze_step, gaze_weights
from models.listening import ListeningState, acknowledgement_deg, listening_step
from models.noise import draw, smooth_noise
from models.rates import FPS
from models.spring import follow
from models.style import Style
from models.voice import VoiceFeatures

# Sway: (amplitude in degrees, period in seconds) of yaw, pitch, roll. The quick one is the head of someone talking.
SLOW = ((2.2, 6.1), (1.3, 7.3), (1.2, 8.9))
MIDDLE = ((1.2, 2.3), (0.8, 2.0), (0.8, 2.6))
QUICK = ((1.0, 0.9), (0.8, 0.8), (0.5, 1.0))
SETTLE_CHUNKS = 2 * FPS
"""A session starts in the photo's own pose and takes this long to be fully alive."""

ENGAGE_CHUNKS = 15
BREATH_PITCH_DEG, BREATH_SHIFT, BREATH_ZOOM, BREATH_RISE = 0.35, 0.006, 0.002, 0.018
"""Of the head, and of chest and shoulders, between empty and full lungs (half of it either way); in degrees, eye
distances, log scale and eye distances."""

FOLLOW_LOOK, FOLLOW_GLANCE, FOLLOW_RATE = 0.35, 0.12, 7.0
"""Share of a wanted look and of a glance that the head turns along, and how quickly (Freedman & Sparks 1997)."""

BODY_PER_DEG, BODY_RATE = 0.006, 2.5
"""How far the shoulders go along with the head, in eye distances a degree of yaw, and how quickly."""

NOD_ACCENT, NOD_GAP_CHUNKS, NOD_CHUNKS, NOD_CHANCE = 0.35, 14, 14, 0.75
NOD_DOWN_CHUNKS = 5
BROW_CHANCE = 0.45

_STREAMS = {"yaw": 10, "pitch": 20, "roll": 30, "brow": 50, "nod": 60}


@dataclass(frozen=True, slots=True)
class IdleMotion:
    """weights: (52,) to add to the speaking mouth. head: (6,), body: (2,) as in `FaceMotion`."""

    weights: NDArray[np.float32]
    head: NDArray[np.float32]
    body: NDArray[np.float32]

    @staticmethod
    def none() -> IdleMotion:
        """A face that holds still."""
        rest = FaceMotion.rest()
        return IdleMotion(rest.weights, rest.head, rest.body)


@dataclass(frozen=True, slots=True)
class Nod:
    """A nod of `depth_deg` that begins at `start`; `brow` 0..1 raises the brows with it."""

    start: int
    depth_deg: float
    brow: float


@dataclass(frozen=True, slots=True)
class Follower:
    """Where something is that follows something else, and its speed a second."""

    at: float = 0.0
    speed: float = 0.0

    def towards(self, wanted: float, rate: float) -> Follower:
        return Follower(*follow(wanted, self.at, self.speed, rate))


@dataclass(frozen=True, slots=True)
class IdleState:
    """engaged: 0 silent .. 1 speaking, smoothed. nods: the recent ones, at most two overlap. turn: (yaw, pitch) in
    degrees that the head follows the eyes; shoulders: their shift."""

    seed: int
    blink: BlinkState
    gaze: GazeState
    breath: BreathState
    listening: ListeningState
    feeling: FeelingState = field(default_factory=FeelingState)
    turn: tuple[Follower, Follower] = (Follower(), Follower())
    shoulders: Follower = Follower()
    engaged: float = 0.0
    nods: tuple[Nod, ...] = ()
    nod_count: int = 0


class IdleModel:
    """Stateless; one serves every session."""

    def initial_state(self, seed: int) -> IdleState:
        """A session whose blinks, glances and sway follow from `seed`."""
        return IdleState(seed, first_blink(seed), first_gaze(seed), BreathState(seed), ListeningState(seed))

    def step(self, index: int, voice: VoiceFeatures, style: Style, state: IdleState) -> tuple[IdleMotion, IdleState]:
        """The life of chunk `index`; call once for each index, in order."""
        engaged = state.engaged + (voice.speaking - state.engaged) / ENGAGE_CHUNKS
        nods, nod_count = _maybe_nod(index, voice, state)
        felt, feeling = feeling_step(voice, style, state.feeling)
        listening = listening_step(index, style.listening, voice.speaking > 0.5, state.listening)
        heard = listening.heard * (1 - engaged)
        gaze_x, gaze_y, jumped, gaze = gaze_step(index, voice, engaged, heard, style.look, state.gaze)
        gaze_x, gaze_y = style.gaze * gaze_x, style.gaze * (gaze_y + felt.gaze_up_deg)
        lid, blink = blink_step(index, voice, jumped, felt.blinks, state.blink)
        volume, breath = breath_step(index, voice, state.breath)
        air = _settled(index) * (volume - REST)

        share = FOLLOW_GLANCE if gaze.look == "free" else FOLLOW_LOOK
        turn = (
            state.turn[0].towards(share * gaze_x, FOLLOW_RATE),
            state.turn[1].towards(share * gaze_y, FOLLOW_RATE),
        )
        angles = felt.life * sway_deg(state.seed, index, engaged)
        angles[0] += turn[0].at
        angles[1] += turn[1].at + felt.pitch_deg + BREATH_PITCH_DEG * air
        angles[1] -= felt.life * _nod_deg(index, nods) + acknowledgement_deg(index, listening)
        angles[2] += felt.roll_deg
        angles *= style.head
        shoulders = state.shoulders.towards(BODY_PER_DEG * angles[0], BODY_RATE)

        weights = felt.weights.copy()
        # The eyes stay on what they look at while the head turns (vestibulo-ocular reflex).
        gaze_weights(weights, gaze_x - angles[0], gaze_y - angles[1])
        if style.blink:
            _both(weights, "eyeBlink", lid)
        _brows(weights, index, state.seed, nods)

        head = np.zeros(len(HEAD_NAMES), np.float32)
        head[:3] = np.radians(angles)
        head[4] = -style.head * BREATH_SHIFT * air
        head[5] = style.head * BREATH_ZOOM * air
        body = np.array([shoulders.at, style.head * BREATH_RISE * air], np.float32)
        motion = IdleMotion(np.clip(weights, 0, 1), head, body)
        return motion, IdleState(
            state.seed, blink, gaze, breath, listening, feeling, turn, shoulders, engaged, nods, nod_count
        )


def sway_deg(seed: int, index: int, engaged: float) -> NDArray[np.float64]:
    """(yaw, pitch, roll) of a head that no voice moves: bounded, without a mean, nothing above about 1 Hz."""
    seconds = index / FPS
    out = np.zeros(3)
    for axis, name in enumerate(("yaw", "pitch", "roll")):
        for n, (layer, share) in enumerate(((SLOW, 1.0), (MIDDLE, 0.5 + 0.5 * engaged), (QUICK, engaged))):
            amplitude, period = layer[axis]
            out[axis] += share * amplitude * smooth_noise(seed, _STREAMS[name] + n, seconds / period)
    return out * _settled(index)


def _settled(index: int) -> float:
    """0 at the start of a session .. 1 after `SETTLE_CHUNKS`."""
    x = min(1.0, index / SETTLE_CHUNKS)
    return x * x * (3 - 2 * x)


def _maybe_nod(index: int, voice: VoiceFeatures, state: IdleState) -> tuple[tuple[Nod, ...], int]:
    """The nods of this chunk, and how many there have been."""
    nods = tuple(nod for nod in state.nods if index - nod.start < NOD_CHUNKS)
    recent = state.nods[-1].start if state.nods else -NOD_GAP_CHUNKS
    if voice.accent < NOD_ACCENT or index - recent < NOD_GAP_CHUNKS:
        return nods or state.nods[-1:], state.nod_count
    chance, size, brow = (draw(state.seed, _STREAMS["nod"] + n, state.nod_count) for n in range(3))
    depth = (1.2 + 2.4 * size) * (0.7 + 0.6 * voice.accent) if chance < NOD_CHANCE else 0.0
    nod = Nod(index, depth, voice.accent * min(1.0, 0.4 + brow) if brow < BROW_CHANCE else 0.0)
    return (*nods, nod), state.nod_count + 1


def _nod_shape(chunks: int) -> float:
    """0 .. 1 .. 0: down in 200 ms, back in 360 ms."""
    if not 0 <= chunks < NOD_CHUNKS:
        return 0.0
    if chunks <= NOD_DOWN_CHUNKS:
        return 0.5 - 0.5 * math.cos(math.pi * chunks / NOD_DOWN_CHUNKS)
    return 0.5 + 0.5 * math.cos(math.pi * (chunks - NOD_DOWN_CHUNKS) / (NOD_CHUNKS - NOD_DOWN_CHUNKS))


def _nod_deg(index: int, nods: tuple[Nod, ...]) -> float:
    """How far the accents have the head down."""
    return sum(nod.depth_deg * _nod_shape(index - nod.start) for nod in nods)


def _brows(weights: NDArray[np.float32], index: int, seed: int, nods: tuple[Nod, ...]) -> None:
    slow = 0.5 + 0.5 * smooth_noise(seed, _STREAMS["brow"], index / FPS / 3.7)
    flash = max((nod.brow * _nod_shape(index - nod.start) for nod in nods), default=0.0)
    weights[ARKIT_INDEX["browInnerUp"]] += min(0.4, 0.05 * slow + 0.35 * flash)
    _both(weights, "browOuterUp", min(0.4, 0.03 * slow + 0.25 * flash))


def _both(weights: NDArray[np.float32], name: str, value: float) -> None:
    weights[ARKIT_INDEX[name + "Left"]] += value
    weights[ARKIT_INDEX[name + "Right"]] += value
