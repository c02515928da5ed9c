"""Feelings: there after 400 ms, soft at both ends, never in the way of the lips; `auto` follows the voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.blendshapes import ARKIT_INDEX
from models.feelings import MOST, PLAIN, FeelingState, feeling_step, mood_of
from models.idle import IdleModel
from models.motion import combine
from models.rates import FPS
from models.style import FEELINGS, Style
from models.voice import VoiceFeatures

SILENT = VoiceFeatures()
PARTING = [ARKIT_INDEX[n] for n in ("jawOpen", "mouthUpperUpLeft", "mouthLowerDownLeft", "mouthFunnel", "mouthPucker")]
SMILE, FROWN, INNER = (ARKIT_INDEX[n] for n in ("mouthSmileLeft", "mouthFrownLeft", "browInnerUp"))


def felt(styles: list[Style], voice: VoiceFeatures = SILENT) -> np.ndarray:
    """(chunks, 52) weights of feeling alone."""
    state, out = FeelingState(), []
    for style in styles:
        expression, state = feeling_step(voice, style, state)
        out.append(expression.weights)
    return np.array(out)


@pytest.mark.parametrize("feeling", PLAIN)
def test_a_feeling_is_there_after_400_ms_without_a_jump(feeling: str) -> None:
    weights = felt([Style()] * 5 + [Style(feeling=feeling)] * 40)
    assert not weights[:5].any()
    main = int(weights[-1].argmax())
    assert weights[5 + round(0.4 * FPS), main] > 0.9 * weights[-1, main] > 0
    assert np.abs(np.diff(weights, axis=0)).max() < 0.25 * weights[-1, main] + 1e-6
    assert np.all(np.diff(weights[:, main]) >= -1e-7), "and it does not overshoot"


@pytest.mark.parametrize("feeling", PLAIN)
def test_no_feeling_opens_the_mouth(feeling: str) -> None:
    assert not felt([Style(feeling=feeling, intensity=2.0)] * 30)[:, PARTING].any()


def test_feelings_differ_and_neutral_is_none() -> None:
    ends = {name: felt([Style(feeling=name)] * 30)[-1] for name in PLAIN}
    names = list(ends)
    for i, a in enumerate(names):
        assert all(np.abs(ends[a] - ends[b]).max() > 0.05 for b in names[i + 1 :])
    assert ends["happy"][SMILE] > ends["warm"][SMILE] > 0 == ends["sad"][SMILE]
    assert ends["sad"][FROWN] > 0.2 and ends["surprised"][INNER] > 0.3
    assert not felt([Style()] * 30).any()


def test_it_goes_away_again_wholly() -> None:
    assert not felt([Style(feeling="angry")] * 20 + [Style()] * 60)[-1].any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FEELINGS), st.floats(0, 2)), min_size=1, max_size=40))
def test_any_sequence_of_feelings_stays_in_range(steps: list[tuple[str, float]]) -> None:
    weights = felt([Style(feeling=name, intensity=strength) for name, strength in steps for _ in range(3)])
    assert np.isfinite(weights).all() and weights.min() >= 0 and weights.max() <= MOST


def test_auto_hears_the_difference() -> None:
    lively = dict(zip(PLAIN, mood_of(VoiceFeatures(1.0, 0.8, lift_st=4, lift_db=5, rate_hz=5.5)), strict=True))
    low = dict(zip(PLAIN, mood_of(VoiceFeatures(1.0, 0.3, lift_st=-3, lift_db=-5, rate_hz=2.8)), strict=True))
    pressing = dict(zip(PLAIN, mood_of(VoiceFeatures(1.0, 0.8, lift_st=-2, lift_db=8, rate_hz=5.5)), strict=True))
    assert max(lively, key=lively.__getitem__) == "happy"
    assert max(low, key=low.__getitem__) == "sad"
    assert max(pressing, key=pressing.__getitem__) == "serious"
    assert felt([Style(feeling="auto")] * 250, VoiceFeatures(1.0, 0.5)).max() > 0.05, "a plain voice is met warmly"


def test_rounding_takes_the_corners_back() -> None:
    model, state = IdleModel(), IdleModel().initial_state(1)
    for index in range(30):
        idle, state = model.step(index, SILENT, Style(feeling="happy"), state)
    still, rounded = np.zeros(52, np.float32), np.zeros(52, np.float32)
    rounded[ARKIT_INDEX["mouthPucker"]] = 0.6
    assert combine(rounded, idle).weights[SMILE] < 0.5 * combine(still, idle).weights[SMILE]


def test_sadness_stills_the_head_and_joy_moves_it() -> None:
    def travel(feeling: str) -> float:
        model, state, heads = IdleModel(), IdleModel().initial_state(4), []
        for index in range(20 * FPS):
            motion, state = model.step(index, SILENT, Style(feeling=feeling), state)
            heads.append(motion.head[0])
        return float(np.abs(np.diff(heads)).sum())

    assert travel("sad") < 0.8 * travel("neutral") < travel("happy")
