"""The ear: streaming equals offline, tones land in their bands, loudness is divided out, silence stays quiet."""

import numpy as np
import pytest

from models import mel
from models.rates import MEL_FRAMES, SPEECH_CHUNK, SPEECH_RATE


def noise(seconds: float, rows: int = 1, seed: int = 0) -> np.ndarray:
    samples = int(seconds * SPEECH_RATE) // SPEECH_CHUNK * SPEECH_CHUNK
    return np.random.default_rng(seed).normal(0, 0.05, (rows, samples)).astype(np.float32)


@pytest.mark.parametrize("chunks_a_step", [1, 2, 5])
def test_streaming_equals_offline(chunks_a_step):
    sound = noise(1.2, rows=3)
    whole, end = mel.step(sound, mel.initial_state(3))
    state, parts = mel.initial_state(3), []
    for part in np.split(sound, sound.shape[1] // (SPEECH_CHUNK * chunks_a_step), axis=1):
        features, state = mel.step(part, state)
        parts.append(features)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    np.testing.assert_allclose(state.level, end.level, atol=1e-5)


def test_shape_and_causality():
    sound = noise(0.4)
    features, _ = mel.step(sound[:, :SPEECH_CHUNK], mel.initial_state(1))
    assert features.shape == (1, MEL_FRAMES, mel.BANDS)
    other = np.concatenate((sound[:, :SPEECH_CHUNK], -sound[:, SPEECH_CHUNK:]), axis=1)
    np.testing.assert_allclose(mel.step(other, mel.initial_state(1))[0][:, :MEL_FRAMES], features, atol=1e-5)


@pytest.mark.parametrize("hertz", [200, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_its_band(hertz):
    sound = 0.1 * np.sin(2 * np.pi * hertz * np.arange(SPEECH_CHUNK * 4) / SPEECH_RATE)[None].astype(np.float32)
    spectrum, _ = mel.log_spectrum(sound, mel.initial_state(1).tail)
    assert abs(spectrum[0, -1].argmax() - mel.band_of(np.array(float(hertz)))) <= 1


def test_a_constant_offset_changes_nothing_that_lasts():
    sound = noise(0.8)
    plain, _ = mel.step(sound, mel.initial_state(1))
    offset, _ = mel.step(sound + np.float32(0.3), mel.initial_state(1))
    assert np.abs(plain[:, 40:] - offset[:, 40:]).mean() < 0.05


def test_loudness_is_divided_out_within_300_ms_of_becoming_louder():
    sound = noise(2.0)
    louder = sound.copy()
    louder[:, SPEECH_RATE:] *= 10
    plain, _ = mel.step(sound, mel.initial_state(1))
    changed, _ = mel.step(louder, mel.initial_state(1))
    assert np.abs(plain[:, 130:] - changed[:, 130:]).max() < 0.1


def test_quiet_rooms_are_not_blown_up_to_speech():
    features, _ = mel.step(noise(4.0) * np.float32(0.001), mel.initial_state(1))
    assert features[:, -50:].mean() < -0.5


def test_digital_silence_is_finite():
    features, state = mel.step(np.zeros((2, SPEECH_CHUNK), np.float32), mel.initial_state(2))
    assert np.isfinite(features).all()
    assert np.isfinite(state.level).all()
