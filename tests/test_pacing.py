"""The delay follows what is needed, and the ticks follow the microphone's clock: little by little, within bounds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.microphone import MicrophoneQueue
from realtime.pacing import EARLIER_S, GUARD_S, LATER_S, LEAST_S, RISE_S, SPARE_S, Margin, Pacer, PhaseLock
from realtime.playout import Playout
from realtime.timebase import AUDIO_CHUNK, CHUNK_S

PACKET, PACKET_S = 960, 0.02


def after(margin: Margin, needed_s: list[float]) -> float:
    for seconds in needed_s:
        margin.needed(seconds)
        margin.step()
    return margin.seconds


def test_a_quick_machine_waits_less_and_one_slip_costs_nothing() -> None:
    margin = Margin(0.05)
    assert after(margin, [0.02] * 400) == pytest.approx(0.02 + SPARE_S, abs=0.001)
    assert after(margin, [0.2] + [0.02] * 40) == pytest.approx(0.02 + SPARE_S, abs=0.001)


def test_pictures_that_take_longer_are_waited_for_at_once_but_not_beyond_the_bound() -> None:
    margin = Margin(0.05)
    after(margin, [0.012] * 600)
    assert after(margin, [0.03] * 8) == pytest.approx(0.03 + SPARE_S, abs=0.001)
    assert after(margin, [0.4] * 8) == 0.05, "a few that are slow are not waited for"


def test_a_full_machine_may_take_twice_as_long_until_it_is_quick_again() -> None:
    margin = Margin(0.05)
    assert after(margin, [0.03, 0.03, 0.03, 0.07] * 50) == pytest.approx(0.07 + SPARE_S, abs=0.001)
    assert after(margin, [0.4] * 50) == pytest.approx(0.1)
    assert after(margin, [0.02] * 600) == pytest.approx(0.02 + SPARE_S, abs=0.001)


@given(st.lists(st.floats(-0.1, 1.0), max_size=300), st.floats(0.0, 0.2))
def test_the_margin_keeps_its_bounds_and_its_calm(needed_s: list[float], first_s: float) -> None:
    margin, last = Margin(first_s), first_s
    for seconds in needed_s:
        margin.needed(seconds)
        now = margin.step()
        assert min(LEAST_S, first_s) - 1e-9 <= now <= 2 * first_s + 1e-9 and now - last <= RISE_S + 1e-9
        last = now


def microphone(seconds: float, phase_s: float, drift: float, jitter_s: float) -> tuple[list[float], int]:
    """How early each chunk was there, and how many ticks had none, with ticks that follow a microphone."""
    rng, queue, lock = random.Random(1), MicrophoneQueue(200), PhaseLock()
    packets = int(seconds / PACKET_S)
    arrivals = [phase_s + i * PACKET_S * (1 + drift) + rng.uniform(0, jitter_s) for i in range(packets)]
    tick_s, sent, early, empty = 0.06, 0, [], 0
    while sent < packets:
        while sent < packets and arrivals[sent] <= tick_s:
            loud = np.full(PACKET, 5000, np.int16)  # nothing that could be cut out
            queue.push(loud, sent * PACKET, arrivals[sent])
            sent += 1
        taken = queue.take()
        empty += taken is None
        early_s = None if taken is None else tick_s - taken[1]
        if early_s is not None:
            early.append(early_s)
        tick_s += CHUNK_S + lock.step(early_s)
    return early, empty


@settings(deadline=None, max_examples=30)
@given(phase_s=st.floats(0.0, 0.04), drift=st.floats(-3e-4, 3e-4), jitter_s=st.floats(0.0, 0.004))
def test_whatever_its_phase_and_clock_a_microphone_is_taken_just_in_time(
    phase_s: float, drift: float, jitter_s: float
) -> None:
    early, empty = microphone(40.0, phase_s, drift, jitter_s)
    assert empty <= 1
    settled = early[500:]
    assert min(settled) > 0.0 and np.mean(settled) < GUARD_S + jitter_s + 0.004


def test_without_it_a_drifting_microphone_costs_a_whole_chunk_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PhaseLock, "step", lambda self, early_s: 0.0)
    early, _ = microphone(40.0, 0.015, 3e-4, 0.002)
    assert np.mean(early[500:]) > GUARD_S + 0.006


def test_the_ticks_move_by_a_little_at_a_time() -> None:
    lock, moves = PhaseLock(), []
    for i in range(400):
        moves.append(lock.step(0.035 if i < 200 else 0.001))
    assert min(moves) == -EARLIER_S and max(moves) == LATER_S


def test_silence_moves_nothing() -> None:
    lock = PhaseLock()
    assert [lock.step(None) for _ in range(100)] == [0.0] * 100


def test_a_timeline_is_paced_by_both() -> None:
    timeline = Playout(0.0, 2, 0.05, None)
    pacer, delay_s = Pacer(timeline), timeline.delay_s
    for index in range(400):
        at = timeline.take_at(index)
        timeline.put_sound(np.zeros(AUDIO_CHUNK, np.int16))
        pacer.ready(index - 2, at + 0.02)
        pacer.ticked(at, index * CHUNK_S - 0.026)
    assert timeline.delay_s == pytest.approx(delay_s - 0.05 + 0.02 + SPARE_S, abs=0.001)
    assert timeline.take_at(400) == pytest.approx(400 * CHUNK_S - 0.026 + GUARD_S, abs=0.002)
