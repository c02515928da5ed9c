"""The phoneme encoder: streaming and batching change nothing, bad input heals, and three languages are heard."""

import json
from dataclasses import fields
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from models.phonemes import EncoderState, PhonemeEncoder, SpeechFrames, speech_track
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, SPEECH_CHUNK, SPEECH_RATE
from models.visemes import ARTICULATION, PHONEME_VISEME, PHONEMES, VISEME_INDEX, VISEMES, from_ipa

FIXTURES = Path(__file__).parent / "fixtures"
PHONES = json.loads((FIXTURES / "speech_phones.json").read_text())


@pytest.fixture(scope="module")
def encoder() -> PhonemeEncoder:
    return PhonemeEncoder()


LANGUAGES = sorted(PHONES)


@cache
def speech(language: str) -> np.ndarray:
    with av.open(str(FIXTURES / f"speech_{language}.opus")) as container:
        resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
        frames = [*container.decode(audio=0), None]
        return np.concatenate([p.to_ndarray()[0] for f in frames for p in resampler.resample(f)])


def chunks_of(sound: np.ndarray) -> np.ndarray:
    return sound[: len(sound) // SPEECH_CHUNK * SPEECH_CHUNK].reshape(-1, 1, SPEECH_CHUNK)


def run(encoder: PhonemeEncoder, chunks: np.ndarray, state: EncoderState | None = None):
    state = state or encoder.initial_state(chunks.shape[1])
    answers = []
    for chunk in chunks:
        frames, state = encoder.step(chunk, state)
        answers.append(frames)
    return answers, state


def assert_finite(frames: SpeechFrames) -> None:
    for field in fields(frames):
        assert np.isfinite(getattr(frames, field.name)).all(), field.name


def test_shapes_and_ranges(encoder):
    frames, state = encoder.step(np.zeros((3, SPEECH_CHUNK), np.float32), encoder.initial_state(3))
    delays = len(LOOK_AHEADS_MS)
    assert frames.viseme.shape == (3, delays, MEL_FRAMES, len(VISEMES))
    assert frames.phoneme.shape == (3, delays, MEL_FRAMES, len(PHONEMES))
    assert frames.articulation.shape == (3, delays, MEL_FRAMES, len(ARTICULATION))
    assert frames.level_db.shape == frames.voicing.shape == frames.pitch_hz.shape == (3, MEL_FRAMES)
    np.testing.assert_allclose(frames.viseme.sum(axis=3), 1, atol=1e-4)
    np.testing.assert_allclose(frames.phoneme.sum(axis=3), 1, atol=1e-4)
    assert frames.articulation.min() >= 0
    assert frames.articulation.max() <= 1
    assert len(state.split()) == 3


def test_a_batch_row_is_heard_as_if_alone(encoder):
    chunks = [chunks_of(speech(language))[:40] for language in PHONES]
    together, _ = run(encoder, np.concatenate(chunks, axis=1))
    for row, alone in enumerate(chunks):
        for both, single in zip(together, run(encoder, alone)[0], strict=True):
            np.testing.assert_allclose(both.viseme[row], single.viseme[0], atol=1e-4)
            np.testing.assert_allclose(both.pitch_hz[row], single.pitch_hz[0], atol=1e-2)


def test_states_gathered_and_split_go_on_as_before(encoder):
    chunks = [chunks_of(speech(language))[:20] for language in PHONES]
    states = [run(encoder, c[:10])[1] for c in chunks]
    gathered = EncoderState.stack(states)
    together, after = run(encoder, np.concatenate([c[10:] for c in chunks], axis=1), gathered)
    for row, (state, alone) in enumerate(zip(states, chunks, strict=True)):
        expected, end = run(encoder, alone[10:], state)
        np.testing.assert_allclose(together[-1].phoneme[row], expected[-1].phoneme[0], atol=1e-4)
        np.testing.assert_allclose(after.split()[row].memory, end.memory, atol=1e-3)


def test_a_step_does_not_change_the_state_it_was_given(encoder):
    chunk = chunks_of(speech("en"))[5]
    state = encoder.initial_state()
    before = [getattr(state, field.name).copy() for field in fields(state)]
    first, _ = encoder.step(chunk, state)
    second, _ = encoder.step(chunk, state)
    np.testing.assert_array_equal(first.viseme, second.viseme)
    for field, array in zip(fields(state), before, strict=True):
        np.testing.assert_array_equal(getattr(state, field.name), array)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_bad_samples_never_poison_the_state(encoder, bad):
    chunks = chunks_of(speech("en"))[:80].copy()
    chunks[20:22] = bad
    hurt, _ = run(encoder, chunks)
    for frames in hurt:
        assert_finite(frames)


def all_languages(change=lambda sound: sound) -> np.ndarray:
    """The first 110 chunks (110, 3, 640) of each recording, each a row."""
    return np.concatenate([chunks_of(change(speech(language)))[:110] for language in LANGUAGES], axis=1)


def heard_at_80_ms(encoder: PhonemeEncoder, chunks: np.ndarray) -> np.ndarray:
    """Visemes (rows, T, 15), two chunks late."""
    answers, _ = run(encoder, chunks)
    for frames in answers:
        assert_finite(frames)
    return np.concatenate([frames.viseme[:, LOOK_AHEADS_MS.index(80)] for frames in answers], axis=1)


@pytest.fixture(scope="module")
def healthy(encoder) -> np.ndarray:
    """Visemes of undamaged speech in all languages."""
    return heard_at_80_ms(encoder, all_languages())


def apart(one: np.ndarray, other: np.ndarray, since_chunk: int) -> float:
    """Total variation between two hearings from 300 to 700 ms after a chunk: 0 the same, about 0.8 unrelated speech."""
    window = slice(4 * since_chunk + 38, 4 * since_chunk + 78)
    return float(np.abs(one[:, window] - other[:, window]).sum(axis=2).mean() / 2)


DAMAGES = {
    "not a number": lambda c: c * np.nan,
    "lost": lambda c: c * 0,
    "constant": lambda c: c * 0 + 0.9,
    "full-scale square": np.sign,
    "30 dB over": lambda c: np.clip(c * 30, -1, 1),
    "too quiet": lambda c: c * 0.05,
    "burst of noise": lambda c: np.random.default_rng(0).uniform(-1, 1, c.shape).astype(np.float32),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_hearing_recovers_within_300_ms_of_damage(encoder, healthy, damage):
    hurt = all_languages()
    hurt[30:40] = DAMAGES[damage](hurt[30:40])
    healed = heard_at_80_ms(encoder, hurt)
    assert (np.abs(healthy[:, 130:160] - healed[:, 130:160]).max(axis=(1, 2)) > 0.1).all()
    assert apart(healthy, healed, since_chunk=40) < 0.2


MICROPHONES = {
    "quieter by 20 dB": lambda s: 0.1 * s,
    "louder by 14 dB": lambda s: np.clip(5 * s, -1, 1),
    "duller": lambda s: np.convolve(s, 0.6 ** np.arange(12) * 0.4)[: len(s)].astype(np.float32),
    "8 kHz": lambda s: np.repeat(s[: len(s) // 2 * 2].reshape(-1, 2).mean(axis=1), 2),
}


@pytest.mark.parametrize("microphone", MICROPHONES)
def test_another_microphone_in_mid_stream_is_heard_within_300_ms(encoder, microphone):
    others = all_languages(MICROPHONES[microphone])
    switched = np.concatenate((all_languages()[:30], others[30:]))
    hearings = heard_at_80_ms(encoder, others), heard_at_80_ms(encoder, switched)
    assert apart(*hearings, since_chunk=30) < 0.2


def spoken_truth(language: str, frames: int) -> np.ndarray:
    true, time_s = np.zeros(frames, int), (np.arange(frames) + 0.5) / 100
    for label, start_s, end_s in PHONES[language]:
        inside = (time_s >= start_s) & (time_s < end_s)
        true[inside] = PHONEME_VISEME[PHONEMES.index(from_ipa(label)[0])] if label != "sil" else 0
    return true


@pytest.fixture(scope="module")
def hearings(encoder) -> dict[str, np.ndarray]:
    """The likeliest viseme (T,) of each 10 ms of each language's recording."""
    return {each: speech_track(speech(each), 80, encoder)["viseme"].argmax(axis=1) for each in LANGUAGES}


def lossy(sound: np.ndarray) -> np.ndarray:
    """One 20 ms packet in ten is lost."""
    packets = sound[: len(sound) // 320 * 320].reshape(-1, 320).copy()
    packets[np.random.default_rng(1).random(len(packets)) < 0.1] = 0
    return packets.ravel()


@pytest.mark.parametrize(
    ("poor", "cost"),
    [(lossy, 0.15), (MICROPHONES["8 kHz"], 0.15), (lambda s: np.clip(8 * s, -1, 1), 0.15)],
    ids=["lost packets", "8 kHz", "clipped all along"],
)
def test_poor_sound_is_still_heard(encoder, hearings, poor, cost):
    for language in LANGUAGES:
        heard = speech_track(poor(speech(language)).astype(np.float32), 80, encoder)["viseme"].argmax(axis=1)
        good, bad = (np.mean(said == spoken_truth(language, len(said))) for said in (hearings[language], heard))
        assert bad > good - cost


def test_a_wrong_shape_is_refused_in_words(encoder):
    with pytest.raises(ValueError, match="640"):
        encoder.step(np.zeros((1, 320), np.float32), encoder.initial_state())


@pytest.mark.parametrize("language", LANGUAGES)
def test_speech_is_heard(hearings, language):
    said = hearings[language]
    true = spoken_truth(language, len(said))
    shuffled = np.roll(true, len(true) // 2)
    assert np.mean(said == true) > 0.4
    assert np.mean(said == true) > np.mean(said == shuffled) + 0.2


@pytest.mark.parametrize("look_ahead_ms", LOOK_AHEADS_MS)
def test_a_track_is_the_stream_with_the_delay_taken_out(encoder, look_ahead_ms):
    sound = speech("de")[: SPEECH_CHUNK * 30 + 200]  # the last mel frame is not whole
    track = speech_track(sound, look_ahead_ms, encoder)
    delay, row = look_ahead_ms // 40, LOOK_AHEADS_MS.index(look_ahead_ms)
    streamed, _ = run(encoder, chunks_of(sound))
    expected = np.concatenate([frames.viseme[0, row] for frames in streamed[delay:]])
    np.testing.assert_allclose(track["viseme"][: len(expected)], expected, atol=1e-5)
    assert track["time_s"][0] == pytest.approx(0.005)
    assert len(track["time_s"]) == len(track["viseme"]) == -(-len(sound) // 160)


@pytest.mark.parametrize("kind", ["silence", "hiss", "hum"])
def test_the_mouth_rests_when_nobody_speaks(encoder, kind):
    time_s = np.arange(3 * SPEECH_RATE) / SPEECH_RATE
    sound = {
        "silence": np.zeros(len(time_s)),
        "hiss": np.random.default_rng(0).normal(0, 0.003, len(time_s)),
        "hum": 0.1 * np.sin(2 * np.pi * 50 * time_s) + 0.03 * np.sin(2 * np.pi * 150 * time_s),
    }[kind].astype(np.float32)
    said = speech_track(sound, 80, encoder)["viseme"].argmax(axis=1)
    assert np.mean(said == VISEME_INDEX["sil"]) > 0.9


def test_no_sound_is_refused_in_words(encoder):
    with pytest.raises(ValueError, match="no sound"):
        speech_track(np.zeros(0, np.float32), 80, encoder)
