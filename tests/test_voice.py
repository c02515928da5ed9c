"""How the voice is heard to speak: against its own habit, in semitones, decibels and syllables a second."""

from __future__ import annotations

import numpy as np

from models import voice
from models.rates import FPS


def hear(pitch_hz: float, level_db: float, syllables_hz: float, seconds: float, state: voice.VoiceState) -> tuple:
    """Speech whose level swings by 10 dB at each syllable."""
    features = voice.VoiceFeatures()
    for index in range(round(seconds * FPS)):
        swing = 5 * np.sin(2 * np.pi * syllables_hz * index / FPS)
        levels = np.full(4, level_db + swing)
        features, state = voice.step(1.0, levels, np.full(4, pitch_hz), state)
    return features, state


def test_a_steady_voice_is_its_own_habit() -> None:
    features, _ = hear(120, -25, 4.0, 30, voice.VoiceState())
    assert abs(features.lift_st) < 0.1 and abs(features.lift_db) < 1


def test_syllables_are_counted() -> None:
    for rate in (2.5, 4.0, 5.5):
        features, _ = hear(150, -25, rate, 20, voice.VoiceState())
        assert abs(features.rate_hz - rate) < 0.5


def test_a_voice_that_lifts_is_heard_to_lift_and_becomes_the_habit_later() -> None:
    _, state = hear(120, -30, 4.0, 40, voice.VoiceState())
    lifted, state = hear(170, -22, 4.0, 5, state)
    assert lifted.lift_st > 3 and lifted.lift_db > 4
    later, _ = hear(170, -22, 4.0, 120, state)
    assert later.lift_st < 1.5


def test_silence_changes_no_habit() -> None:
    _, state = hear(120, -25, 4.0, 10, voice.VoiceState())
    after = state
    for _ in range(200):
        _, after = voice.step(0.0, np.full(4, -90.0), np.zeros(4), after)
    assert after.manner == state.manner
