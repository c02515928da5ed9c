"""The picture: rest is the photo, speech opens and shuts the mouth, and nothing else moves that should not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from models.blendshapes import FaceMotion
from models.compositor import over, polygon_alpha, polygon_area
from models.fit import eye_distance
from models.generator import FrameGenerator
from models.identity_builder import build_identity
from models.rig import LIPS_SPEECH, Gestures, weights_of
from models.warp import Box, enlarge, finer, invert, node_positions, remap, sample_planes
from tests.synthetic_face import landmarks, model, picture, pose, weights

SIZE = 256
POINTS = landmarks(pose(SIZE))
PHOTO = picture(SIZE, POINTS)
NO_TURN = np.zeros(6, np.float32)


@pytest.fixture(scope="module")
def generator() -> FrameGenerator:
    return FrameGenerator(build_identity(model(), PHOTO, POINTS))


def gap(generator: FrameGenerator, **named: float) -> np.ndarray:
    upper, lower = generator.lips(weights(**named))
    return (lower - upper) @ generator.identity.lip_down / generator.identity.unit_px


def moved(generator: FrameGenerator, head: dict[int, float]) -> np.ndarray:
    turn = NO_TURN.copy()
    for index, value in head.items():
        turn[index] = value
    return generator.render(FaceMotion(weights(), turn))


def test_rest_is_the_photo_itself(generator: FrameGenerator) -> None:
    np.testing.assert_array_equal(generator.render(FaceMotion.rest()), PHOTO)


def test_the_least_motion_hardly_changes_the_photo(generator: FrameGenerator) -> None:
    frame = generator.render(FaceMotion(weights(jawOpen=1e-4), NO_TURN))
    assert np.abs(frame.astype(int) - PHOTO).mean() < 0.5


def test_a_picture_depends_on_its_motion_alone(generator: FrameGenerator) -> None:
    motion = FaceMotion(weights(jawOpen=0.25, mouthSmile=0.3), np.array([0.1, 0, 0.05, 0, 0, 0], np.float32))
    first = generator.render(motion)
    generator.render(FaceMotion(weights(mouthPucker=0.6), NO_TURN))
    np.testing.assert_array_equal(generator.render(motion), first)


def test_a_picture_that_is_helped_with_is_the_same_picture(generator: FrameGenerator) -> None:
    talking = FaceMotion(weights(jawOpen=0.25, eyeBlinkLeft=0.4), np.array([0.1, 0, 0.05, 0, 0, 0], np.float32))
    with ThreadPoolExecutor(1) as helper:
        begun = [generator.begin(motion, helper) for motion in (talking, FaceMotion.rest())]
        for end, motion in zip(begun, (talking, FaceMotion.rest()), strict=True):
            np.testing.assert_array_equal(end(), generator.render(motion))


def test_the_jaw_opens_the_mouth_by_a_known_amount(generator: FrameGenerator) -> None:
    assert np.abs(gap(generator)).max() < 1e-3
    assert gap(generator, jawOpen=0.3)[6:32].mean() == pytest.approx(0.114, rel=0.3)
    assert gap(generator, jawOpen=0.3)[[0, -1]] == pytest.approx(0, abs=1e-3)


def test_cheeks_follow_rounded_lips_only_so_far(generator: FrameGenerator) -> None:
    line, unit = generator.identity.upper_line, generator.identity.unit_px
    at = np.stack([line[-1], line[-1] + np.array([0.35 * unit, 0], np.float32)])
    corner, cheek = (at - generator.follow(weights(mouthPucker=1.0), at, upper=False))[:, 0] / np.ptp(line[:, 0])
    assert corner == pytest.approx(0.17, abs=0.02) and 0 < cheek < 0.65 * corner


@pytest.mark.parametrize("jaw", [0.0, 0.1, 0.3])
def test_mouth_close_seals_the_lips(generator: FrameGenerator, jaw: float) -> None:
    sealed = gap(generator, jawOpen=jaw, mouthClose=1.0, mouthPress=0.2)
    assert sealed[4:-4].max() < 0.001 and np.abs(sealed).max() < 0.014
    half = gap(generator, jawOpen=0.3, mouthClose=0.5)[6:32].mean()
    assert half == pytest.approx(gap(generator, jawOpen=0.3)[6:32].mean() / 2, rel=0.15)


def test_lips_never_cross(generator: FrameGenerator) -> None:
    for named in ({"mouthShrugLower": 1.0}, {"mouthRollLower": 0.5, "mouthPress": 1.0}, {"mouthPucker": 1.0}):
        assert gap(generator, **named).min() > -0.012


def test_an_open_mouth_is_dark_inside(generator: FrameGenerator) -> None:
    motion = weights(jawOpen=0.45)
    upper, lower = generator.lips(motion)
    x, y = np.round(upper[19] + 0.85 * (lower[19] - upper[19])).astype(int)
    frame = generator.render(FaceMotion(motion, NO_TURN))
    assert frame[y, x].mean() < 0.75 * PHOTO[y, x].mean()


def test_expressions_leave_the_background_alone(generator: FrameGenerator) -> None:
    frame = generator.render(FaceMotion(weights(jawOpen=0.4, mouthSmile=0.5, browInnerUp=0.5), NO_TURN))
    for corner in (np.s_[:20, :20], np.s_[:20, -20:], np.s_[-12:, :12], np.s_[-12:, -12:]):
        np.testing.assert_array_equal(frame[corner], PHOTO[corner])


def test_a_turned_head_leaves_the_border_alone(generator: FrameGenerator) -> None:
    frame = moved(generator, {0: 0.14, 1: 0.1, 2: -0.1})
    for edge in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
        assert np.abs(frame[edge].astype(int) - PHOTO[edge]).max() <= 3


@pytest.mark.parametrize(
    ("head", "direction"), [({0: 0.1}, (1, 0)), ({1: 0.1}, (0, -1)), ({3: 0.1}, (1, 0)), ({4: 0.1}, (0, 1))]
)
def test_the_nose_goes_where_the_head_turns(
    generator: FrameGenerator, head: dict[int, float], direction: tuple[int, int]
) -> None:
    """Yaw to the right edge, pitch up, shift right and down: by looking for the nose's patch in the new picture."""
    x, y = np.round(POINTS[1]).astype(int)
    patch = PHOTO[y - 10 : y + 11, x - 10 : x + 11]
    area = moved(generator, head)[y - 40 : y + 41, x - 40 : x + 41]
    _, _, _, (column, row) = cv2.minMaxLoc(cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED))
    shift = np.array([column - 30, row - 30])
    assert shift @ direction > 2
    assert abs(shift @ direction[::-1]) <= 3


def test_lids_go_along_with_a_head_that_has_gone_far(generator: FrameGenerator) -> None:
    blink = weights(eyeBlinkLeft=1, eyeBlinkRight=1)
    unit = eye_distance(POINTS)
    here = generator.render(FaceMotion(blink, NO_TURN))
    far = generator.render(FaceMotion(blink, np.array([0, 0, 0, 0.3, 0, 0], np.float32)))
    for corner in (33, 263):
        x, y = np.round(POINTS[corner]).astype(int)
        lid = np.s_[y - 10 : y + 11, x - 10 : x + 11]
        moved = np.roll(far, -round(0.3 * unit), axis=1)
        assert cv2.matchTemplate(moved[lid], here[lid], cv2.TM_CCOEFF_NORMED).max() > 0.9


def test_follow_says_where_pixels_go(generator: FrameGenerator) -> None:
    chin = POINTS[[152]].astype(np.float32)
    jaw = generator.follow(weights(jawOpen=0.3), chin, upper=False) - chin
    assert jaw[0, 1] > 0.05 * eye_distance(POINTS)
    lip = POINTS[[0]].astype(np.float32)
    assert (generator.follow(weights(mouthUpperUp=0.5), lip, upper=True) - lip)[0, 1] < -1


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_finer_picture_holds_the_picture(scale: int) -> None:
    fine = finer(PHOTO, scale)
    np.testing.assert_array_equal(fine[::scale, ::scale], PHOTO)
    at = scale * node_positions(Box(0, 0, SIZE, SIZE), 1)
    np.testing.assert_array_equal(remap(fine, at), PHOTO)


def test_half_a_pixel_does_not_blur() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    at = 4 * (node_positions(Box(0, 0, 64, 64), 1) + np.float32(0.5))
    assert remap(finer(noise, 4), at)[8:-8, 8:-8].std() > 0.7 * noise.std()


def test_a_polygon_covers_its_area_softly() -> None:
    corners = np.array([[10.0, 10.0], [30.5, 10.0], [30.5, 25.25], [10.0, 25.25]])
    alpha = polygon_alpha(corners, (40, 40))
    assert alpha.sum() == pytest.approx(20.5 * 15.25, rel=0.03)
    assert alpha[17, 20] == 1 and alpha[35, 20] == 0 and 0.1 < alpha[17, 10] < 0.9


def test_nothing_is_covered_beyond_the_area_of_a_polygon() -> None:
    corners = np.array([[10.0, 10.0], [30.5, 12.0], [58.0, 25.25], [10.0, 39.9]])
    whole = polygon_alpha(corners, (42, 60), 1.3)
    rows, columns = polygon_area(corners, whole.shape, 1.3)
    cut = polygon_alpha(corners - (columns.start, rows.start), whole[rows, columns].shape, 1.3)
    np.testing.assert_array_equal(whole[rows, columns], cut)
    whole[rows, columns] = 0
    assert whole.max() == 0


def test_drawing_over_changes_only_what_is_covered() -> None:
    below, above = np.full((4, 4, 3), 40, np.uint8), np.full((4, 4, 3), 200, np.uint8)
    alpha = np.zeros((4, 4), np.float32)
    alpha[1], alpha[2] = 1, 0.5
    over(below, above, alpha)
    assert below[:, 0, 0].tolist() == [40, 200, 120, 40]


def test_enlarged_nodes_give_their_values_back() -> None:
    at = planes(node_positions(Box(0, 0, 32, 32), 2))
    inner = enlarge(at, 2)[:, 4:-4, 4:-4]
    np.testing.assert_allclose(inner, planes(node_positions(Box(0, 0, 64, 64), 1))[:, 4:-4, 4:-4], atol=1e-4)


def test_inverting_a_field_undoes_it() -> None:
    x, y = at = planes(node_positions(Box(0, 0, 64, 64), 1))
    field = np.stack([1.5 * np.sin(y / 10), 2 * np.cos(x / 12)])
    rest = at - invert(field, at, 12)
    inner = np.s_[:, 6:-6, 6:-6]
    np.testing.assert_allclose((rest + sample_planes(field, rest))[inner], at[inner], atol=0.01)


def planes(pairs: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(pairs, -1, 0))


@pytest.mark.parametrize("jaw", [0.35, 0.6, 0.9])
@pytest.mark.parametrize("rounding", [0.0, 0.8])
def test_lips_part_as_far_as_the_sound_asks_whatever_the_jaw_does(
    generator: FrameGenerator, jaw: float, rounding: float
) -> None:
    parts = []
    for lip_open in (0.15, 0.4, 0.7):
        upper, lower = generator.lips(weights_of(Gestures(jaw=jaw, lip_open=lip_open, rounding=rounding)))
        parted = (lower - upper) @ generator.identity.lip_down / generator.identity.unit_px
        parts.append(parted[6:-6].mean())
    assert parts == pytest.approx([LIPS_SPEECH * lip_open for lip_open in (0.15, 0.4, 0.7)], abs=0.02)
