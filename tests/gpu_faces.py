"""What the tests of the device's drawing share: shipped faces, random motions, how alike two pictures must be."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import models
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.enroll import enroll
from models.generator import FrameGenerator
from models.landmarks import LandmarkModel
from models.rig import Gestures, weights_of

AVATARS = Path(models.__file__).with_name("avatars")
NAMES = sorted(path.parent.name for path in AVATARS.glob("*/photo.jpg"))
CUDA = pytest.param(
    "cuda", marks=(pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))
)
on_devices = pytest.mark.parametrize("device", ["cpu", CUDA])

MEAN, WITHIN, SHARE = 0.1, 4, 0.9995
"""Most mean difference (0..255); least share of pixels whose channels all differ by at most WITHIN."""


@cache
def generator(name: str, size: int = 256) -> FrameGenerator:
    """A shipped face, in small pictures where their size does not matter."""
    photo = cv2.imread(str(AVATARS / name / "photo.jpg"))
    return FrameGenerator(enroll(np.asarray(photo, np.uint8), LandmarkModel("cpu"), size).identity)


def random_motion(random: np.random.Generator) -> FaceMotion:
    """Speech with its tongue, a smile, brows, lids half shut, eyes and head turned, the body breathing."""
    jaw, lips, rounding, spread, closure, labiodental, flare, tongue = random.random(8)
    closure, labiodental = float(closure > 0.8), float(labiodental > 0.8)
    weights = weights_of(Gestures(jaw, lips, rounding, spread, closure, labiodental, flare, tongue))
    for name, most in (
        *(("mouthSmile", 0.5), ("browInnerUp", 0.4), ("eyeBlink", 1.2), ("eyeSquint", 0.5), ("eyeWide", 0.4)),
        *(("eyeLookUp", 0.4), ("eyeLookDown", 0.4), ("eyeLookIn", 0.5), ("eyeLookOut", 0.5)),
    ):
        value = max(0.0, random.uniform(-most, most))
        for side in ("", "Left", "Right"):
            if name + side in ARKIT_INDEX:
                weights[ARKIT_INDEX[name + side]] = min(1.0, weights[ARKIT_INDEX[name + side]] + value)
    head = random.uniform(-1, 1, 6) * (0.14, 0.14, 0.1, 0.03, 0.03, 0.04)
    return FaceMotion(weights, head.astype(np.float32), random.uniform(-0.02, 0.02, 2).astype(np.float32))


def assert_same(picture: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> None:
    difference = np.abs(picture.astype(int) - wanted)
    assert difference.mean() < MEAN
    assert (difference.max(2) <= WITHIN).mean() >= SHARE
