"""The shadow between shut lips is taken off the lower one; all else stays."""

import numpy as np
import pytest

from models.lip_shadow import without_shadow
from models.lips import LipLine

LIP, UNIT, LINE_Y = (110, 100, 190), 150.0, 60
LINE = LipLine(
    np.stack([np.linspace(30, 110, 38), np.full(38, LINE_Y)], 1).astype(np.float32),
    np.array([1, 0], np.float32),
    np.array([0, 1], np.float32),
    30.0,
    40.0,
)


@pytest.fixture
def mouth() -> np.ndarray:
    """Lips of one colour with a shadow between them, a fifth as bright at its darkest."""
    rows = np.arange(120)[:, None, None]
    dark = 0.8 * np.exp(-(((rows - LINE_Y) / 1.6) ** 2))
    return np.round(np.broadcast_to(LIP * (1 - dark), (120, 140, 3))).astype(np.uint8)


def test_the_lower_lip_is_lit_up_to_its_edge(mouth: np.ndarray) -> None:
    before, after = mouth[LINE_Y : LINE_Y + 6, 70].mean(1), without_shadow(mouth, LINE, UNIT)[LINE_Y : LINE_Y + 6, 70]
    assert before[0] < 0.3 * np.mean(LIP)
    assert after.mean(1).min() > 0.55 * np.mean(LIP)
    assert after[0, 2] / after[0, 1] == pytest.approx(LIP[2] / LIP[1], rel=0.1)


def test_skin_corners_and_the_upper_lip_stay(mouth: np.ndarray) -> None:
    changed = (without_shadow(mouth, LINE, UNIT) != mouth).any(2)
    assert not changed[: LINE_Y - 1].any() and not changed[LINE_Y + 8 :].any()
    assert not changed[:, :31].any() and not changed[:, 110:].any()


def test_lips_without_a_shadow_hardly_change() -> None:
    even = np.full((120, 140, 3), LIP, np.uint8)
    even[LINE_Y:] = np.round(even[LINE_Y:] * np.linspace(0.62, 1, 60)[:, None, None].clip(0, 1))
    assert np.abs(without_shadow(even, LINE, UNIT).astype(int) - even).max() < 14


def test_a_mouth_at_the_border_is_no_error(mouth: np.ndarray) -> None:
    assert without_shadow(mouth[: LINE_Y + 2], LINE, UNIT).shape == (LINE_Y + 2, 140, 3)
