"""Speech to the mouth: what the encoder hears → 52 ARKit weights, one frame a chunk, with coarticulation.

Pure but for its parameter file; state goes in and comes out. Every 10 ms of speech pulls jaw, lips and tongue towards
its articulatory targets, as strongly as its dominance and as early and late as the channel's kernel reach (dominance
functions: Löfqvist 1990; Cohen & Massaro 1993); a frame is the weighted mean of the pulls around it. Seals and
lip-to-teeth contacts are events instead: narrow, and held over the frame they fall in, for at 25 frames a second a mean
would lose them. Chunks after the one shown are known from the encoder's quicker heads: that is where anticipation
comes from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models import voice, weights
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.idle import IdleMotion
from models.phonemes import SpeechFrames
from models.rates import CHUNK_MS, LOOK_AHEADS_MS, MEL_FRAMES
from models.rig import Gestures, weights_of
from models.style import Style
from models.visemes import ARTICULATION, PHONEME_INDEX, PHONEMES, VISEME_INDEX, VISEMES
from models.voice import VoiceFeatures, VoiceState

PARAMETER_FILE = "motion.json"
SMOOTH = ("jaw_open", "lip_open", "lip_round", "lip_spread", "flare")
"""Channels that blend; the first four are encoder targets, flare is how surely the sound is a "sh" or "ch"."""

DELAYS = tuple(ms // CHUNK_MS for ms in LOOK_AHEADS_MS)
PAST_CHUNKS = 9
HISTORY_CHUNKS = PAST_CHUNKS + 1 + max(DELAYS)
FRAME_MS = CHUNK_MS / MEL_FRAMES

LATE_MS, CONTACTS_LATE_MS = 10.0, 5.0
"""How much earlier than the middle of its chunk the sound is that a frame shows: on film lips move that much after it,
and a little less where they meet."""

EVENT_SIGMA_MS = 12.0
EVENT_SHOWN_MS = 10.0
"""A frame shows the strongest contact this near to that, so that none falls between two frames."""
EVENT_REACH_MS, EVENT_FROM, EVENT_FULL = 60.0, 0.40, 0.75
"""Evidence counts as a share of the strongest within the reach: no contact below the first share, a whole one above the
second. So lips meet at a P however unsure the encoder is of it, wait for it in the vowel before, and part between the
two of "papa"."""
EVENT_LEAST = 0.18
"""The strongest evidence is taken as no less than this: where there is hardly any, nothing touches."""

APPROACH_SIGMA_MS, APPROACH_MOST, APPROACH_FULL = 25.0, 0.40, 0.15
"""Lips are on their way one frame before and after they meet: flesh does not jump."""

WITHIN_60_MS = np.ones((13, 1), np.uint8)

GATE_SIGMA_MS = 30.0
GATE_FROM, GATE_FULL = 0.15, 0.55
GAIN_SIGMA_MS = 60.0
GAIN_LEAST, GAIN_MOST = 0.65, 1.4

NOISE_FIRST_DB = -60.0
NOISE_RISE_DB = 0.1
"""The noise floor climbs this much in 10 ms that the encoder takes for silence: 10 dB a second."""
NOISE_MARGIN_DB = 5.0
QUIET_DB = -62.0

# Columns of a history row (one per 10 ms): dominance and dominance · target of each smooth channel, then these.
_N = len(SMOOTH)
_CLOSURE, _TEETH, _TONGUE, _SPEECH, _LOUD_ENOUGH, _LOUDER, _LEVEL, _PITCH = range(2 * _N, 2 * _N + 8)
_COLUMNS = _PITCH + 1

MOUTH = [i for name, i in ARKIT_INDEX.items() if name.startswith(("mouth", "jaw", "tongue"))]
ROUNDING = [ARKIT_INDEX["mouthPucker"], ARKIT_INDEX["mouthFunnel"]]
FULLY_ROUND, YIELDED = 0.5, 0.7

_TIP_SEEN = {"TH": 1.0, "nn": 0.55, "DD": 0.45, "SS": 0.15}
"""How much of the raised tongue tip shows, by viseme."""

_HEARD = _SPEECH + 1
"""Columns that the encoder fills: what it says of visemes and articulation goes there by one matrix each."""
_OF_VISEME, _OF_ARTICULATION = (np.zeros((len(names), _HEARD), np.float32) for names in (VISEMES, ARTICULATION))
for _channel, _name in enumerate(SMOOTH[:4]):
    _OF_ARTICULATION[ARTICULATION.index(_name), _N + _channel] = 1
_OF_VISEME[VISEME_INDEX["CH"], 2 * _N - 1] = 1
_OF_VISEME[VISEME_INDEX["PP"], _CLOSURE] = _OF_ARTICULATION[ARTICULATION.index("bilabial"), _CLOSURE] = 0.5
_OF_VISEME[VISEME_INDEX["FF"], _TEETH] = _OF_ARTICULATION[ARTICULATION.index("labiodental"), _TEETH] = 0.5
for _name, _share in _TIP_SEEN.items():
    _OF_VISEME[VISEME_INDEX[_name], _TONGUE] = _share
_OF_VISEME[:, _SPEECH] = 1
_OF_VISEME[VISEME_INDEX["sil"], _SPEECH] = 0


@dataclass(frozen=True, slots=True)
class MotionParameters:
    """What is learned. P phonemes, C = len(SMOOTH) channels.

    dominance: (P, C) > 0. correction: (P, C), added to the encoder's targets. ahead_ms, carry_ms: (C,) how early and
    late a sound is felt, as standard deviations. loudness_slope: opening gained, as a factor, per 10 dB above the
    speaker's usual level.
    """

    dominance: NDArray[np.float32]
    correction: NDArray[np.float32]
    ahead_ms: NDArray[np.float32]
    carry_ms: NDArray[np.float32]
    loudness_slope: float

    @staticmethod
    def load() -> MotionParameters:
        """The trained ones. Raises weights.WeightsError if the file is missing or damaged."""
        return MotionParameters.from_json(json.loads(weights.path(PARAMETER_FILE).read_text()))

    @staticmethod
    def from_json(said: Mapping) -> MotionParameters:
        rows = said["phonemes"]
        return MotionParameters(
            dominance=np.array([rows[p]["dominance"] for p in PHONEMES], np.float32),
            correction=np.array([rows[p]["correction"] for p in PHONEMES], np.float32),
            ahead_ms=np.array(said["ahead_ms"], np.float32),
            carry_ms=np.array(said["carry_ms"], np.float32),
            loudness_slope=float(said["loudness_slope"]),
        )


@dataclass(frozen=True, slots=True)
class MotionState:
    """chunks: how many came in. history: (HISTORY_CHUNKS · 4, columns), oldest first, the best word so far on each
    10 ms. noise_db: level of what is not speech."""

    chunks: int
    history: NDArray[np.float32]
    noise_db: float
    voice: VoiceState


class MotionModel:
    """Stateless; one serves every session."""

    def __init__(self, parameters: MotionParameters | None = None) -> None:
        self._parameters = p = parameters or MotionParameters.load()
        self._of_phoneme = np.zeros((len(PHONEMES), _HEARD), np.float32)
        self._of_phoneme[:, :_N], self._of_phoneme[:, _N : 2 * _N] = p.dominance, p.correction
        self._kernels = {delay: _Kernels.of(p, delay) for delay in DELAYS}
        newest = (HISTORY_CHUNKS - 1) * MEL_FRAMES + np.arange(MEL_FRAMES)
        self._places = np.concatenate([newest - MEL_FRAMES * delay for delay in DELAYS])
        silence = np.zeros(_COLUMNS, np.float32)
        silence[:_N] = p.dominance[PHONEME_INDEX["sil"]]
        silence[_LEVEL] = -100.0
        self._silence = silence

    def initial_state(self) -> MotionState:
        """One session, after endless silence."""
        history = np.tile(self._silence, (HISTORY_CHUNKS * MEL_FRAMES, 1))
        return MotionState(0, history, NOISE_FIRST_DB, VoiceState())

    def step(
        self, speech: SpeechFrames, style: Style, look_ahead_chunks: int, state: MotionState
    ) -> tuple[NDArray[np.float32], VoiceFeatures, MotionState]:
        """One chunk `i` of one session (`speech` has one row).

        Returns the (52,) weights and the voice of chunk `i - look_ahead_chunks` (meaningless while that is negative),
        and the new state. Raises ValueError for a look-ahead that the encoder has no head for.
        """
        if look_ahead_chunks not in DELAYS:
            raise ValueError(f"look-ahead must be one of {DELAYS} chunks, not {look_ahead_chunks}")
        history = np.concatenate([state.history[MEL_FRAMES:], state.history[:MEL_FRAMES]])
        self._hear(history, speech, sum(delay <= min(look_ahead_chunks, state.chunks) for delay in DELAYS))
        noise_db = self._measure(history, speech, state)

        last = PAST_CHUNKS + 1 + look_ahead_chunks
        window = history[(HISTORY_CHUNKS - last) * MEL_FRAMES :]
        gestures, speaking = self._gestures(window, self._kernels[look_ahead_chunks])
        shown = window[PAST_CHUNKS * MEL_FRAMES : (PAST_CHUNKS + 1) * MEL_FRAMES]
        features, voice_state = voice.step(speaking, shown[:, _LEVEL], shown[:, _PITCH], state.voice)
        return (
            weights_of(gestures, style.mouth),
            features,
            MotionState(state.chunks + 1, history, noise_db, voice_state),
        )

    def _hear(self, history: NDArray[np.float32], speech: SpeechFrames, heads: int) -> None:
        """Writes what the first `heads` heads say, each of its own chunk, over what quicker heads said before."""
        count = heads * MEL_FRAMES
        viseme, phoneme, said = (
            x[0, :heads].reshape(count, -1) for x in (speech.viseme, speech.phoneme, speech.articulation)
        )
        heard = phoneme @ self._of_phoneme + viseme @ _OF_VISEME + said @ _OF_ARTICULATION
        dominance, target = heard[:, :_N], heard[:, _N : 2 * _N]
        target[:] = dominance * target.clip(0, 1.2)
        history[self._places[:count], :_HEARD] = heard

    def _measure(self, history: NDArray[np.float32], speech: SpeechFrames, state: MotionState) -> float:
        """Writes level and pitch of the chunk that came in; returns the noise floor after it."""
        noise_db, measured = state.noise_db, []
        levels, pitches = speech.level_db.ravel().tolist(), speech.pitch_hz.ravel().tolist()
        for level, pitch, speaks in zip(levels, pitches, history[-MEL_FRAMES:, _SPEECH].tolist(), strict=True):
            noise_db += (
                0.3 * (level - noise_db) if level < noise_db else min(level - noise_db, NOISE_RISE_DB * (1 - speaks))
            )
            enough = _limited((level - max(noise_db + NOISE_MARGIN_DB, QUIET_DB)) / 6, 0.0, 1.0)
            louder = _limited((level - state.voice.level_db) / 10, -1.5, 1.5)
            measured.append((enough, louder, level, pitch))
        history[-MEL_FRAMES:, _LOUD_ENOUGH:] = measured
        return noise_db

    def _gestures(self, window: NDArray[np.float32], kernels: _Kernels) -> tuple[Gestures, float]:
        """The mouth at the chunk shown, and how surely that is speech."""
        pulls = np.einsum("ij,ij->j", kernels.smooth, window[:, : 2 * _N])
        smooth = pulls[_N:] / np.maximum(pulls[:_N], 1e-9)

        # A stop's silent closure is speech too: loudness counts if there is some within 60 ms.
        loud = cv2.dilate(window[:, [_LOUD_ENOUGH]], WITHIN_60_MS)[:, 0]
        speech = window[:, _SPEECH] * loud
        speaking = _ramp(float(kernels.gate @ speech), GATE_FROM, GATE_FULL)
        gain = kernels.gain * speech
        louder = float(gain @ window[:, _LOUDER]) / max(float(gain.sum()), 1e-6)
        opening = speaking * _limited(1 + self._parameters.loudness_slope * louder, GAIN_LEAST, GAIN_MOST)

        evidence = window[:, _CLOSURE:_SPEECH] * loud[:, None]
        closure, teeth, tongue = _contacts(evidence, kernels)
        approach = speaking * APPROACH_MOST * min(1.0, float(kernels.approach @ evidence[:, 0]) / APPROACH_FULL)
        jaw, lip_open, rounding, spread, flare = smooth.tolist()
        return Gestures(
            jaw=jaw * opening,
            lip_open=lip_open * opening,
            rounding=rounding * speaking,
            spread=spread * speaking,
            closure=max(approach, closure),
            labiodental=teeth,
            flare=flare * speaking,
            tongue=tongue * speaking,
        ), speaking


@dataclass(frozen=True, slots=True)
class _Kernels:
    """How much each 10 ms (n) of the window of one look-ahead counts at the chunk shown.

    smooth: (n, 2 C), for each channel's dominance and for its pull. gate, approach: (n,) of sum 1. gain: (n,).
    events: (k, n) of sum 1 each, around as many times that are known; shown: which of these are near to the middle.
    """

    smooth: NDArray[np.float32]
    gate: NDArray[np.float32]
    approach: NDArray[np.float32]
    gain: NDArray[np.float32]
    events: NDArray[np.float32]
    shown: slice

    @staticmethod
    def of(p: MotionParameters, look_ahead_chunks: int) -> _Kernels:
        count = (PAST_CHUNKS + 1 + look_ahead_chunks) * MEL_FRAMES
        # Where each 10 ms lies from the middle of the chunk shown, which is the PAST_CHUNKS-th of the window.
        from_middle_ms = (np.arange(count) + 0.5 - PAST_CHUNKS * MEL_FRAMES) * FRAME_MS - CHUNK_MS / 2
        at_ms, contact_ms = from_middle_ms + LATE_MS, from_middle_ms + CONTACTS_LATE_MS
        smooth = _gauss(at_ms[:, None], np.where(at_ms[:, None] > 0, p.ahead_ms, p.carry_ms))
        event_ms = np.arange(-EVENT_REACH_MS, EVENT_REACH_MS + 1, FRAME_MS)
        event_ms = event_ms[event_ms <= contact_ms[-1] + FRAME_MS / 2]
        shown = np.flatnonzero(np.abs(event_ms) <= EVENT_SHOWN_MS)
        return _Kernels(
            smooth=np.tile(smooth, (1, 2)),
            gate=_whole(_gauss(at_ms, GATE_SIGMA_MS)),
            approach=_whole(_gauss(contact_ms, APPROACH_SIGMA_MS)),
            gain=_gauss(at_ms, GAIN_SIGMA_MS),
            events=_whole(_gauss(contact_ms - event_ms[:, None], EVENT_SIGMA_MS)),
            shown=slice(int(shown[0]), int(shown[-1]) + 1),
        )


def _contacts(evidence: NDArray[np.float32], kernels: _Kernels) -> tuple[float, float, float]:
    """Seal, lip at the teeth and raised tongue 0..1 at the chunk shown, from their evidence (n, 3) each 10 ms."""
    near = kernels.events @ evidence
    most = np.maximum(near.max(0), EVENT_LEAST).tolist()
    shown = near[kernels.shown].max(0).tolist()
    closure, teeth = (_ramp(shown[i] / most[i], EVENT_FROM, EVENT_FULL) for i in (0, 1))
    return closure, teeth, shown[2]


def combine(speech_weights: NDArray[np.float32], idle: IdleMotion) -> FaceMotion:
    """One face of the speaking mouth and the idling rest; a mouth that rounds takes its corners back from a feeling."""
    rounded = min(1.0, float(speech_weights[ROUNDING].sum()) / FULLY_ROUND)
    added = idle.weights.copy()
    added[MOUTH] *= 1 - YIELDED * rounded
    return FaceMotion(np.clip(speech_weights + added, 0.0, 1.0).astype(np.float32), idle.head, idle.body)


def _gauss(at_ms: NDArray[np.floating], sigma_ms: float | NDArray[np.floating]) -> NDArray[np.float32]:
    return np.exp(-0.5 * (at_ms / sigma_ms) ** 2).astype(np.float32)


def _whole(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., n) scaled to sum 1."""
    return kernel / kernel.sum(-1, keepdims=True)


def _limited(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


def _ramp(value: float, start: float, full: float) -> float:
    """0 below `start`, 1 above `full`, smooth between."""
    x = min(1.0, max(0.0, (value - start) / (full - start)))
    return x * x * (3 - 2 * x)
