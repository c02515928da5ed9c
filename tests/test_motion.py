"""The mouth: finite for any answer of the encoder, shut where it must be, open where it must be, early where it may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.idle import IdleMotion
from models.motion import DELAYS, HISTORY_CHUNKS, MotionModel, MotionParameters, combine
from models.phonemes import SpeechFrames
from models.rates import FPS
from models.rig import Gestures, weights_of
from models.style import Style
from models.training.ideal_speech import speak
from models.visemes import ARTICULATION, PHONEMES, VISEMES
from models.voice import VoiceFeatures

JAW, CLOSE, PUCKER, UPPER = (ARKIT_INDEX[n] for n in ("jawOpen", "mouthClose", "mouthPucker", "mouthUpperUpLeft"))
OPEN_VOWELS = ("a", "ɑ", "æ", "ɛ", "aɪ", "eɪ", "ʌ")
VOWELS = (*OPEN_VOWELS, "i", "u", "o", "y", "ə", "ɔ")


@pytest.fixture(scope="module")
def model() -> MotionModel:
    return MotionModel()


def run(
    model: MotionModel, frames: list[SpeechFrames], look_ahead_chunks: int, style: Style | None = None
) -> tuple[np.ndarray, list[VoiceFeatures]]:
    """Weights and voice of every chunk, from the first, as a session shows them."""
    state, weights, voices = model.initial_state(), [], []
    for speech in frames:
        w, voice, state = model.step(speech, style or Style(), look_ahead_chunks, state)
        weights.append(w)
        voices.append(voice)
    return np.array(weights[look_ahead_chunks:]), voices[look_ahead_chunks:]


def gap(weights: np.ndarray) -> np.ndarray:
    """How far the lips are apart, seen by the jaw alone."""
    return weights[..., JAW] * (1 - weights[..., CLOSE])


def noise_frames(seed: int, chunks: int, silent_share: float) -> list[SpeechFrames]:
    """Any answer an encoder might give, sure or unsure, in any order."""
    random = np.random.default_rng(seed)

    def probabilities(n: int) -> np.ndarray:
        raw = random.dirichlet(np.full(n, 0.05), (1, 4, 4))
        return (raw / raw.sum(-1, keepdims=True)).astype(np.float32)

    def frame() -> SpeechFrames:
        quiet = random.random() < silent_share
        return SpeechFrames(
            viseme=probabilities(len(VISEMES)),
            phoneme=probabilities(len(PHONEMES)),
            articulation=random.random((1, 4, 4, len(ARTICULATION)), np.float32),
            level_db=np.full((1, 4), -100 if quiet else -100 * random.random(), np.float32),
            voicing=random.random((1, 4), np.float32),
            pitch_hz=np.where(random.random((1, 4)) < 0.5, 0, 600 * random.random((1, 4))).astype(np.float32),
        )

    return [frame() for _ in range(chunks)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(DELAYS), st.floats(0, 1), st.floats(0, 2))
def test_weights_are_always_finite_and_in_range(seed: int, look_ahead: int, silent: float, mouth: float) -> None:
    weights, voices = run(MotionModel(), noise_frames(seed, 20, silent), look_ahead, Style(mouth=mouth))
    assert np.isfinite(weights).all() and weights.min() >= 0 and weights.max() <= 1
    assert all(0 <= v <= 1 for voice in voices for v in (voice.speaking, voice.loudness, voice.accent))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from("pbm"),
    st.sampled_from(VOWELS),
    st.sampled_from(VOWELS),
    st.floats(0.05, 0.12),
    st.floats(0, 0.04),
    st.sampled_from([d for d in DELAYS if d]),
)
def test_bilabials_seal_the_lips_in_any_vowels(
    consonant: str, before: str, after: str, seconds: float, phase: float, look_ahead: int
) -> None:
    start = 0.6 + phase
    spoken = [(before, 0.3, start), (consonant, start, start + seconds), (after, start + seconds, 1.2)]
    weights, _ = run(MotionModel(), list(speak(spoken, 1.6)), look_ahead)
    during = slice(int((start - 0.03) * FPS), int((start + seconds) * FPS) + 1)
    assert weights[during, CLOSE].max() == 1.0
    closed = np.flatnonzero(weights[:, CLOSE] > 0.95) / FPS
    assert len(closed) <= seconds * FPS + 2, "the lips let go in time"
    assert np.all((closed > start - 0.09) & (closed < start + seconds + 0.02)), "they close at the consonant"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(OPEN_VOWELS), st.sampled_from(["t", "s", "k", "l", "n"]), st.floats(0.08, 0.25))
def test_open_vowels_stay_open(vowel: str, beside: str, seconds: float) -> None:
    end = 0.5 + seconds
    spoken = [(beside, 0.4, 0.5), (vowel, 0.5, end), (beside, end, end + 0.1)]
    weights, _ = run(MotionModel(), list(speak(spoken, end + 0.5)), 2)
    during = weights[int(0.5 * FPS) : int(end * FPS) + 1]
    assert gap(during).max() > 0.05
    assert during[:, CLOSE].max() < 0.6


def test_jaw_follows_vowel_height(model: MotionModel) -> None:
    opening = {v: run(model, list(speak([(v, 0.4, 0.8)], 1.2)), 2)[0][:, JAW].max() for v in "iəɑ"}
    assert opening["i"] < opening["ə"] < opening["ɑ"]
    assert 0.15 < opening["ɑ"] < 0.5


def test_lips_round_before_the_rounded_sound_as_far_as_look_ahead_permits(model: MotionModel) -> None:
    spoken = [("i", 0.4, 0.7), ("s", 0.7, 0.84), ("u", 0.84, 1.1)]
    early = [run(model, list(speak(spoken, 1.5)), d)[0][int(0.8 * FPS), PUCKER] for d in (0, 2)]
    assert early[1] > early[0] + 0.03


def test_lip_to_teeth_sounds_keep_the_lips_apart(model: MotionModel) -> None:
    weights, _ = run(model, list(speak([("ɑ", 0.4, 0.6), ("f", 0.6, 0.7), ("ɑ", 0.7, 0.9)], 1.3)), 2)
    bitten = int(0.64 * FPS)
    assert weights[bitten, ARKIT_INDEX["mouthRollLower"]] > 0.25 and weights[bitten, UPPER] > 0.25
    assert weights[bitten, CLOSE] < 0.8  # the lower lip comes up to the teeth, the lips do not seal


@pytest.mark.parametrize("look_ahead", DELAYS)
def test_silence_after_speech_is_a_shut_and_still_mouth(model: MotionModel, look_ahead: int) -> None:
    weights, _ = run(model, list(speak([("ɑ", 0.4, 1.0)], 2.5)), look_ahead)
    assert weights[int(0.8 * FPS), JAW] > 0.15
    assert np.all(weights[int(1.12 * FPS) :] == 0), "shut within 120 ms, and no flutter"


def test_steady_noise_does_not_move_the_mouth(model: MotionModel) -> None:
    random = np.random.default_rng(1)
    level = -42 + 1.5 * random.standard_normal(8 * 100)
    frames = list(speak([], 8.0, level))
    hesitant = []  # in noise an encoder is not sure of silence
    for speech in frames:
        viseme = 0.6 * speech.viseme + 0.4 * random.dirichlet(np.full(len(VISEMES), 0.3), (1, 4, 4))
        hesitant.append(
            SpeechFrames(
                viseme.astype(np.float32),
                speech.phoneme,
                random.random(speech.articulation.shape, np.float32) * 0.4,
                speech.level_db,
                speech.voicing,
                speech.pitch_hz,
            )
        )
    weights, _ = run(model, hesitant, 2)
    assert gap(weights[4 * FPS :]).std() < 0.01


def test_louder_is_wider_and_a_whisper_still_speaks(model: MotionModel) -> None:
    vowels = [("ɑ" if k % 2 else "i", 0.4 + 0.2 * k, 0.6 + 0.2 * k) for k in range(30)]

    def widest(level_db: float, then_db: float) -> float:
        level = np.full(700, -80.0)
        level[40:400], level[400:640] = level_db, then_db
        return float(run(model, list(speak(vowels, 7.0, level)), 2)[0][int(4.2 * FPS) : int(5.0 * FPS), JAW].max())

    assert widest(-26, -16) > 1.05 * widest(-26, -26) > 1.1 * widest(-26, -36)
    assert widest(-46, -46) > 0.7 * widest(-26, -26)


def test_mouth_strength_scales_opening_but_not_seals(model: MotionModel) -> None:
    frames = list(speak([("ɑ", 0.4, 0.6), ("p", 0.6, 0.68), ("ɑ", 0.68, 0.9)], 1.2))
    half, full = (run(model, frames, 2, Style(mouth=m))[0] for m in (0.5, 1.0))
    assert half[:, JAW].max() == pytest.approx(0.5 * full[:, JAW].max(), rel=1e-3)
    assert half[:, CLOSE].max() == full[:, CLOSE].max() == 1


def test_no_movement_faster_than_lips_are(model: MotionModel) -> None:
    random = np.random.default_rng(5)
    at, spoken = 0.3, []
    while at < 11:
        seconds = random.uniform(0.05, 0.16)
        spoken.append((str(random.choice(PHONEMES[1:])), at, at + seconds))
        at += seconds
    opening = gap(run(model, list(speak(spoken, 12.0)), 2)[0])
    power = np.abs(np.fft.rfft(opening - opening.mean())) ** 2
    hz = np.fft.rfftfreq(len(opening), 1 / FPS)
    assert power[hz > 8].sum() / power.sum() < 0.08


def test_rows_are_independent_of_each_other_and_the_past_is_not_rewritten(model: MotionModel) -> None:
    frames = noise_frames(3, 12, 0.2)
    state = model.initial_state()
    for speech in frames[:6]:
        _, _, state = model.step(speech, Style(), 2, state)
    kept = state.history.copy()
    first = [model.step(frames[6], Style(), 2, state)[0] for _ in range(2)]
    model.step(frames[7], Style(), 2, state)
    assert np.array_equal(first[0], first[1]) and np.array_equal(state.history, kept)


def test_voice_features_tell_phrases_and_accents(model: MotionModel) -> None:
    frames = list(speak([("ɑ", 0.4, 1.4), ("ɑ", 2.0, 3.0)], 4.0))
    _, voices = run(model, frames, 2)
    assert [k for k, v in enumerate(voices) if v.phrase_start] == pytest.approx([10, 50], abs=2)
    assert [k for k, v in enumerate(voices) if v.phrase_end] == pytest.approx([38, 78], abs=3)
    high = [s for s in speak([("ɑ", 0.4, 3.4)], 4.0)]
    raised = [
        SpeechFrames(
            s.viseme, s.phoneme, s.articulation, s.level_db, s.voicing, s.pitch_hz * (1.5 if 60 <= k < 66 else 1)
        )
        for k, s in enumerate(high)
    ]
    accents = np.array([v.accent for v in run(model, raised, 2)[1]])
    assert accents[60:68].max() > 0.35 > accents[30:58].max()


def test_unknown_look_ahead_is_refused(model: MotionModel) -> None:
    with pytest.raises(ValueError, match="look-ahead"):
        model.step(next(speak([], 1.0)), Style(), 3, model.initial_state())


def test_combine_stays_in_range() -> None:
    full = np.ones(len(ARKIT_NAMES), np.float32)
    motion = combine(full, IdleMotion(full, np.zeros(6, np.float32), np.zeros(2, np.float32)))
    assert motion.weights.max() == 1.0 and motion.weights.dtype == np.float32


@pytest.mark.parametrize("phase", [0.0, 0.01, 0.02, 0.03])
@pytest.mark.parametrize("vowel_s", [0.08, 0.10, 0.14])
def test_lips_part_between_two_seals(model: MotionModel, vowel_s: float, phase: float) -> None:
    first, second = 0.5 + phase, 0.57 + phase + vowel_s
    spoken = [("ɑ", 0.3, first), ("p", first, first + 0.07), ("ɑ", first + 0.07, second), ("p", second, second + 0.07)]
    weights, _ = run(model, list(speak([*spoken, ("ɑ", second + 0.07, 1.2)], 1.5)), 2)
    at = (np.arange(len(weights)) + 0.5) / FPS
    for start in (first, second):
        assert weights[(at > start - 0.03) & (at < start + 0.1), CLOSE].max() > 0.95
    between = weights[(at > first + 0.07) & (at < second)]
    assert between[:, CLOSE].min() < 0.5


@pytest.mark.parametrize("phase", [0.0, 0.01, 0.02, 0.03])
@pytest.mark.parametrize("sureness", [0.25, 0.5, 1.0])
def test_lips_seal_at_a_faint_bilabial_and_not_before_it(model: MotionModel, sureness: float, phase: float) -> None:
    start = 0.6 + phase
    frames = list(speak([("ɑ", 0.3, start), ("m", start, start + 0.08), ("ɑ", start + 0.08, 1.2)], 1.5))
    lips, said = VISEMES.index("PP"), ARTICULATION.index("bilabial")
    for frame in frames:
        frame.viseme[..., lips] *= sureness
        frame.articulation[..., said] *= sureness
    close = run(model, frames, 2)[0][:, CLOSE]
    middle = (np.arange(len(close)) + 0.5) / FPS
    assert close[(middle > start - 0.02) & (middle < start + 0.1)].max() > 0.95
    assert close[(middle > 0.4) & (middle < start - 0.025)].max() < 0.5, "the vowel before stays open"


def test_a_seal_brings_the_jaw_up() -> None:
    wide, sealed = weights_of(Gestures(jaw=1.0, lip_open=1.0)), weights_of(Gestures(jaw=1.0, lip_open=1.0, closure=1.0))
    assert 0.3 < sealed[JAW] / wide[JAW] < 0.7
    half_shut = Gestures(jaw=0.2, closure=1.0)  # a jaw that is hardly open has no need to
    assert weights_of(half_shut)[JAW] == pytest.approx(weights_of(Gestures(jaw=0.2))[JAW])


def test_each_head_writes_of_its_own_chunk_by_the_plain_formulas(model: MotionModel) -> None:
    (speech,) = noise_frames(5, 1, 0.0)
    parameters = MotionParameters.load()
    history = np.full((HISTORY_CHUNKS * 4, 18), 7.0, np.float32)
    model._hear(history, speech, 3)
    for head, delay in enumerate(DELAYS[:3]):
        viseme = dict(zip(VISEMES, speech.viseme[0, head].T, strict=True))
        said = dict(zip(ARTICULATION, speech.articulation[0, head].T, strict=True))
        target = np.stack([said["jaw_open"], said["lip_open"], said["lip_round"], said["lip_spread"], viseme["CH"]], 1)
        target += speech.phoneme[0, head] @ parameters.correction
        dominance = speech.phoneme[0, head] @ parameters.dominance
        tongue = viseme["TH"] + 0.55 * viseme["nn"] + 0.45 * viseme["DD"] + 0.15 * viseme["SS"]
        closure, teeth = (viseme["PP"] + said["bilabial"]) / 2, (viseme["FF"] + said["labiodental"]) / 2
        plain = [
            dominance,
            dominance * np.clip(target, 0, 1.2),
            np.stack([closure, teeth, tongue, 1 - viseme["sil"]], 1),
        ]
        end = len(history) - 4 * delay
        np.testing.assert_allclose(history[end - 4 : end, :14], np.concatenate(plain, 1), atol=1e-5)
    assert (history[: -4 * (DELAYS[2] + 1)] == 7).all() and (history[:, 14:] == 7).all()
