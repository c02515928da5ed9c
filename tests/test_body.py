"""Neck and shoulders move, face and background stay; a still body leaves the photo as it is."""

from __future__ import annotations

import cv2
import numpy as np

from models.blendshapes import FaceMotion
from models.body import body_hold
from models.generator import FrameGenerator
from models.identity_builder import build_identity
from tests.synthetic_face import landmarks, model, picture, pose

SIDE, UNIT = 256, 72


def bust() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn person: picture, outline of the face, chin."""
    rng = np.random.default_rng(1)
    picture = np.full((SIDE, SIDE, 3), (190, 170, 150), np.uint8)
    cv2.ellipse(picture, (128, 300), (105, 110), 0, 0, 360, (60, 40, 120), -1)
    cv2.rectangle(picture, (108, 150), (148, 200), (120, 150, 200), -1)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    oval = np.stack([128 + 48 * np.cos(angle), 110 + 64 * np.sin(angle)], 1)
    cv2.fillPoly(picture, [oval.astype(np.int32)], (130, 160, 210))
    noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
    return noisy, oval, np.array([128.0, 174.0])


def test_shoulders_are_held_and_face_and_background_are_not() -> None:
    hold = body_hold(*bust(), UNIT, 64)
    assert hold.shape == (64, 64) and hold.min() >= 0 and hold.max() <= 1
    at = hold[[235 // 4, 110 // 4, 20 // 4, 215 // 4], [170 // 4, 128 // 4, 200 // 4, 8 // 4]]
    assert at[0] > 0.8, "the shoulder"
    assert np.all(at[1:] < 0.05), "face, background above, background beside"
    assert np.abs(np.diff(hold, axis=0)).max() < 0.5 and hold[-1].max() < 0.5, "soft, and still at the border"


def test_the_body_moves_below_the_face_only() -> None:
    points = landmarks(pose(SIDE))
    identity = build_identity(model(), picture(SIDE, points), points)
    generator = FrameGenerator(identity)
    still = generator.render(FaceMotion.rest())
    rest = FaceMotion.rest()
    moved = generator.render(FaceMotion(rest.weights, rest.head, np.array([0.05, 0.03], np.float32)))
    change = np.abs(moved.astype(int) - still).max(2)
    eyes = identity.upper_line.mean(0)[1] - 0.6 * identity.unit_px
    assert change[: int(eyes)].max() <= 12, "only the texture's rounding"
    assert np.mean(change[-40:] > 12) > 0
