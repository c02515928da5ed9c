"""The other side's voice: followed at once, forgotten when it is silent or gone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from realtime.other_side import FALL_S, HOLD_S, TOLD_S, OtherSide
from tests.fakes import tone


def voice(amplitude: float) -> np.ndarray:
    return (tone(0.02, amplitude) * 32767).astype(np.int16)


def test_a_voice_is_followed_and_its_end_forgotten() -> None:
    other = OtherSide()
    assert other.level(0.0) == 0.0
    other.hear(voice(0.3), 1.0)
    assert other.level(1.0) == 1.0
    other.hear(voice(0.0), 1.02)
    assert other.level(0.99 + HOLD_S) == 1.0
    assert 0 < other.level(1.0 + HOLD_S + FALL_S / 2) < 1
    assert other.level(1.0 + HOLD_S + 2 * FALL_S) == 0.0


def test_room_noise_is_no_voice() -> None:
    other = OtherSide()
    other.hear(voice(0.002), 0.0)
    other.hear(voice(0.0)[:0], 0.0)
    assert other.level(0.0) == 0.0


def test_what_a_client_says_does_not_outlast_it() -> None:
    other = OtherSide()
    other.tell(0.7, 5.0)
    assert other.level(5.5) == 0.7
    assert other.level(5.0 + TOLD_S) == 0.0
    other.tell(0.0, 6.0)
    assert other.level(6.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=30))
def test_the_level_stays_in_its_range(steps: list[tuple[float, float]]) -> None:
    other, now = OtherSide(), 0.0
    for passed, amplitude in steps:
        now += passed
        other.hear(voice(amplitude), now)
        assert 0.0 <= other.level(now) <= 1.0
