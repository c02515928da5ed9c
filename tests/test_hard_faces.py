"""Faces that are hard to animate become avatars all the same, and the report says what is hard about them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.enroll import Enrolment, enroll
from models.generator import FrameGenerator
from models.landmarks import LandmarkModel
from tests.gpu_faces import generator

FACES = Path(__file__).resolve().parents[1] / "bench" / "faces"
SAID = {
    "side_light": "harsh_light",
    "smile": "mouth_open",
    "three_quarter": "turned",
    "beard": "good",
    "painting": "good",
}


@pytest.fixture(scope="module")
def finder() -> LandmarkModel:
    return LandmarkModel("cpu")


def enrolled(name: str, finder: LandmarkModel) -> Enrolment:
    photo = cv2.imread(str(FACES / f"{name}.jpg"))
    return enroll(np.asarray(photo, np.uint8), finder, 256)


@pytest.mark.parametrize("name", list(SAID))
def test_a_hard_face_is_enrolled_and_opens_and_shuts_its_mouth(name: str, finder: LandmarkModel) -> None:
    made = enrolled(name, finder)
    assert SAID[name] in {note.code for note in made.quality}
    generator = FrameGenerator(made.identity)
    weights = np.zeros(len(ARKIT_INDEX), np.float32)
    weights[ARKIT_INDEX["jawOpen"]] = 0.3

    def gap() -> float:
        upper, lower = generator.lips(weights)
        return float(((lower - upper) @ made.identity.lip_down)[6:32].mean() / made.identity.unit_px)

    assert 0.07 < gap() < 0.2
    weights[ARKIT_INDEX["mouthClose"]] = 1
    assert abs(gap()) < 0.012
    frame = generator.render(FaceMotion(weights, np.zeros(6, np.float32)))
    assert frame.shape == (256, 256, 3)


def test_a_face_speaks_at_1024_pixels() -> None:
    face = generator("kofi", 1024)
    weights = np.zeros(len(ARKIT_INDEX), np.float32)
    weights[ARKIT_INDEX["jawOpen"]] = 0.3
    frame = face.render(FaceMotion(weights, np.full(6, 0.02, np.float32)))
    assert frame.shape == (1024, 1024, 3)
    x, y = face.identity.upper_line.mean(0).astype(int)
    assert frame[y + 4 : y + 60, x - 60 : x + 60].min() < 60  # the mouth is open
