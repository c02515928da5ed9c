"""Eyes: nothing at rest, a closed eye hides the iris, patches join the photo, gaze goes where it should."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from models.blendshapes import ARKIT_INDEX
from models.eye_drawing import EyeDrawing
from models.eyes import ACTIONS, SIDES, Eyes, LivingEyes
from models.eyes_builder import LEFT_EYE, RIGHT_EYE
from tests import plain_eye

SKIN, WHITE, IRIS = (140, 170, 210), (225, 230, 235), (60, 40, 20)
CENTRES = {"Right": (190.0, 200.0), "Left": (320.0, 200.0)}


def eye_points(side: str) -> dict[int, tuple[float, float]]:
    x, y = CENTRES[side]
    names = RIGHT_EYE if side == "Right" else LEFT_EYE
    bow = np.sin(np.linspace(0, np.pi, 9))
    across = np.linspace(-28, 28, 9)
    out = {}
    for rim, height in (("upper", -13.0), ("lower", 9.0)):
        out |= {i: (x + dx, y + height * b) for i, dx, b in zip(names[rim], across, bow, strict=True)}
    offsets = [(0, 0), (9, 0), (0, -9), (-9, 0), (0, 9)]
    return out | {i: (x + dx, y + dy) for i, (dx, dy) in zip(names["iris"], offsets, strict=True)}


@pytest.fixture(scope="module")
def face() -> tuple[np.ndarray, np.ndarray]:
    """A drawn face with plain skin, and the points of its eyes."""
    points = np.zeros((478, 2), np.float32)
    photo = np.full((512, 512, 3), SKIN, np.uint8)
    for side, names in (("Right", RIGHT_EYE), ("Left", LEFT_EYE)):
        for index, place in eye_points(side).items():
            points[index] = place
        outline = points[list(names["upper"] + names["lower"][::-1])]
        opening = np.zeros(photo.shape[:2], np.uint8)
        cv2.fillPoly(opening, [np.round(outline).astype(np.int32)], 255)
        ball = np.full_like(photo, WHITE)
        cv2.circle(ball, tuple(int(v) for v in CENTRES[side]), 9, IRIS, -1)
        photo[opening > 0] = ball[opening > 0]
        cv2.polylines(photo, [np.round(outline[:9]).astype(np.int32)], False, (40, 40, 50), 2)
    return photo, points


@pytest.fixture(scope="module")
def eyes(face: tuple[np.ndarray, np.ndarray]) -> LivingEyes:
    return LivingEyes(Eyes.build(*face))


def weights(**values: float) -> np.ndarray:
    out = np.zeros(len(ARKIT_INDEX), np.float32)
    for name, value in values.items():
        out[ARKIT_INDEX[name]] = value
    return out


def shown(eyes: LivingEyes, photo: np.ndarray, **values: float) -> np.ndarray:
    picture = photo.copy()
    for (x0, y0, x1, y1), patch in eyes.render(weights(**values)):
        picture[y0:y1, x0:x1] = patch
    return picture


def iris_centre(picture: np.ndarray, side: str) -> np.ndarray:
    x, y = (int(v) for v in CENTRES[side])
    area = picture[y - 8 : y + 6, x - 24 : x + 24].astype(int).sum(2) < 330
    rows, columns = np.nonzero(area)
    return np.array([columns.mean() + x - 24, rows.mean() + y - 8])


def test_nothing_is_drawn_at_rest(eyes: LivingEyes) -> None:
    assert eyes.render(weights()) == []
    assert eyes.render(weights(jawOpen=0.3, browInnerUp=1)) == []


def test_one_eye_moves_alone(eyes: LivingEyes) -> None:
    assert [box[2] < 260 for box, _ in eyes.render(weights(eyeBlinkRight=1))] == [True]
    assert [box[0] > 250 for box, _ in eyes.render(weights(eyeBlinkLeft=1))] == [True]


def test_a_shut_eye_shows_skin_and_no_iris(eyes: LivingEyes, face: tuple[np.ndarray, np.ndarray]) -> None:
    picture = shown(eyes, face[0], eyeBlinkLeft=1, eyeBlinkRight=1)
    for x, y in CENTRES.values():
        lid = picture[int(y) - 8 : int(y) + 4, int(x) - 12 : int(x) + 12].astype(float)
        assert np.abs(lid - SKIN).mean() < 20
        assert (lid.sum(2) > 330).all()


def test_a_shut_lid_has_no_outline(eyes: LivingEyes, face: tuple[np.ndarray, np.ndarray]) -> None:
    """The photo's dark upper rim goes with the lid: from the brow down to the lashes there is skin alone."""
    picture = shown(eyes, face[0], eyeBlinkLeft=1, eyeBlinkRight=1).astype(float)
    for x, y in CENTRES.values():
        down = picture[int(y) - 24 : int(y) + 4, int(x) - 10 : int(x) + 10].mean((1, 2))
        assert np.ptp(down) < 25
        assert np.abs(np.diff(down)).max() < 8


def test_the_lid_comes_down_steadily(eyes: LivingEyes, face: tuple[np.ndarray, np.ndarray]) -> None:
    dark = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        picture = shown(eyes, face[0], eyeBlinkRight=share)
        dark.append(int((picture[188:205, 178:202].astype(int).sum(2) < 250).sum()))
    assert all(after <= before for before, after in pairwise(dark))
    assert dark[-1] < 0.1 * dark[0]


def test_a_small_blink_is_a_small_change(eyes: LivingEyes, face: tuple[np.ndarray, np.ndarray]) -> None:
    change = np.abs(shown(eyes, face[0], eyeBlinkRight=0.01).astype(int) - face[0]).mean()
    whole = np.abs(shown(eyes, face[0], eyeBlinkRight=1.0).astype(int) - face[0]).mean()
    assert change < 0.1 * whole


@pytest.mark.parametrize("action", ["eyeBlink", "eyeWide", "eyeSquint", "eyeLookUp", "eyeLookDown", "eyeLookIn"])
def test_patches_join_the_photo_without_a_seam(
    eyes: LivingEyes, face: tuple[np.ndarray, np.ndarray], action: str
) -> None:
    for (x0, y0, x1, y1), patch in eyes.render(weights(**{action + "Left": 1, action + "Right": 1})):
        photo = face[0][y0:y1, x0:x1].astype(int)
        difference = np.abs(patch - photo)
        assert difference[[0, -1]].max() <= 2 and difference[:, [0, -1]].max() <= 2


@pytest.mark.parametrize(
    ("side", "action", "axis", "sign"),
    [
        ("Right", "eyeLookOut", 0, -1),
        ("Right", "eyeLookIn", 0, 1),
        ("Left", "eyeLookOut", 0, 1),
        ("Left", "eyeLookIn", 0, -1),
        ("Left", "eyeLookUp", 1, -1),
        ("Right", "eyeLookDown", 1, 1),
    ],
)
def test_gaze_goes_the_right_way(
    eyes: LivingEyes, face: tuple[np.ndarray, np.ndarray], side: str, action: str, axis: int, sign: int
) -> None:
    before = iris_centre(face[0], side)
    after = iris_centre(shown(eyes, face[0], **{action + side: 0.5}), side)
    assert sign * (after - before)[axis] > 0.3


def test_arrays_round_trip(face: tuple[np.ndarray, np.ndarray]) -> None:
    eyes = Eyes.build(*face)
    again = Eyes.from_arrays(eyes.to_arrays())
    for (box, patch), (other_box, other) in zip(
        *(LivingEyes(one).render(weights(eyeBlinkLeft=0.4)) for one in (eyes, again)), strict=True
    ):
        assert box == other_box and np.array_equal(patch, other)


def test_eyes_at_the_border_of_a_picture_are_drawn(face: tuple[np.ndarray, np.ndarray]) -> None:
    photo, points = face
    corner = Eyes.build(photo[170:, 150:], points - [150, 170])
    for (x0, y0, x1, y1), patch in LivingEyes(corner).render(weights(eyeBlinkRight=1, eyeLookOutRight=1)):
        assert patch.shape == (y1 - y0, x1 - x0, 3) and min(x0, y0) >= 0


@pytest.mark.parametrize(
    "action",
    [
        {"eyeLookIn": 0.4, "eyeLookDown": 0.3},
        {"eyeLookOut": 1.0, "eyeLookUp": 0.6},
        {"eyeWide": 0.8, "eyeSquint": 0.5},
        {"eyeBlink": 0.05},
        {"eyeBlink": 0.45, "eyeLookIn": 0.2},
        {"eyeBlink": 1.0, "eyeSquint": 0.3},
    ],
)
def test_the_quick_eye_is_the_plain_one(face: tuple[np.ndarray, np.ndarray], action: dict[str, float]) -> None:
    for side, part in zip(SIDES, Eyes.build(*face).parts, strict=True):
        outwards = -1.0 if side == "Right" else 1.0
        whole = dict.fromkeys(ACTIONS, 0.0) | action
        quick, plain = EyeDrawing(part, outwards).draw(whole), plain_eye.draw(part, outwards, whole)
        assert np.abs(quick.astype(int) - plain).max() <= 2
        assert (np.abs(quick.astype(int) - plain) > 1).mean() < 0.002
