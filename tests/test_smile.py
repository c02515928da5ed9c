"""Folds of a smile that has been taken back are filled; skin, stubble and lips are left."""

import cv2
import numpy as np

from models.smile import FOLDS, LIPS, soften_folds

SKIN, UNIT = (120, 150, 200), 150.0


def face() -> tuple[np.ndarray, np.ndarray]:
    """Skin with fine grain, two dark soft folds, red lips between them, and its landmarks."""
    points = np.full((478, 2), 256, np.float32)
    for side, fold in zip((-1, 1), FOLDS, strict=True):
        points[list(fold)] = [(256 + side * (26 + 9 * k), 230 + 16 * k) for k in range(5)]
    angle = np.linspace(np.pi, -np.pi, len(LIPS), endpoint=False)
    points[list(LIPS)] = np.stack([256 + 36 * np.cos(angle), 320 - 12 * np.sin(angle)], 1)
    picture = np.full((512, 512, 3), SKIN, np.float32)
    dark = np.zeros((512, 512), np.uint8)
    for fold in FOLDS:
        cv2.polylines(dark, [points[list(fold)].astype(np.int32)], False, 255, 3)
    picture *= 1 - 0.5 * cv2.GaussianBlur(dark, (0, 0), 3)[..., None].astype(np.float32) / 255
    picture += np.random.default_rng(0).normal(0, 6, (512, 512, 1))
    picture = picture.clip(0, 255).astype(np.uint8)
    cv2.fillPoly(picture, [points[list(LIPS)].astype(np.int32)], (90, 80, 190))
    return picture, points


def depth(picture: np.ndarray, points: np.ndarray) -> float:
    """How much darker than the skin the folds are, grain averaged out."""
    soft = cv2.GaussianBlur(picture, (0, 0), 2).mean(2)
    x, y = points[list(FOLDS[0])].mean(0).astype(int)
    return float(np.mean(SKIN) - soft[y - 3 : y + 4, x - 3 : x + 4].mean())


def test_folds_are_filled_by_how_much_was_smiled() -> None:
    picture, points = face()
    before, half, whole = (depth(soften_folds(picture, points, UNIT, share), points) for share in (0.0, 0.5, 1.0))
    assert before > half > whole and whole < 0.7 * before


def test_grain_lips_and_far_skin_stay() -> None:
    picture, points = face()
    after = soften_folds(picture, points, UNIT, 1.0)
    assert np.array_equal(after[400:], picture[400:]) and np.array_equal(after[:180], picture[:180])
    assert np.abs(after[312:328, 240:272].astype(int) - picture[312:328, 240:272]).max() <= 2
    x, y = points[list(FOLDS[0])].mean(0).astype(int)
    grain = [
        float((p[y - 8 : y + 8, x - 8 : x + 8].astype(float) - cv2.blur(p, (5, 5))[y - 8 : y + 8, x - 8 : x + 8]).std())
        for p in (picture, after)
    ]
    assert grain[1] > 0.85 * grain[0]


def test_a_face_that_does_not_smile_is_left_alone() -> None:
    picture, points = face()
    assert soften_folds(picture, points, UNIT, 0.0) is picture
