"""A machine is measured before it is filled, and when it is too full everybody gets the same share of pictures."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import capacity
from realtime.capacity import BUSY, PictureBudget, most_rows
from realtime.timebase import CHUNK_S
from tests.fakes import FakeAvatar, FakeGenerator


@given(
    fixed_s=st.floats(0.0, 0.02),
    row_s=st.floats(0.0001, 0.1),
    most=st.integers(1, 256),
)
def test_the_most_rows_that_fit_are_found(fixed_s: float, row_s: float, most: int) -> None:
    bound_s = 0.03
    found = most_rows(lambda rows: fixed_s + rows * row_s, bound_s, most)
    assert 1 <= found <= most
    if found > 1:
        assert fixed_s + found * row_s <= bound_s + 1e-9
    if found < most:
        assert fixed_s + (found + 1) * row_s > bound_s - 1e-9


@pytest.mark.parametrize(("draw_s", "least", "most"), [(0.006, 1, 4), (0.05, 1, 1)])
def test_slow_drawing_leaves_room_for_fewer_sessions(draw_s: float, least: int, most: int) -> None:
    class SlowGenerator(FakeGenerator):
        def render(self, motion: Any) -> Any:
            time.sleep(draw_s)
            return super().render(motion)

    generator: Any = SlowGenerator()
    assert least <= capacity.measured(FakeAvatar(), generator) <= most


@given(
    sessions=st.integers(1, 40),
    picture_s=st.floats(0.001, 0.05),
    row_s=st.floats(0.0, 0.005),
)
def test_everybodys_share_of_pictures_fills_the_tick_and_no_more(sessions: int, picture_s: float, row_s: float) -> None:
    budget, tick_s = PictureBudget(), BUSY * CHUNK_S
    assert budget.share(sessions) == 1.0
    for _ in range(400):
        drawn = round(sessions * budget.share(sessions))
        budget.took(drawn * picture_s + sessions * row_s, drawn, sessions - drawn)
    drawn_s = sessions * (budget.share(sessions) * picture_s + row_s)
    assert drawn_s <= tick_s + picture_s or budget.share(sessions) == 0.0
    if budget.share(sessions) < 1.0:
        assert drawn_s >= 0.7 * tick_s - picture_s
