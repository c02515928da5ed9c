"""Motion as Live Link Face writes it: its columns, its times, ARKit's signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models import live_link
from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES, FaceMotion


def test_the_columns_are_those_of_the_app() -> None:
    assert live_link.COLUMNS[:5] == ("Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft")
    assert live_link.COLUMNS[16:20] == ("JawForward", "JawRight", "JawLeft", "JawOpen")
    assert live_link.COLUMNS[-10:] == (
        "TongueOut", "HeadYaw", "HeadPitch", "HeadRoll",
        "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
    )  # fmt: skip
    assert len(live_link.COLUMNS) == 63 and live_link.VALUES == 61


@pytest.mark.parametrize(
    ("index", "time"), [(0, "00:00:00:00.000"), (24, "00:00:00:24.000"), (25 * 3723 + 7, "01:02:03:07.000")]
)
def test_times_count_frames(index: int, time: str) -> None:
    assert live_link.timecode(index) == time


def test_a_row_has_every_weight_under_its_name() -> None:
    weights = np.linspace(0, 1, len(ARKIT_NAMES), dtype=np.float32)
    row = live_link.row(3, FaceMotion(weights, np.zeros(6, np.float32)))
    named = dict(zip(live_link.COLUMNS, row, strict=True))
    assert float(named["JawOpen"]) == pytest.approx(float(weights[ARKIT_INDEX["jawOpen"]]), abs=1e-6)
    assert named["BlendShapeCount"] == "61"


def test_angles_turn_about_arkits_axes() -> None:
    motion = FaceMotion.rest()
    motion.head[:3] = (0.1, 0.2, 0.3)  # nose to the picture's right, up; clockwise
    for name in ("eyeLookOutLeft", "eyeLookInRight", "eyeLookUpLeft", "eyeLookUpRight"):  # both look there too
        motion.weights[ARKIT_INDEX[name]] = 0.5
    yaw, pitch, roll, *eyes = live_link.angles(motion)
    assert (yaw, pitch, roll) == pytest.approx((0.1, -0.2, -0.3))
    left, right = eyes[:3], eyes[3:]
    assert left == pytest.approx(right)
    assert 0 < left[0] < math.radians(45) and left[1] < 0 and left[2] == 0
