"""Breath: human rates, air taken after phrases and spent in them, nothing that jumps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.breath import REST, BreathState, breath_step
from models.idle import IdleModel
from models.rates import FPS
from models.style import Style
from models.voice import VoiceFeatures


def breathe(voices: list[VoiceFeatures], seed: int = 1) -> np.ndarray:
    state, out = BreathState(seed), []
    for index, voice in enumerate(voices):
        volume, state = breath_step(index, voice, state)
        out.append(volume)
    return np.array(out)


def test_silent_people_breathe_twelve_to_twenty_times_a_minute() -> None:
    volume = breathe([VoiceFeatures()] * (300 * FPS))
    middle = np.median(volume)
    breaths = np.sum((volume[:-1] < middle) & (volume[1:] >= middle))
    assert 12 <= breaths / 5 <= 20
    tops = np.flatnonzero((volume[1:-1] > volume[:-2]) & (volume[1:-1] >= volume[2:]))
    assert np.diff(tops).std() > 2, "no two breaths are alike"
    assert np.mean(np.diff(volume) > 0) < 0.5, "in is quicker than out"


def test_air_is_spent_in_a_phrase_and_taken_after_it() -> None:
    talk = [VoiceFeatures(1.0, phrase_start=i == 0) for i in range(75)]
    pause = [VoiceFeatures(phrase_end=i == 2) for i in range(25)]
    volume = breathe([VoiceFeatures()] * 50 + talk + pause)
    assert volume[124] < volume[55] - 0.2
    assert volume[127 + round(0.6 * FPS)] > volume[124] + 0.5, "half a second is enough"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200), st.integers(0, 2**40))
def test_lungs_are_finite_and_never_jump(marks: list[tuple[bool, bool]], seed: int) -> None:
    volume = breathe([VoiceFeatures(1.0, phrase_start=a, phrase_end=b) for a, b in marks], seed)
    assert np.isfinite(volume).all() and np.abs(volume).max() <= 1.2
    assert np.abs(np.diff(np.concatenate([[REST], volume]))).max() < 0.35


def test_shoulders_rise_with_the_breath_and_follow_the_head() -> None:
    model, state, bodies, yaws = IdleModel(), IdleModel().initial_state(3), [], []
    for index in range(60 * FPS):
        motion, state = model.step(index, VoiceFeatures(), Style(), state)
        bodies.append(motion.body)
        yaws.append(motion.head[0])
    body = np.array(bodies)
    assert not body[0].any(), "a session begins as the photo"
    assert 0.004 < np.ptp(body[:, 1]) < 0.05
    late = 20  # the shoulders come after the head
    assert np.corrcoef(body[late:, 0], yaws[:-late])[0, 1] > 0.6
    assert np.abs(np.diff(body, axis=0)).max() < 0.003
