"""Feeling: what it adds to the speaking face, to the head, to gaze and blinks, and how one turns into the next.

Pure: `feeling_step(voice, style, state) -> (Expression, state)`. A preset is a sum of ARKit weights that leaves the
lips their work: none of them parts the lips or opens the jaw, and rounding takes the corners of the mouth back
(`models.motion.combine`). Levels follow what is asked for like a critically damped spring, so that a change is there
after 400 ms and begins and ends softly.

Sources. Presets: the action units of Ekman & Friesen, EMFACS (1983): joy 6+12, sadness 1+4+15, surprise 1+2+5, anger
4+5+7+23; as ARKit names them, and much weaker than posed: spontaneous faces in talk are. Heads: Wallbott, "Bodily
expression of emotion" (1998). From the voice: Scherer, "Vocal communication of emotion" (2003): joy and anger raise
level, pitch and rate, sadness lowers all three. A voice says little about whether something is good or bad, so `auto`
stays on the friendly side and below half strength.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.rates import FPS
from models.spring import SETTLING, follow
from models.style import FEELINGS, Style
from models.voice import VoiceFeatures

BLEND_S = 0.4

MOOD_S = 3.0
"""How slowly `auto` changes its mind."""

MOST = 0.6
"""No weight of a feeling goes above this, however strong it is."""


@dataclass(frozen=True, slots=True)
class Preset:
    """weights: ARKit names, without Left and Right for both sides. pitch_deg, roll_deg: how the head is held. life:
    factor on its movement. gaze_up_deg: where the eyes prefer to be. blinks: factor on their rate."""

    weights: Mapping[str, float]
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    life: float = 1.0
    gaze_up_deg: float = 0.0
    blinks: float = 1.0


PRESETS: Mapping[str, Preset] = {
    "warm": Preset({"mouthSmile": 0.22, "cheekSquint": 0.16, "eyeSquint": 0.06, "browInnerUp": 0.08}, 0.4, 1.8),
    "happy": Preset(
        {"mouthSmile": 0.50, "cheekSquint": 0.45, "eyeSquint": 0.16, "mouthDimple": 0.08, "browOuterUp": 0.10},
        pitch_deg=1.2,
        life=1.25,
        blinks=1.1,
    ),
    "serious": Preset({"browDown": 0.24, "eyeSquint": 0.05, "mouthPress": 0.10}, -0.8, life=0.65, blinks=0.9),
    "sad": Preset(
        {"browInnerUp": 0.50, "browDown": 0.08, "mouthFrown": 0.44, "mouthShrugLower": 0.14, "eyeBlink": 0.10},
        pitch_deg=-3.0,
        roll_deg=-1.5,
        life=0.55,
        gaze_up_deg=-3.5,
        blinks=0.85,
    ),
    "surprised": Preset(
        {"browInnerUp": 0.45, "browOuterUp": 0.50, "eyeWide": 0.50}, pitch_deg=1.8, life=1.15, blinks=0.7
    ),
    "angry": Preset(
        {"browDown": 0.52, "eyeSquint": 0.20, "noseSneer": 0.08, "mouthPress": 0.14, "mouthFrown": 0.10},
        pitch_deg=-2.2,
        life=1.1,
        blinks=0.8,
    ),
}
PLAIN = tuple(name for name in FEELINGS if name in PRESETS)

AUTO_WARM, AUTO_MOST = 0.35, 0.5
USUAL_RATE_HZ = 4.2
"""Syllables a second of quiet talk (Jacewicz et al. 2009: 4 to 5)."""


@dataclass(frozen=True, slots=True)
class Expression:
    """weights: (52,) to add. The rest as in `Preset`, of all feelings together."""

    weights: NDArray[np.float32]
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    life: float = 1.0
    gaze_up_deg: float = 0.0
    blinks: float = 1.0


@dataclass(frozen=True, slots=True)
class FeelingState:
    """level, speed: (len(PLAIN),) how strongly each shows and how fast that changes, per second. mood: (len(PLAIN),)
    what the voice asks for in `auto`."""

    level: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(PLAIN)))
    speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(PLAIN)))
    mood: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(PLAIN)))


def feeling_step(voice: VoiceFeatures, style: Style, state: FeelingState) -> tuple[Expression, FeelingState]:
    """One chunk."""
    mood = state.mood + (mood_of(voice) - state.mood) / (MOOD_S * FPS) * voice.speaking
    wanted = np.zeros(len(PLAIN))
    if style.feeling == "auto":
        wanted = style.intensity * mood
    elif style.feeling in PRESETS:
        wanted[PLAIN.index(style.feeling)] = style.intensity
    level, speed = state.level, state.speed
    if speed.any() or (level != wanted).any():
        level, speed = follow(wanted, level, speed, SETTLING / BLEND_S)
        if np.abs(level - wanted).max() < 1e-4 and np.abs(speed).max() < 1e-3:
            level, speed = wanted, np.zeros_like(wanted)
    return _expression(level), FeelingState(level, speed, mood)


def mood_of(voice: VoiceFeatures) -> NDArray[np.float64]:
    """(len(PLAIN),) how a voice that goes on like this feels: its level, pitch and rate against its own habit."""
    arousal = math.tanh(0.16 * voice.lift_st + 0.10 * voice.lift_db + 0.22 * (voice.rate_hz - USUAL_RATE_HZ))
    bright = 0.5 + 0.5 * math.tanh(0.5 * voice.lift_st)  # excitement without pitch is insistence
    lively, low = max(0.0, arousal), max(0.0, -arousal)
    mood = dict.fromkeys(PLAIN, 0.0)
    mood["warm"] = AUTO_WARM * (1 - lively) * (1 - low)
    mood["happy"] = AUTO_MOST * lively * bright
    mood["serious"] = AUTO_MOST * lively * (1 - bright)
    mood["sad"] = AUTO_MOST * low * (1 - bright)
    return np.array(list(mood.values()))


def _vector(preset: Preset) -> NDArray[np.float32]:
    out = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, value in preset.weights.items():
        for index in [ARKIT_INDEX[n] for n in (name, name + "Left", name + "Right") if n in ARKIT_INDEX]:
            out[index] = value
    return out


_WEIGHTS = np.stack([_vector(PRESETS[name]) for name in PLAIN])
_HELD = np.array(
    [[p.pitch_deg, p.roll_deg, p.life - 1, p.gaze_up_deg, p.blinks - 1] for p in (PRESETS[name] for name in PLAIN)]
)


def _expression(level: NDArray[np.float64]) -> Expression:
    if not level.any():
        return Expression(np.zeros(len(ARKIT_NAMES), np.float32))
    pitch, roll, life, gaze, blinks = (level @ _HELD).tolist()
    return Expression(
        weights=np.clip(level @ _WEIGHTS, 0, MOST).astype(np.float32),
        pitch_deg=pitch,
        roll_deg=roll,
        life=min(max(1 + life, 0.3), 1.6),
        gaze_up_deg=gaze,
        blinks=min(max(1 + blinks, 0.5), 1.5),
    )
