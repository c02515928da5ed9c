"""A head whose shape, pose and expression are known, as landmarks and as a picture: what the tests of the face share.
Reads the 3D face model.
The picture is smooth noise, tinted, with a dark line where the lips meet: enough to see where pixels go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX
from models.face_model import FaceModel, Pose
from models.lips import INNER_LOWER, INNER_UPPER

POINTS = 478


@cache
def model() -> FaceModel:
    return FaceModel.load()


def turned(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """(3, 3) rotation by angles in radians about the head's y, x and z axes."""
    matrix = np.eye(3)
    for axis, angle in ((1, yaw), (0, pitch), (2, roll)):
        step = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix.astype(np.float32)


def pose(size: int, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Pose:
    return Pose(turned(yaw, pitch, roll), size / 27, np.array([size / 2, 0.52 * size], np.float32))


def weights(**named: float) -> NDArray[np.float32]:
    """(52,) from names; `mouthSmile` stands for both sides."""
    out = np.zeros(len(ARKIT_INDEX), np.float32)
    for name, value in named.items():
        for full in (name, f"{name}Left", f"{name}Right"):
            if full in ARKIT_INDEX:
                out[ARKIT_INDEX[full]] = value
    return out


def landmarks(
    at: Pose,
    identity: NDArray[np.float32] | None = None,
    expression: NDArray[np.float32] | None = None,
    gap: float = 0.0,
) -> NDArray[np.float64]:
    """(478, 2) px; lips closed to a common line, or `gap` px apart."""
    face = model()
    shape = face.vertices(
        np.zeros(1) if identity is None else identity, weights() if expression is None else expression
    )
    on_face = shape[face.landmark_vertex] + face.landmark_offset
    points = np.zeros((POINTS, 2))
    points[:] = face.project(shape.mean(0, keepdims=True), at)[0]
    points[face.landmark_index] = face.project(on_face, at)[0]
    points[[78, 308]] = face.project(shape[face.lip_rings[7, [0, 37]]], at)[0]  # inner corners, without a pair
    upper, lower = points[list(INNER_UPPER)], points[list(INNER_LOWER)]
    middle = (upper + lower) / 2
    arch = np.sin(np.linspace(0, np.pi, len(middle)))[:, None] * [0, gap / 2]
    points[list(INNER_UPPER)], points[list(INNER_LOWER)] = middle - arch, middle + arch
    return points


def picture(size: int, points: NDArray[np.float64], seed: int = 0) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 BGR."""
    noise = np.random.default_rng(seed).normal(size=(size, size, 3)).astype(np.float32)
    image = cv2.GaussianBlur(noise, (0, 0), size / 128) * 150 + (110, 135, 180)
    image = np.clip(image, 60, 230).astype(np.uint8)
    line = (points[list(INNER_UPPER)] + points[list(INNER_LOWER)]) / 2
    cv2.polylines(image, [np.round(line).astype(np.int32)], False, (40, 30, 60), 2, cv2.LINE_AA)
    return image


@dataclass(frozen=True, slots=True)
class Found:
    points: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds what it is told to."""

    faces: Sequence[Found]

    def find(self, picture: NDArray[np.uint8]) -> Sequence[Found]:
        return self.faces
