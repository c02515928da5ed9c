"""The face detector and the landmark network on the avatars that ship, beside what their teacher says of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.landmarks import (
    LEFT_EYE_OUTER,
    POINTS,
    RIGHT_EYE_OUTER,
    LandmarkModel,
    PictureError,
    Region,
    cut,
    distinct,
    peaks,
)

AVATARS = Path(__file__).resolve().parent.parent / "models" / "avatars"
NAMES = sorted(folder.name for folder in AVATARS.iterdir() if folder.is_dir())
REFERENCE = Path(__file__).resolve().parent / "data" / "avatar_landmarks.npz"
"""(478, 2) px per avatar, from MediaPipe Face Landmarker."""
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 13, 14, 78, 308)


@pytest.fixture(scope="module")
def model() -> LandmarkModel:
    return LandmarkModel()


def photo(name: str) -> np.ndarray:
    picture = cv2.imread(str(AVATARS / name / "photo.jpg"))
    assert picture is not None
    return picture


def reference(name: str) -> np.ndarray:
    with np.load(REFERENCE) as stored:
        return stored[name].astype(np.float64)


def error(said: np.ndarray, true: np.ndarray) -> float:
    """Mean distance as a share of the outer-eye distance."""
    return float(np.hypot(*(said - true).T).mean() / np.hypot(*(true[LEFT_EYE_OUTER] - true[RIGHT_EYE_OUTER])))


@pytest.mark.parametrize("name", NAMES)
def test_an_avatar_has_one_face_where_the_teacher_sees_it(model, name):
    faces = model.find(photo(name))
    assert len(faces) == 1
    face, true = faces[0], reference(name)
    assert face.points.shape == (POINTS, 2) and face.points.dtype == np.float32
    assert 0.5 < face.score <= 1
    assert error(face.points, true) < 0.045
    lips = list(LIPS)
    eyes = np.hypot(*(true[LEFT_EYE_OUTER] - true[RIGHT_EYE_OUTER]))
    assert np.hypot(*(face.points[lips] - true[lips]).T).mean() / eyes < 0.045
    assert np.allclose(face.box, [*face.points.min(0), *face.points.max(0)])


@pytest.mark.parametrize("degrees", [-30, 25])
def test_points_turn_with_the_picture(model, degrees):
    picture, true = photo("mei"), reference("mei")
    matrix = cv2.getRotationMatrix2D((384, 384), degrees, 0.8)
    turned = cv2.warpAffine(picture, matrix, (768, 768), borderMode=cv2.BORDER_REPLICATE)
    (face,) = model.find(turned)
    assert error(face.points, true @ matrix[:, :2].T + matrix[:, 2]) < 0.05


@pytest.mark.parametrize("scale", [0.15, 3.0])
def test_points_grow_with_the_picture(model, scale):
    picture = cv2.resize(photo("kofi"), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (face,) = model.find(picture)
    assert error(face.points, reference("kofi") * scale) < 0.06


def test_monochrome_is_no_hindrance(model):
    grey = cv2.cvtColor(cv2.cvtColor(photo("elias"), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    (face,) = model.find(grey)
    assert error(face.points, reference("elias")) < 0.045


def test_a_mirrored_face_is_labelled_by_its_own_sides(model):
    (face,) = model.find(np.ascontiguousarray(photo("mei")[:, ::-1]))
    assert face.points[RIGHT_EYE_OUTER, 0] < face.points[LEFT_EYE_OUTER, 0]
    expected = 767 - reference("mei")[LEFT_EYE_OUTER, 0]
    assert abs(face.points[RIGHT_EYE_OUTER, 0] - expected) < 12


def test_several_faces_come_largest_first_and_no_more_than_asked(model):
    wall = np.full((768, 1200, 3), 150, np.uint8)
    wall[:, :700] = photo("kofi")[:, 34:734]
    wall[200:600, 750:1150] = cv2.resize(photo("mei"), (400, 400), interpolation=cv2.INTER_AREA)
    faces = model.find(wall)
    assert len(faces) == 2
    widths = [face.box[2] - face.box[0] for face in faces]
    assert widths[0] > widths[1]
    assert faces[0].box[2] < 700 < faces[1].box[0]
    assert len(model.find(wall, max_faces=1)) == 1


def test_a_small_face_in_a_wide_picture_is_found(model):
    wide = np.zeros((720, 1280, 3), np.uint8)
    wide[:] = np.linspace(90, 200, 1280, dtype=np.uint8)[None, :, None]
    wide[400:540, 900:1040] = cv2.resize(photo("mei"), (140, 140), interpolation=cv2.INTER_AREA)
    faces = model.find(wide)
    assert len(faces) == 1
    assert error(faces[0].points, reference("mei") * 140 / 768 + [900, 400]) < 0.08


def landscape() -> np.ndarray:
    y, x = np.mgrid[0:400, 0:600]
    sky = np.stack([255 - y / 3, 200 - y / 4, 140 - y / 5], -1)
    hill = (y > 250 + 40 * np.sin(x / 60))[:, :, None]
    return np.clip(np.where(hill, [60, 140, 80], sky), 0, 255).astype(np.uint8)


EMPTY = {
    "plain": np.full((300, 400, 3), 127, np.uint8),
    "black": np.zeros((64, 64, 3), np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8),
    "stripes": np.broadcast_to(((np.arange(500) // 20 % 2) * 255).astype(np.uint8)[None, :, None], (300, 500, 3)),
    "landscape": landscape(),
    "sweater": photo("kofi")[680:, :],
}


@pytest.mark.parametrize("kind", EMPTY)
def test_there_is_no_face_where_there_is_none(model, kind):
    assert model.find(np.ascontiguousarray(EMPTY[kind])) == []


def test_odd_pictures(model):
    assert model.find(np.zeros((1, 1, 3), np.uint8)) == []
    assert model.find(np.zeros((20, 5000, 3), np.uint8)) == []
    for wrong in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)):
        with pytest.raises(PictureError, match="colour picture"):
            model.find(wrong)


def test_the_same_picture_gives_the_same_answer(model):
    first, second = model.find(photo("iris")), model.find(photo("iris"))
    assert np.array_equal(first[0].points, second[0].points)


@pytest.mark.parametrize("size_px", [60.0, 700.0])
def test_a_cut_shows_what_its_region_says(size_px):
    """A bright dot lands in the crop where the region's own mapping puts it, shrunk or not."""
    picture, dot = np.zeros((900, 1000, 3), np.uint8), np.array([620.0, 450.0])
    cv2.circle(picture, (620, 450), max(2, int(size_px / 60)), (255, 255, 255), -1)
    region = Region(np.array([600.0, 430.0]), size_px, 0.4)
    crop = cut(picture, region, 128)[:, :, 0].astype(np.float64)
    y, x = np.mgrid[0:128, 0:128]
    seen = np.array([(crop * x).sum(), (crop * y).sum()]) / crop.sum()
    to_picture = region.to_picture(128)
    assert np.allclose(to_picture[:, :2] @ seen + to_picture[:, 2], dot, atol=size_px / 128 * 0.6)


def test_the_detector_is_read_the_way_it_was_taught():
    from models.training.landmarks_detector import targets

    taught = Region(np.array([43.0, 71.0]), 37.0, -0.5)
    want, _ = targets([taught])
    want[0] = np.log(np.clip(want[0], 1e-4, 1 - 1e-4) / (1 - np.clip(want[0], 1e-4, 1 - 1e-4)))
    ((_, read),) = peaks(want)
    assert np.allclose(read.centre, taught.centre, atol=1e-3)
    assert read.size_px == pytest.approx(taught.size_px) and read.roll == pytest.approx(taught.roll)


def test_of_candidates_on_one_face_the_surest_stays():
    here, near, far = (Region(np.array([x, 50.0]), 40.0, 0.0) for x in (50.0, 55.0, 120.0))
    assert distinct([(0.6, here), (0.9, near), (0.7, far)]) == [(0.9, near), (0.7, far)]


@pytest.mark.parametrize("name", NAMES)
def test_an_avatar_says_what_it_is(name):
    about = json.loads((AVATARS / name / "avatar.json").read_text())
    assert set(about) == {"title", "origin", "licence"} and all(about.values())
    height, width = photo(name).shape[:2]
    assert height == width >= 768


def test_avatars_are_many_and_light():
    assert len(NAMES) >= 4
    assert (AVATARS / "LICENSE-SFHQ").read_text().strip()
    assert sum(file.stat().st_size for file in AVATARS.rglob("*") if file.is_file()) < 3_000_000
