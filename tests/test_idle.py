"""Life in silence and speech: human rates, bounded, reproducible, never a loop."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.blendshapes import ARKIT_INDEX
from models.idle import IdleModel, IdleState, sway_deg
from models.noise import draw, smooth_noise
from models.rates import FPS
from models.style import Style
from models.voice import VoiceFeatures

BLINK = ARKIT_INDEX["eyeBlinkLeft"]
MOUTH = [i for name, i in ARKIT_INDEX.items() if name.startswith(("mouth", "jaw", "tongue"))]
LOOKS = [i for name, i in ARKIT_INDEX.items() if name.startswith("eyeLook")]
SILENT = VoiceFeatures()
EYES_ALONE = Style(head=0, blink=False)


def talking(index: int) -> VoiceFeatures:
    """Phrases of 2.4 s with two accents and a pause of 0.8 s."""
    at = index % 80
    return VoiceFeatures(
        speaking=float(at < 60),
        loudness=0.5 * (at < 60),
        accent=0.6 if at in (12, 13, 14, 40, 41, 42) else 0.0,
        phrase_start=at == 0,
        phrase_end=at == 62,
    )


LONG_S = 360


@cache
def live(
    seconds: float, seed: int = 1, speaking: bool = False, style: Style | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(frames, 52) weights and (frames, 6) head, which several tests look at."""
    model, weights, head = IdleModel(), [], []
    state = model.initial_state(seed)
    for index in range(round(seconds * FPS)):
        motion, state = model.step(index, talking(index) if speaking else SILENT, style or Style(), state)
        weights.append(motion.weights)
        head.append(motion.head)
    return np.array(weights), np.array(head)


def blinks(weights: np.ndarray) -> list[tuple[int, int, float]]:
    """(start, chunks, depth) of each blink; lids that only follow the eyes down are none."""
    lid = weights[:, BLINK]
    shut = np.concatenate([[False], lid > 0.22, [False]])
    starts, ends = np.flatnonzero(~shut[:-1] & shut[1:]), np.flatnonzero(shut[:-1] & ~shut[1:])
    return [(int(s), int(e - s), float(lid[s:e].max())) for s, e in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("speaking", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_blinks_are_human(speaking: bool, seed: int) -> None:
    seen = blinks(live(LONG_S, seed, speaking)[0])
    rate, depth = len(seen) / 6, np.array([d for _, _, d in seen])
    assert 17 <= rate <= 26
    assert all(40 <= chunks * 40 <= 400 for _, chunks, _ in seen)
    assert 0.18 <= (depth < 0.85).mean() <= 0.4, "some are partial"
    gaps = np.diff([s for s, _, _ in seen]) / FPS
    assert gaps.std() > 0.3 * gaps.mean(), "not a clock"


def test_lids_close_faster_than_they_open() -> None:
    weights, _ = live(LONG_S, 1, False)
    closing, opening = [], []
    for start, chunks, depth in blinks(weights):
        lid = weights[start : start + chunks, BLINK]
        top = int(lid.argmax())
        full = np.flatnonzero(lid > 0.97 * depth)
        closing.append(top + 1)
        opening.append(chunks - int(full[-1]))
    assert np.mean(closing) < np.mean(opening)


def test_blinks_prefer_the_ends_of_phrases() -> None:
    starts = np.array([s for s, _, _ in blinks(live(LONG_S, 2, True)[0])]) % 80
    at_end = np.mean((starts >= 62) & (starts < 70))
    assert at_end > 2 * 8 / 80, "twice as often as chance"


def test_gaze_fixates_and_jumps() -> None:
    weights, _ = live(200, 4, False, EYES_ALONE)
    moved = np.abs(np.diff(weights[:, LOOKS], axis=0)).max(1)
    assert 0.02 < np.mean(moved > 1e-4) < 0.25, "still most of the time"
    assert moved.max() > 0.1, "and a glance now and then"
    assert weights[:, LOOKS].max() < 0.7


def test_speakers_look_away_more_than_listeners() -> None:
    away = [np.mean(live(200, 4, s, EYES_ALONE)[0][:, LOOKS].max(1) > 0.15) for s in (False, True)]
    assert away[0] < away[1] < 0.5


@pytest.mark.parametrize("speaking", [False, True])
def test_head_moves_like_a_head(speaking: bool) -> None:
    _, head = live(LONG_S, 2, speaking)
    degrees = np.degrees(head[:, :3])
    assert np.all(degrees.std(0) > 0.3) and np.all(degrees.std(0) < 4)
    assert np.abs(degrees).max() < 9
    for start in range(0, len(degrees) - 250, 250):
        assert np.ptp(degrees[start : start + 250], axis=0).max() > 0.5, "alive in every ten seconds"
    power = np.abs(np.fft.rfft(degrees - degrees.mean(0), axis=0)) ** 2
    hz = np.fft.rfftfreq(len(degrees), 1 / FPS)
    assert power[hz > 4].sum() / power.sum() < 0.02


def test_accents_bring_nods_and_silence_none() -> None:
    model = IdleModel()
    dips = []
    for seed in range(12):
        with_accent, without = (model.initial_state(seed) for _ in range(2))
        lowest = 0.0
        for index in range(60):
            voice = VoiceFeatures(speaking=1.0, accent=0.6 * (index in (30, 31)))
            a, with_accent = model.step(index, voice, Style(), with_accent)
            b, without = model.step(index, VoiceFeatures(speaking=1.0), Style(), without)
            lowest = min(lowest, float(a.head[1] - b.head[1]))
            if index < 30:
                assert lowest == 0
        dips.append(np.degrees(lowest))
    assert sum(dip < -0.8 for dip in dips) >= 6 and min(dips) > -8


def test_idle_leaves_the_mouth_alone() -> None:
    assert np.all(live(LONG_S, 1, True)[0][:, MOUTH] == 0)


def test_a_session_begins_as_the_photo() -> None:
    weights, head = live(0.08)
    assert np.all(head[0] == 0) and weights[0, BLINK] == 0


def test_an_hour_drifts_nowhere_and_repeats_nothing() -> None:
    hour = np.array([sway_deg(9, index, 0.0) for index in range(0, 3600 * FPS, 10)])
    assert np.all(np.abs(hour.mean(0)) < 0.15)
    assert np.abs(hour[-150:].mean(0)).max() < 2.5 and np.abs(hour).max() < 6
    yaw = hour[:, 0] - hour[:, 0].mean()
    spectrum = np.abs(np.fft.rfft(yaw, 2 * len(yaw))) ** 2
    repeat = np.fft.irfft(spectrum)[: len(yaw)]
    assert repeat[100:].max() / repeat[0] < 0.35, "no lag beyond 40 s at which the sway repeats itself"


def test_same_seed_same_life_other_seed_another() -> None:
    first, again, other = (live(20, seed) for seed in (7, 7, 8))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_state_can_be_kept_and_resumed() -> None:
    model = IdleModel()
    state: IdleState = model.initial_state(3)
    for index in range(100):
        _, state = model.step(index, talking(index), Style(), state)
    twice = [model.step(100, SILENT, Style(), state)[0] for _ in range(2)]
    assert np.array_equal(twice[0].weights, twice[1].weights) and np.array_equal(twice[0].head, twice[1].head)


def test_style_stills_what_it_names() -> None:
    weights, head = live(30, 2, True, Style(head=0, gaze=0, blink=False))
    assert np.all(head == 0) and np.all(weights[:, LOOKS] == 0) and np.all(weights[:, BLINK] < 0.2)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-(2**70), 2**70),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.floats(0, 2),
)
def test_any_voice_gives_finite_motion(seed: int, voices: list, strength: float) -> None:
    model = IdleModel()
    state = model.initial_state(seed)
    for index, (speaking, accent, starts, ends) in enumerate(voices):
        voice = VoiceFeatures(speaking, speaking, accent, starts, ends)
        motion, state = model.step(index, voice, Style(head=strength, gaze=strength), state)
        assert np.isfinite(motion.weights).all() and np.isfinite(motion.head).all()
        assert motion.weights.min() >= 0 and motion.weights.max() <= 1


@given(st.integers(0, 2**64), st.integers(0, 100), st.integers(-(10**9), 10**9))
def test_draws_lie_inside_the_unit_interval(seed: int, stream: int, n: int) -> None:
    assert 0 < draw(seed, stream, n) < 1


def test_draws_are_even_and_unrelated_to_their_neighbours() -> None:
    values = np.array([[draw(5, stream, n) for n in range(2000)] for stream in range(4)])
    assert np.abs(values.mean(1) - 0.5).max() < 0.03
    assert np.abs(np.corrcoef(values) - np.eye(4)).max() < 0.08
    assert abs(np.corrcoef(values[0, 1:], values[0, :-1])[0, 1]) < 0.08


def test_noise_is_continuous() -> None:
    values = np.array([smooth_noise(1, 2, n / 100) for n in range(-300, 300)])
    assert np.abs(np.diff(values)).max() < 0.04 and np.ptp(values) > 0.5
