"""Rows of teeth: single crowns along the arch, symmetric, gums behind them, moved as the head's own rows are."""

import numpy as np
import pytest

from models.face_model import FaceModel
from models.mesh_paint import paint
from models.teeth import ARCHES, RowName, build_row, carried, row_motion
from models.tongue import build_tongue, paint_hollow, paint_tip

TOOTH, GUM = np.array([200, 210, 220], np.float32), np.array([110, 105, 185], np.float32)
STEP = 40


def front(name: RowName) -> np.ndarray:
    """(h, w, 3) the row from the front, 40 pixels a cm, its middle in the middle column."""
    row = build_row(name, TOOTH, GUM)
    at = np.c_[(row.vertices[:, 0] + 3.5) * STEP, (1 - row.vertices[:, 1] - 3) * STEP, row.vertices[:, 2] * STEP]
    return paint(at.astype(np.float32), row.triangles, row.colours, (160, 280))[..., :3].astype(int)


@pytest.mark.parametrize("name", list(ARCHES))
def test_a_row_has_single_teeth_with_dark_gaps(name: RowName) -> None:
    picture = front(name)
    arch = ARCHES[name]
    y = round((1 - (arch.edge_y + arch.up * 0.4 * arch.heights[0]) - 3) * STEP)
    line = picture[y, :, 1]
    middle = round(3.5 * STEP)
    first, second = (round(width * STEP) for width in arch.widths[:2])
    tooth = line[middle + first // 2 - 3 : middle + first // 2 + 3].min()
    for gap in (middle, middle + first):  # the arch hardly turns away here
        assert line[gap - second // 3 : gap + second // 3].min() < 0.75 * tooth


@pytest.mark.parametrize("name", list(ARCHES))
def test_a_row_is_symmetric(name: RowName) -> None:
    picture = front(name)
    assert np.abs(picture - picture[:, ::-1]).mean() < 3


def test_gums_are_above_the_upper_row_and_below_the_lower_one() -> None:
    for name, arch in ARCHES.items():
        edge = round((1 - arch.edge_y - 3) * STEP)
        redness = front(name)[..., 2] - front(name)[..., 1]
        beyond = redness[edge - arch.up * round(1.3 * STEP), 120:160]
        on_teeth = redness[edge - arch.up * round(0.4 * STEP), 120:160]
        assert beyond.mean() > on_teeth.mean() + 40


def test_a_row_follows_the_heads_own_row() -> None:
    model = FaceModel.load()
    part = model.parts["teeth_lower"]
    identity = np.zeros(40, np.float32)
    identity[:3] = [1.5, -1, 1]
    weights = np.zeros(52, np.float32)
    weights[list(model.expression.any((1, 2))).index(True)] = 0
    moved = model.vertices(identity, weights)[part]
    motion = row_motion(model.neutral[part], moved)
    assert np.abs(carried(model.neutral[part], motion) - moved).mean() < 0.06


def test_a_grey_photo_gets_grey_teeth() -> None:
    row = build_row("teeth_upper", np.full(3, 180, np.float32), np.full(3, 90, np.float32))
    assert np.ptp(row.colours, axis=1).max() < 1


def test_tip_and_hollow_are_premultiplied_pictures_with_their_anchor_inside() -> None:
    colour = np.array([80, 75, 150], np.float32)
    for picture, anchor in (paint_tip(colour, 33.0), paint_hollow(colour * 0.1, colour * 0.5, 33.0)):
        height, width = picture.shape[:2]
        assert 0 < anchor[0] < width and 0 < anchor[1] < height
        assert (picture[..., :3] <= picture[..., 3:].astype(int) + 1).all()
    tip, anchor = paint_tip(colour, 33.0)
    column = tip[:, int(anchor[0]), 3]
    assert column[: int(anchor[1]) - 1].max(initial=0) == 0 and column[int(anchor[1]) + 3] == 255


def test_the_tongue_lies_behind_and_below_the_lower_edge() -> None:
    tongue = build_tongue(np.array([80, 75, 150], np.float32)).vertices
    arch = ARCHES["teeth_lower"]
    assert tongue[:, 2].max() < arch.centre_z + arch.depth
    assert tongue[tongue[:, 2] > 9.4, 1].max() < arch.edge_y
