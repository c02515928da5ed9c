"""The photo's own teeth: found in a smile, and not in a shut or toothless mouth."""

import cv2
import numpy as np
import pytest

from models.lips import INNER_LOWER, INNER_UPPER, lip_lines
from models.own_teeth import clear_of_teeth, find_teeth

SKIN, LIP, TOOTH, DARK = (130, 160, 205), (110, 100, 190), (205, 220, 232), (25, 20, 45)


def smile(teeth_px: int, gap_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A drawn mouth, `gap_px` open, with `teeth_px` of upper teeth; eyes 150 px apart."""
    points = np.zeros((478, 2), np.float32)
    points[33], points[263] = (181, 200), (331, 200)
    along = np.linspace(-1, 1, 11)
    x, bow = 256 + 32 * along, np.sqrt(np.clip(1 - along**2, 0, 1))
    points[list(INNER_UPPER)] = np.stack([x, 300 + 0 * x], 1)
    points[list(INNER_LOWER)] = np.stack([x, 300 + gap_px * bow], 1)
    photo = np.full((512, 512, 3), SKIN, np.uint8)
    cv2.ellipse(photo, (256, 303), (40, 22), 0, 0, 360, LIP, -1)
    opening = np.zeros(photo.shape[:2], np.uint8)
    outline = np.concatenate([points[list(INNER_UPPER)], points[list(INNER_LOWER)][::-1]])
    cv2.fillPoly(opening, [np.round(outline).astype(np.int32)], 255)
    photo[opening > 0] = DARK
    row = opening.copy()
    row[300 + teeth_px :] = 0
    photo[row > 0] = TOOTH
    return photo, points


def test_a_smile_shows_its_teeth() -> None:
    teeth = find_teeth(*smile(teeth_px=9, gap_px=18))
    assert teeth is not None
    assert teeth.edge_y == pytest.approx(309, abs=1.5)
    assert np.abs(teeth.colour - TOOTH).max() < 12
    rows, columns = np.nonzero(teeth.picture[..., 3] > 128)
    assert columns.max() - columns.min() > 40 and rows.max() + teeth.corner[1] < 311


def test_teeth_that_go_on_behind_the_lower_lip_end_there() -> None:
    teeth = find_teeth(*smile(teeth_px=14, gap_px=12))
    assert teeth is not None and teeth.edge_y == pytest.approx(311, abs=1.5)


@pytest.mark.parametrize(("teeth_px", "gap_px"), [(0, 20), (0, 0), (2, 12)])
def test_no_teeth_are_found_where_none_show(teeth_px: int, gap_px: int) -> None:
    assert find_teeth(*smile(teeth_px, gap_px)) is None


def test_a_mouth_at_the_border_is_left_alone() -> None:
    photo, points = smile(9, 18)
    assert find_teeth(photo[:305], points) is None


def shifted(points: np.ndarray, upper_px: float, lower_px: float) -> np.ndarray:
    """Landmarks whose lips are off by so much, the corners right."""
    moved = points.copy()
    moved[list(INNER_UPPER[1:-1]), 1] += upper_px
    moved[list(INNER_LOWER[1:-1]), 1] += lower_px
    moved[2], moved[152] = (256, 260), (256, 380)
    return moved


def test_lips_whose_landmarks_lie_on_teeth_are_moved_off_them() -> None:
    photo, points = smile(teeth_px=12, gap_px=14)
    true_upper, true_lower = lip_lines(shifted(points, 0, 0))
    upper, lower = clear_of_teeth(photo, lip_lines(shifted(points, 3, -3)), 150.0)
    middle = slice(10, 28)
    assert np.abs(upper.points - true_upper.points)[middle, 1].max() < 2
    assert np.abs(lower.points - true_lower.points)[middle, 1].max() < 2


def test_lips_that_are_in_place_stay() -> None:
    photo, points = smile(teeth_px=9, gap_px=18)
    lips = lip_lines(shifted(points, 0, 0))
    for before, after in zip(lips, clear_of_teeth(photo, lips, 150.0), strict=True):
        assert np.abs(after.points - before.points).max() < 3.5
        assert np.array_equal(after.points[[0, -1]], before.points[[0, -1]])


def test_a_ragged_row_is_no_row_of_teeth() -> None:
    photo, points = smile(teeth_px=5, gap_px=22)
    for x in range(228, 286, 14):
        cv2.rectangle(photo, (x, 303), (x + 6, 314), TOOTH, -1)
    assert find_teeth(photo, points) is None
