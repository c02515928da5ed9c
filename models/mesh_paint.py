"""Paints small lit meshes into pictures with transparency, for what is drawn once at enrolment.
Pure arithmetic on arrays; touches nothing.
Painter's algorithm: triangles facing the viewer, far ones first, at four times the resolution, then averaged.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

OVERSAMPLING = 4
LIGHT = np.array([0.0, 0.35, 0.94], np.float32)
"""Direction to the light in the viewer's frame: above the camera, as in most portraits."""

_FRACTION_BITS = 4


def vertex_normals(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """(V, 3) unit normals, triangles weighted by area; zero where no triangle is."""
    corners = vertices[triangles]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(area[:, k], 3), len(vertices)) for k in range(3)], axis=1
    )
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def paint(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], colours: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Premultiplied BGRA (h, w, 4) of a mesh.

    vertices: (V, 3) x, y in pixels of the picture (y down), z towards the viewer in the same unit. colours: (V, 3) BGR
    0..255. size: (h, w).
    """
    corners = vertices[triangles]
    first, second = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    front = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0  # y points down: this is counter-clockwise
    height, width = size
    low, high = corners[..., :2].min(1), corners[..., :2].max(1)
    front &= (high > 0).all(1) & (low < [width, height]).all(1)
    order = np.flatnonzero(front)[np.argsort(corners[front, :, 2].mean(1))]
    scale = OVERSAMPLING << _FRACTION_BITS
    shapes = np.round((corners[order, :, :2] + 0.5) * scale - (1 << _FRACTION_BITS) / 2).astype(np.int32)
    flat = colours[triangles[order]].mean(1).clip(0, 255)
    canvas = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING, 4), np.uint8)
    for shape, (b, g, r) in zip(shapes, flat.tolist(), strict=True):
        cv2.fillConvexPoly(canvas, shape, (b, g, r, 255), cv2.LINE_8, _FRACTION_BITS)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
