"""Voicing and pitch: a buzz has its own, noise and silence have none."""

import numpy as np
import pytest

from models import pitch
from models.rates import SPEECH_CHUNK, SPEECH_RATE

TIME_S = np.arange(pitch.HISTORY + SPEECH_CHUNK) / SPEECH_RATE
SPEAKING = np.full((1, 4), -25, np.float32)


@pytest.mark.parametrize("hertz", [80, 120, 220, 400])
def test_a_buzz_is_voiced_at_its_pitch(hertz):
    buzz = sum(np.sin(2 * np.pi * hertz * k * TIME_S) / k for k in range(1, 8))[None].astype(np.float32)
    voicing, found = pitch.voicing_and_pitch(0.1 * buzz, SPEAKING)
    assert voicing.min() > 0.9
    np.testing.assert_allclose(found, hertz, rtol=0.01)


def test_noise_is_unvoiced():
    noise = np.random.default_rng(0).normal(0, 0.1, (1, len(TIME_S))).astype(np.float32)
    voicing, found = pitch.voicing_and_pitch(noise, SPEAKING)
    assert voicing.max() < 0.5
    assert (found[voicing < 0.3] == 0).all()


def test_silence_is_unvoiced_and_finite():
    voicing, found = pitch.voicing_and_pitch(np.zeros((2, len(TIME_S)), np.float32), np.full((2, 4), -100, np.float32))
    assert (voicing == 0).all()
    assert (found == 0).all()
