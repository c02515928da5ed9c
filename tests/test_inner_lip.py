"""The inside of a lip is made of its red alone; the ends of the lower lip lose their gloss; nothing else changes."""

import numpy as np
import pytest

from models.inner_lip import lip_height_px, turned_in_ends, with_inner_lip
from models.lips import LipLine

SKIN, LIP, GLOSS, UNIT, LINE_Y, TALL = (150, 180, 230), (80, 80, 170), (190, 190, 200), 150.0, 60, 8
LINE = LipLine(
    np.stack([np.linspace(30, 110, 38), np.full(38, LINE_Y)], 1).astype(np.float32),
    np.array([1, 0], np.float32),
    np.array([0, 1], np.float32),
    30.0,
    40.0,
)
HEIGHT = np.full(38, TALL, np.float32)


@pytest.fixture
def mouth() -> np.ndarray:
    """Skin with lips of `TALL` pixels, the ends of the lower one pale."""
    picture = np.full((120, 140, 3), SKIN, np.uint8)
    picture[LINE_Y - TALL : LINE_Y + TALL, 30:111] = LIP
    picture[LINE_Y : LINE_Y + TALL, 30:46] = picture[LINE_Y : LINE_Y + TALL, 95:111] = GLOSS
    return picture


def test_no_skin_beyond_a_thin_lip_is_mirrored_into_its_inside(mouth: np.ndarray) -> None:
    inside = with_inner_lip(mouth, LINE, 20.0, HEIGHT, upper=False)[LINE_Y - 11 : LINE_Y, 70].astype(float)
    assert (inside[:, 2] / inside[:, 1] > 1.9).all(), "skin is 1.3, the lip 2.1"
    assert inside[0].sum() < 0.75 * inside[-1].sum(), "darker the deeper"


def test_the_inside_runs_out_towards_the_corners(mouth: np.ndarray) -> None:
    changed = (with_inner_lip(mouth, LINE, 5.0, HEIGHT, upper=False) != mouth).any(2).sum(0)
    assert changed[70] == 9 and 0 < changed[36] < 6 and not changed[31]


def test_the_inside_of_a_grey_lip_is_grey() -> None:
    inside = with_inner_lip(np.full((120, 140, 3), 120, np.uint8), LINE, 10.0, HEIGHT, upper=False)
    assert np.ptp(inside.astype(int), axis=2).max() <= 1


def test_ends_of_the_lower_lip_are_no_longer_pale(mouth: np.ndarray) -> None:
    turned = turned_in_ends(mouth, LINE, HEIGHT, UNIT).astype(float)
    for column in (40, 100):
        assert turned[LINE_Y + 1, column].sum() < 0.7 * np.sum(GLOSS)
        assert turned[LINE_Y + 1, column, 2] > 1.3 * turned[LINE_Y + 1, column, 1], "red, as the middle"


def test_middle_corners_and_skin_stay(mouth: np.ndarray) -> None:
    changed = (turned_in_ends(mouth, LINE, HEIGHT, UNIT) != mouth).any(2)
    assert changed.any()
    assert not changed[:, 60:81].any() and not changed[:, :31].any() and not changed[:, 110:].any()
    assert not changed[: LINE_Y - 6].any() and not changed[LINE_Y + TALL :].any()


def test_height_is_the_distance_from_the_edge_to_the_border() -> None:
    points = np.zeros((478, 2))
    for index, x in zip((61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291), np.linspace(30, 110, 11), strict=True):
        points[index] = x, LINE_Y + TALL
    assert lip_height_px(points, LINE, upper=False) == pytest.approx(HEIGHT)
