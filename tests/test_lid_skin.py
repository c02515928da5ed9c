"""Where the skin above an eye begins: beyond a liner that lies far from its landmarks, and above a lid's gloss."""

import numpy as np
import pytest

from models.lid_skin import HIDDEN_LEAST, HIDDEN_MOST, above_gloss, lightest

UNIT, RIM, SKIN, WHITE, LINER = 150.0, 40.0, 180, 230, 30
BETWEEN = (-HIDDEN_LEAST, -HIDDEN_MOST)


def patch(**bands: tuple[int, int, int]) -> np.ndarray:
    """Skin above the rim and white below; bands: (first row, last row, light) drawn over it."""
    out = np.full((60, 80, 3), SKIN, np.uint8)
    out[int(RIM) :] = WHITE
    for first, last, light in bands.values():
        out[first:last] = light
    return out


def test_white_within_a_liner_is_no_skin() -> None:
    eye = patch(white=(36, 40, WHITE), liner=(32, 36, LINER))
    rows = lightest(eye, np.full(80, RIM, np.float32), BETWEEN, UNIT)
    assert (rows < 32).all()


def test_a_dark_brow_above_is_no_liner() -> None:
    eye = patch(lashes=(37, 40, 60), brow=(0, 31, LINER))
    rows = lightest(eye, np.full(80, RIM, np.float32), BETWEEN, UNIT)
    assert (rows > 31).all()


@pytest.mark.parametrize(("above", "moved"), [(SKIN, False), (110, True)])
def test_the_lid_begins_above_its_gloss(above: int, moved: bool) -> None:
    rows = np.full(80, 34, np.float32)
    began = above_gloss(patch(above=(0, 32, above)), rows, UNIT)
    assert (began < 31).all() if moved else began == pytest.approx(rows, abs=0.1)
