"""A face that somebody points at: the points go through the anchors, wherever and however it stands."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.by_hand import ANCHORS, AnchorError, ByHand, read_anchors, through
from models.landmarks import LandmarkModel, Region
from tests.synthetic_face import landmarks, pose

SIZE = 256
FACE = landmarks(pose(SIZE))
ANCHORED = [list(indices) for indices in ANCHORS.values()]


def anchors_of(points: np.ndarray, size: int = SIZE) -> dict[str, tuple[float, float]]:
    return {
        name: (float(x) / size, float(y) / size)
        for name, (x, y) in zip(ANCHORS, (points[i].mean(0) for i in ANCHORED), strict=True)
    }


@dataclass
class Stubborn:
    """A network that answers with one face in the middle of every region, whatever is there."""

    regions: list[Region]

    def trace(self, picture_bgr: np.ndarray, regions: list[Region]) -> tuple[np.ndarray, np.ndarray]:
        self.regions += regions
        (region,) = regions
        face = (FACE - FACE.mean(0)) / np.ptp(FACE, axis=0).max() * region.size_px / 1.4 + region.centre
        return face[None], np.zeros(1)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.4, 3), st.floats(-0.7, 0.7), st.floats(-60, 60), st.lists(st.floats(-6, 6), min_size=10, max_size=10)
)
def test_the_points_go_through_the_anchors(scale: float, roll: float, shift: float, off: list[float]) -> None:
    turn = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    at = np.array([FACE[i].mean(0) for i in ANCHORED]) @ turn.T + shift + np.reshape(off, (5, 2)) * scale
    bent = through(FACE, at)
    unit = np.hypot(*(at[1] - at[0]))
    np.testing.assert_allclose([bent[i].mean(0) for i in ANCHORED], at, atol=0.03 * unit)
    exact = through(FACE, np.array([FACE[i].mean(0) for i in ANCHORED]) @ turn.T + shift)
    np.testing.assert_allclose(exact, FACE @ turn.T + shift, atol=0.01 * unit)


def test_the_network_looks_where_the_anchors_are() -> None:
    tracer = Stubborn([])
    (found,) = ByHand(tracer, anchors_of(FACE)).find(np.zeros((SIZE, SIZE, 3), np.uint8))
    expected = Region.around(FACE)
    unit = np.hypot(*(FACE[263] - FACE[33]))
    for region in tracer.regions:
        assert np.hypot(*(region.centre - expected.centre)) < 0.25 * unit
        assert region.size_px == pytest.approx(expected.size_px, rel=0.2) and abs(region.roll) < 0.1
    assert np.hypot(*(found.points - FACE).T).mean() < 0.1 * unit


def test_a_drawing_that_the_detector_refuses_becomes_a_face_where_it_is_marked() -> None:
    drawing = np.full((SIZE, SIZE, 3), 255, np.uint8)
    cv2.circle(drawing, (128, 128), 80, (0, 0, 0), 2)
    for x in (100, 156):
        cv2.circle(drawing, (x, 110), 8, (0, 0, 0), -1)
    cv2.line(drawing, (100, 165), (156, 165), (0, 0, 0), 3)
    network = LandmarkModel()
    assert network.find(drawing) == []
    marks = {
        "left_eye": (100, 110), "right_eye": (156, 110), "left_mouth_corner": (100, 165),
        "right_mouth_corner": (156, 165), "chin": (128, 205),
    }  # fmt: skip
    (found,) = ByHand(network, {name: (x / SIZE, y / SIZE) for name, (x, y) in marks.items()}).find(drawing)
    for name, indices in ANCHORS.items():
        assert np.hypot(*(found.points[list(indices)].mean(0) - marks[name])) < 2, name
    assert np.ptp(found.points[:, 1]) > 90


GOOD = anchors_of(FACE)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ([1, 2], "give all of"),
        ({"left_eye": [0.1, 0.2]}, "give all of"),
        (GOOD | {"nose": [0.5, 0.5]}, "give all of"),
        (GOOD | {"chin": [0.5]}, "chin must be"),
        (GOOD | {"chin": [0.5, 1.2]}, "chin must be"),
        (GOOD | {"chin": "ab"}, "chin must be"),
        (GOOD | {"chin": [True, 0.5]}, "chin must be"),
        (GOOD | {"chin": [float("nan"), 0.5]}, "chin must be"),
    ],
)
def test_points_that_are_none_are_refused_in_words(said: object, complaint: str) -> None:
    with pytest.raises(AnchorError, match=complaint):
        read_anchors(said)


def test_eyes_on_one_another_or_swapped_are_refused() -> None:
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    with pytest.raises(AnchorError, match="on one another"):
        ByHand(Stubborn([]), GOOD | {"left_eye": GOOD["right_eye"]}).find(picture)
    with pytest.raises(AnchorError, match="wrong way round"):
        ByHand(Stubborn([]), GOOD | {"left_eye": GOOD["right_eye"], "right_eye": GOOD["left_eye"]}).find(picture)


def test_what_is_read_is_what_was_said() -> None:
    assert read_anchors({name: list(place) for name, place in GOOD.items()}) == GOOD
