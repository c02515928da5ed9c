"""Fits the 3D face to the landmarks of one photo: who it is, how the head stands, what the face does.
Pure arithmetic on arrays; touches nothing.
Alternates pose (Gauss-Newton), identity (ridge) and expression (ridge in 0..1), then spreads the rest over the mesh.

Regularised least squares on landmarks as in Blanz & Vetter (SIGGRAPH 1999) and Cao et al. (FaceWarehouse, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_NAMES
from models.face_model import LIP_LEFT_CORNER, FaceModel, Pose

EYE_OUTER = (33, 263)
"""Outer eye corners among the 478 landmarks: the unit of length of a picture."""

FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148,
             176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
"""Outline of the face among the 478 landmarks."""

ROUNDS = 6
LANDMARK_SIGMA = 0.015
"""Expected landmark error in eye distances; neighbouring landmarks err together, so 478 count as 68."""
IDENTITY_RIDGE, EXPRESSION_RIDGE = 1.0, 6.0
SNAP_RADIUS_CM = 0.45

NOT_FITTED = ("cheekPuff", "mouthClose", "mouthRoll", "jawForward", "eyeLook", "tongueOut", "cheekSquint", "mouthPress")
"""Names (or beginnings) of shapes that landmarks cannot tell from identity or from each other."""


@dataclass(frozen=True, slots=True)
class FaceFit:
    """A head laid over a photo.

    identity: (K,) float32. expression: (52,) float32, the photo's own. snap_px: (V, 2) float32, added to every
    projection so that the landmarks' vertices lie on the landmarks.
    """

    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    pose: Pose
    snap_px: NDArray[np.float32]


def eye_distance(points: NDArray[np.floating]) -> float:
    """Pixels between the outer eye corners of 478 landmarks."""
    return float(np.hypot(*(points[EYE_OUTER[1]] - points[EYE_OUTER[0]])))


def fit_face(model: FaceModel, points: NDArray[np.floating]) -> FaceFit:
    """Fits `model` to 478 landmarks (478, 2) in pixels (about 0.1 s). Raises ValueError if they are degenerate."""
    target = np.asarray(points, np.float64)[model.landmark_index]
    unit = eye_distance(np.asarray(points))
    if not np.isfinite(target).all() or unit < 4:
        raise ValueError("the landmarks do not span a face")
    at = model.landmark_vertex
    neutral = (model.neutral[at] + model.landmark_offset).astype(np.float64)
    identity_basis = model.identity[:, at].astype(np.float64)
    fitted = [i for i, name in enumerate(ARKIT_NAMES) if not name.startswith(NOT_FITTED)]
    expression_basis = model.expression[fitted][:, at].astype(np.float64)
    weight = model.landmark_weight.astype(np.float64) * (68 / len(at)) / (LANDMARK_SIGMA * unit) ** 2

    identity: NDArray[np.floating] = np.zeros(len(identity_basis))
    expression = np.zeros(len(fitted))
    pose = _affine_pose(neutral, target, weight)
    for _ in range(ROUNDS):
        shape = neutral + np.tensordot(identity, identity_basis, 1) + np.tensordot(expression, expression_basis, 1)
        pose = _refined_pose(shape, target, weight, pose)
        flat = _camera(pose)
        rest = target - pose.translation_px - (neutral + np.tensordot(expression, expression_basis, 1)) @ flat.T
        a, b = _normal_equations(identity_basis @ flat.T, rest, weight)
        identity = np.linalg.solve(a + IDENTITY_RIDGE * np.eye(len(a)), b)
        rest = target - pose.translation_px - (neutral + np.tensordot(identity, identity_basis, 1)) @ flat.T
        a, b = _normal_equations(expression_basis @ flat.T, rest, weight)
        expression = _solve_in_box(a + EXPRESSION_RIDGE * np.eye(len(a)), b, expression)

    own = np.zeros(len(ARKIT_NAMES), np.float32)
    own[fitted] = expression
    shape = neutral + np.tensordot(identity, identity_basis, 1) + np.tensordot(expression, expression_basis, 1)
    residual = target - (shape @ _camera(pose).T + pose.translation_px)
    return FaceFit(identity.astype(np.float32), own, pose, spread(model, residual))


def spread(model: FaceModel, residual_px: NDArray[np.floating]) -> NDArray[np.float32]:
    """Landmark residuals (N, 2) carried to all vertices (V, 2): a Gaussian on the neutral head, the two lips apart."""
    out = np.zeros((len(model.neutral), 2), np.float32)
    face = model.parts["face"]
    vertices = model.neutral[face]
    side = lip_side(model)
    anchors, anchor_side = model.neutral[model.landmark_vertex], side[model.landmark_vertex]
    squared = (vertices**2).sum(1)[:, None] + (anchors**2).sum(1)[None] - 2 * vertices @ anchors.T
    near = np.exp(-0.5 * np.maximum(squared, 0) / SNAP_RADIUS_CM**2)
    near *= side[face][:, None] * anchor_side[None] >= 0
    total = near.sum(1, keepdims=True)
    out[face] = near @ residual_px.astype(np.float32) / (total + 0.05)
    return out


def lip_side(model: FaceModel) -> NDArray[np.int8]:
    """(V,) 1 for vertices of the upper lip, -1 of the lower lip, 0 elsewhere and in the two corners."""
    side = np.zeros(len(model.neutral), np.int8)
    side[model.lip_rings[:, 1:LIP_LEFT_CORNER]] = 1
    side[model.lip_rings[:, LIP_LEFT_CORNER + 1 :]] = -1
    return side


def _camera(pose: Pose) -> NDArray[np.float64]:
    """(2, 3) centimetres to pixels, without the translation."""
    return pose.rotation[:2].astype(np.float64) * np.array([[pose.scale_px], [-pose.scale_px]])


def _pose(camera: NDArray[np.float64], translation: NDArray[np.float64]) -> Pose:
    """The nearest scaled rotation to a (2, 3) camera."""
    flipped = camera * np.array([[1.0], [-1.0]])
    u, scales, vt = np.linalg.svd(flipped, full_matrices=False)
    top = u @ vt
    rotation = np.vstack([top, np.cross(top[0], top[1])])
    return Pose(rotation.astype(np.float32), float(scales.mean()), translation.astype(np.float32))


def _affine_pose(shape: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64]) -> Pose:
    """Least squares affine camera, made a scaled rotation."""
    root = np.sqrt(weight)[:, None]
    solved, *_ = np.linalg.lstsq(np.hstack([shape, np.ones((len(shape), 1))]) * root, target * root, rcond=None)
    return _pose(solved[:3].T, solved[3])


def _refined_pose(
    shape: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], pose: Pose, steps: int = 3
) -> Pose:
    """Gauss-Newton on rotation (as a small turn about the head's own axes), scale and translation."""
    root = np.repeat(np.sqrt(weight), 2)
    for _ in range(steps):
        camera = _camera(pose)
        residual = target - (shape @ camera.T + pose.translation_px)
        turns = [np.cross(axis, shape) @ camera.T for axis in np.eye(3)]
        columns = [*turns, shape @ camera.T, np.tile([1.0, 0.0], (len(shape), 1)), np.tile([0.0, 1.0], (len(shape), 1))]
        jacobian = np.stack([c.ravel() for c in columns], 1)
        step, *_ = np.linalg.lstsq(jacobian * root[:, None], residual.ravel() * root, rcond=None)
        x, y, z = step[:3]
        turned = camera @ (np.eye(3) + np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])) * (1 + step[3])
        pose = _pose(turned, pose.translation_px + step[4:])
    return pose


def _normal_equations(
    basis: NDArray[np.float64], rest: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """basis (K, N, 2), rest (N, 2), weight (N,) to the matrix (K, K) and right side (K,) of weighted least squares."""
    flat = basis.reshape(len(basis), -1)
    weighted = flat * np.repeat(weight, 2)
    return weighted @ flat.T, weighted @ rest.ravel()


def _solve_in_box(a: NDArray[np.float64], b: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """min ½ xᵀax - bᵀx with x in 0..1, by projected coordinate descent."""
    x = start.copy()
    for _ in range(25):
        for i in range(len(x)):
            x[i] = min(1.0, max(0.0, x[i] + (b[i] - a[i] @ x) / a[i, i]))
    return x
