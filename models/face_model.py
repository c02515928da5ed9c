"""The 3D head that a photo is fitted to: shapes, expressions, mesh parts, landmarks and lip rings.
Reads one weight file (`face_model.npz`, reduced from the ICT-FaceKit light model by `models.training.face_model`).
A linear model: vertices = neutral + identity · a + expression · w, projected by scaled orthography.

Source: Li et al., "Learning Formation of Physically-Based Face Attributes" (CVPR 2020); ICT-FaceKit, MIT licence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import weights

WEIGHTS_NAME = "face_model.npz"
LIP_COLUMNS = 74
LIP_LEFT_CORNER = 40


@dataclass(frozen=True, slots=True)
class Pose:
    """Scaled orthography from head to picture; the picture's y points down.

    rotation: (3, 3) float32, head to viewer. scale_px: pixels per centimetre. translation_px: (2,) float32, the
    picture position of the head's origin.
    """

    rotation: NDArray[np.float32]
    scale_px: float
    translation_px: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceModel:
    """A reduced head. Units are centimetres, x to the subject's left, y up, z towards the viewer.

    neutral: (V, 3) float32. identity: (K, V, 3) float32, offsets of one standard deviation, strongest first.
    expression: (52, V, 3) float32, offsets at weight 1 in the order of `ARKIT_NAMES` (tongueOut is zero).
    triangles: (T, 3) int32, counter-clockwise as seen from outside.
    parts, part_triangles: the vertices and triangles of each mesh part, keys `face`, `head_and_neck`, `mouth_socket`,
    `gums_and_tongue`, `teeth_upper`, `teeth_lower`. Triangles of `head_and_neck` and `mouth_socket`
    share border vertices with `face`. The part `face` comes first and contains all landmarks and lip rings.
    landmark_index, landmark_vertex, landmark_weight: (N,), a point of the 478, its vertex, and how much it counts in a
    fit. landmark_offset: (N, 3) float32 cm, where the landmark lies off its vertex on the mean face (head frame).
    lip_rings: (16, 74) int32 vertices. Ring 0 is inside the mouth, 7 and 8 the lip line, 15 the edge of the red. Column
    0 is the subject's right corner, LIP_LEFT_CORNER the left one, between them the upper lip. The grid is mirror
    symmetric, with more columns above than below: upper column c faces the lower place `lower_column(c)`.
    """

    neutral: NDArray[np.float32]
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    triangles: NDArray[np.int32]
    parts: dict[str, slice]
    part_triangles: dict[str, slice]
    landmark_index: NDArray[np.int32]
    landmark_vertex: NDArray[np.int32]
    landmark_weight: NDArray[np.float32]
    landmark_offset: NDArray[np.float32]
    lip_rings: NDArray[np.int32]

    @staticmethod
    def load() -> FaceModel:
        """Reads the model (about 0.1 s). Raises weights.WeightsError if the file is missing or damaged."""
        return FaceModel.read(weights.path(WEIGHTS_NAME))

    @staticmethod
    def read(path: Path) -> FaceModel:
        """The same from any place."""
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = dict(file)
        names = [str(name) for name in arrays["part_names"]]
        return FaceModel(
            neutral=arrays["neutral"],
            identity=_offsets(arrays, "identity"),
            expression=_offsets(arrays, "expression"),
            triangles=arrays["triangles"].astype(np.int32),
            parts=_slices(names, arrays["part_vertices"]),
            part_triangles=_slices(names, arrays["part_triangles"]),
            landmark_index=arrays["landmark_index"].astype(np.int32),
            landmark_vertex=arrays["landmark_vertex"].astype(np.int32),
            landmark_weight=arrays["landmark_weight"],
            landmark_offset=arrays["landmark_offset"],
            lip_rings=arrays["lip_rings"].astype(np.int32),
        )

    def vertices(self, identity: NDArray[np.floating], expression: NDArray[np.floating]) -> NDArray[np.float32]:
        """(V, 3) of the head with identity (≤ K,) and expression weights (52,)."""
        count = len(identity)
        shape = np.asarray(identity, np.float32) @ self.identity[:count].reshape(count, -1)
        shape += np.asarray(expression, np.float32) @ self.expression.reshape(len(self.expression), -1)
        return self.neutral + shape.reshape(-1, 3)

    @staticmethod
    def project(vertices: NDArray[np.float32], pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(V, 3) cm to picture positions (V, 2) px and depth (V,) cm, which grows towards the viewer."""
        turned = vertices @ pose.rotation.T.astype(np.float32)
        flipped = turned[:, :2] * np.array([pose.scale_px, -pose.scale_px], np.float32)
        return flipped + pose.translation_px, turned[:, 2]


def lower_column(upper_column: NDArray[np.floating]) -> NDArray[np.float32]:
    """Fractional lower-lip columns (40 to 74; 74 is column 0 again) that face upper-lip columns 0 to 40 at rest."""
    return (LIP_COLUMNS - np.asarray(upper_column) * (LIP_COLUMNS - LIP_LEFT_CORNER) / LIP_LEFT_CORNER).astype(
        np.float32
    )


def _offsets(arrays: dict[str, Any], name: str) -> NDArray[np.float32]:
    """Undoes the quantisation of `models.training.face_model`: high and low byte planes, one step for all shapes."""
    planes = arrays[f"{name}_planes"]
    whole = (planes[0].astype(np.int8).astype(np.int16) << 8) | planes[1]
    return whole.astype(np.float32) * np.float32(arrays[f"{name}_step"])


def _slices(names: list[str], bounds: NDArray[np.integer]) -> dict[str, slice]:
    return {name: slice(int(first), int(end)) for name, (first, end) in zip(names, bounds, strict=True)}
