"""Beeps of benches are told apart, whatever the delay, and a delay's trend is found among outliers."""

from __future__ import annotations

import numpy as np
import pytest

from bench import beats, sounds

BEEPS_MS = 1000 * np.concatenate([np.array(beats.STARTS_S) + k * beats.PERIOD_S for k in range(6)])
LONGEST_MS = 5000.0


def pair(effects: np.ndarray, low_ms: float = 0, high_ms: float = LONGEST_MS) -> np.ndarray:
    return beats.pair(BEEPS_MS, effects, low_ms, high_ms) - BEEPS_MS


@pytest.mark.parametrize("delay_ms", [60, 700, 1500, 4700])
def test_a_delay_is_told_from_one_that_is_a_beep_more_or_less(delay_ms: float) -> None:
    spread = np.random.default_rng(1).uniform(-40, 40, len(BEEPS_MS))
    np.testing.assert_allclose(pair(BEEPS_MS + delay_ms + spread), delay_ms + spread)


def test_what_comes_later_than_is_looked_for_is_not_taken_for_the_next_beep() -> None:
    assert np.isnan(pair(BEEPS_MS + LONGEST_MS + 700)[: -beats.NEIGHBOURS]).all()


def test_effects_without_order_belong_to_no_beep() -> None:
    stray = np.random.default_rng(2).uniform(0, BEEPS_MS[-1], len(BEEPS_MS))
    assert np.isfinite(pair(stray)).mean() < 0.1


def test_lost_and_stray_effects_leave_the_others_paired() -> None:
    rng = np.random.default_rng(3)
    kept = rng.random(len(BEEPS_MS)) > 0.15
    found = pair(np.concatenate([BEEPS_MS[kept] + 250, rng.uniform(0, BEEPS_MS[-1], 8)]))
    assert (np.abs(found[kept] - 250) < 1).mean() > 0.9
    assert np.isnan(found[~kept]).mean() > 0.7


def test_a_delay_may_grow_past_many_beeps_and_have_either_sign() -> None:
    growing = np.linspace(-400, 1500, len(BEEPS_MS))
    np.testing.assert_allclose(pair(BEEPS_MS + growing, -2000, LONGEST_MS), growing)


def test_no_effects_pair_with_nothing() -> None:
    assert np.isnan(pair(np.array([]))).all() and not len(beats.pair([], [1.0], 0, 1))


def test_a_trend_is_a_minutes_change_and_outliers_do_not_move_it() -> None:
    at_ms = np.arange(0, 600_000, 1300.0)
    noise = np.random.default_rng(4).normal(0, 10, len(at_ms))
    values = 100 + 2.5 * at_ms / 60_000 + noise
    values[-20:] += 800
    found = beats.trend(at_ms, values)
    assert found is not None and found.low < found.a_minute < found.high
    assert abs(found.a_minute - 2.5) < 1 < abs(float(np.polyfit(at_ms / 60_000, values, 1)[0]) - 2.5)
    assert beats.trend([0, 1], [1, 2]) is None


def test_a_looped_file_of_beeps_keeps_their_gaps() -> None:
    once = sounds.beeps(beats.STARTS_S, 0.12, beats.PERIOD_S)
    loud = np.flatnonzero(np.abs(np.tile(once, 2)) > 2000) / sounds.RATE
    begins = loud[np.concatenate([[True], np.diff(loud) > 0.15])]
    np.testing.assert_allclose(np.diff(begins), np.tile(beats.GAPS_S, 2)[:-1], atol=1e-3)
