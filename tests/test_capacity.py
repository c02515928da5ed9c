"""A machine is measured before it is filled, and when it is too full everybody gets the same share of pictures."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime import capacity
from realtime.capacity import LEAST, PictureShare, most_rows
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


@given(st.floats(0.15, 3.0))
def test_the_share_of_pictures_settles_at_what_there_is_time_for(fits: float) -> None:
    pictures, shares = PictureShare(), []
    for step in range(4000):
        late = max(0.0, 1 - fits / pictures.share) if pictures.share > fits else 0.0
        pictures.stepped(step * 0.02, 100, round(100 * late))
        shares.append(pictures.share)
    assert 0.8 * min(fits, 1.0) <= np.mean(shares[1000:]) <= 1.15 * min(fits, 1.0)
    assert min(shares) >= LEAST


def test_a_hitch_of_a_seventh_of_a_second_costs_no_picture() -> None:
    pictures = PictureShare()
    for step in range(200):
        pictures.stepped(step * 0.02, 2, 2 if 53 <= step < 60 else 0)
        assert pictures.share == 1.0


def test_a_machine_held_up_for_a_second_draws_all_again_soon_after() -> None:
    pictures, held_up = PictureShare(), range(100, 150)
    shares = []
    for step in range(250):
        pictures.stepped(step * 0.02, 2, 2 if step in held_up else 0)
        shares.append(pictures.share)
    assert min(shares) < 0.5
    assert shares[-1] == 1.0
