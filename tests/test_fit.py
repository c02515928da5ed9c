"""The fit finds again a head that is known, and lays every landmark's vertex on its landmark."""

from __future__ import annotations

import numpy as np
import pytest

from models.blendshapes import ARKIT_INDEX
from models.fit import eye_distance, fit_face, lip_side, spread
from tests.synthetic_face import landmarks, model, pose, weights


def person(seed: int) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(size=40), -2, 2).astype(np.float32)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (0.3, 0.1, -0.1), (-0.4, -0.15, 0.3)])
def test_pose_of_a_known_head_is_found(yaw: float, pitch: float, roll: float) -> None:
    true = pose(512, yaw, pitch, roll)
    fit = fit_face(model(), landmarks(true, person(1)))
    between = fit.pose.rotation @ true.rotation.T
    angle = np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))
    assert angle < 3.0
    assert fit.pose.scale_px == pytest.approx(true.scale_px, rel=0.05)
    np.testing.assert_allclose(fit.pose.rotation @ fit.pose.rotation.T, np.eye(3), atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_projected_vertices_lie_on_the_landmarks(seed: int) -> None:
    points = landmarks(pose(512, 0.2), person(seed), weights(mouthSmile=0.4))
    face = model()
    fit = fit_face(face, points)
    at = face.landmark_vertex
    shape = face.vertices(fit.identity, fit.expression)[at] + face.landmark_offset
    projected = face.project(shape, fit.pose)[0]
    on_landmarks = points[face.landmark_index]
    without = np.linalg.norm(projected - on_landmarks, axis=1).mean()
    snapped = np.linalg.norm(projected + fit.snap_px[at] - on_landmarks, axis=1).mean()
    assert without < 0.02 * eye_distance(points)
    assert snapped < min(0.006 * eye_distance(points), 0.6 * without)


def test_a_smile_and_an_open_jaw_are_told_from_identity() -> None:
    neutral = fit_face(model(), landmarks(pose(512), person(3))).expression
    moved = fit_face(model(), landmarks(pose(512), person(3), weights(mouthSmile=0.7, browInnerUp=0.8))).expression
    for name in ("mouthSmileLeft", "mouthSmileRight", "browInnerUp"):
        assert moved[ARKIT_INDEX[name]] > neutral[ARKIT_INDEX[name]] + 0.25
    assert (moved >= 0).all() and (moved <= 1).all()


def test_the_fit_does_not_depend_on_the_size_of_the_picture() -> None:
    points = landmarks(pose(512, 0.1), person(4))
    small, large = fit_face(model(), points), fit_face(model(), points * 3 + 100)
    np.testing.assert_allclose(large.identity, small.identity, atol=1e-3)
    np.testing.assert_allclose(large.snap_px, 3 * small.snap_px, atol=0.05)


def test_residuals_do_not_cross_the_mouth() -> None:
    face = model()
    side = lip_side(face)[face.landmark_vertex]
    residual = np.zeros((len(side), 2))
    residual[side == 1] = (0, -4)
    moved = spread(face, residual)
    ring = face.lip_rings[7]
    assert moved[ring[10:28], 1].max() < -2
    assert np.abs(moved[ring[47:65], 1]).max() < 2


def test_landmarks_that_are_no_face_are_refused() -> None:
    with pytest.raises(ValueError, match="do not span a face"):
        fit_face(model(), np.zeros((478, 2)))
    broken = landmarks(pose(512))
    broken[5] = np.nan
    with pytest.raises(ValueError, match="do not span a face"):
        fit_face(model(), broken)
