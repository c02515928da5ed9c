"""The arithmetic of bench.phonemes, and that its noises are sound."""

import numpy as np
import pytest

pytest.importorskip("scipy")  # the `bench` extra

from bench import hearing, noises
from models.rates import LOOK_AHEADS_MS
from models.visemes import VISEME_INDEX

PP, AA = VISEME_INDEX["PP"], VISEME_INDEX["aa"]


def heard(true: list[int], said: list[int]) -> hearing.Heard:
    frames = len(true)
    return hearing.Heard(
        "g", "s", np.array(true), np.tile(said, (len(LOOK_AHEADS_MS), 1)), np.zeros(frames, np.float32)
    )


def test_unlabelled_frames_count_for_nothing():
    true, said = np.array([PP, PP, AA, -1]), np.array([PP, AA, AA, PP])
    assert hearing.accuracy(true, said) == pytest.approx(2 / 3)
    assert hearing.f1(true, said, "PP") == pytest.approx(2 / 3)


def test_a_boundary_may_be_off_by_20_ms_and_no_more():
    true = np.array([PP] * 6 + [AA] * 6)
    for late, wrong in ((2, 0), (3, 1), (5, 3)):
        said = np.concatenate(([PP] * late, true[:-late]))
        assert hearing.near_accuracy(true, said) == pytest.approx(1 - wrong / 12)


def test_a_closure_is_found_whole_or_not_at_all():
    true = [AA] * 10 + [PP] * 8 + [AA] * 30 + [PP] * 8 + [AA] * 10
    said = [AA] * 16 + [PP] * 6 + [AA] * 10 + [PP] * 3 + [AA] * 31
    found = hearing.events([heard(true, said)], "PP")
    assert found["recall"] == 0.5
    assert found["precision"] == 0.5
    assert hearing.confusion([heard(true, said)], "PP") == {"aa": 0.875, "PP": 0.125}


def test_noises_are_finite_and_within_full_scale():
    for kind, takes in noises.sounds(takes=1).items():
        for sound in takes:
            assert len(sound) >= noises.SECONDS * 16_000 - 1600, kind
            assert np.isfinite(sound).all(), kind
            assert 0.005 < np.abs(sound).max() <= 1, kind
