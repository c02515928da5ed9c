"""The 3D head: sizes, units, orientation, and that the pieces which others rely on are where they are said to be."""

import numpy as np
import pytest

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.face_model import LIP_LEFT_CORNER, FaceModel, Pose, lower_column


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def one(name: str) -> np.ndarray:
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    weights[ARKIT_INDEX[name]] = 1
    return weights


def test_parts_cover_the_mesh_in_order(model: FaceModel) -> None:
    ends = [0]
    for vertices in model.parts.values():
        assert vertices.start == ends[-1]
        ends.append(vertices.stop)
    assert ends[-1] == len(model.neutral)
    for name in ("face", "teeth_upper", "teeth_lower"):
        used = model.triangles[model.part_triangles[name]]
        assert model.parts[name].start <= used.min() and used.max() < model.parts[name].stop


def test_rest_is_the_neutral_head(model: FaceModel) -> None:
    assert np.array_equal(model.vertices(np.zeros(40), np.zeros(52)), model.neutral)


def test_every_expression_but_the_tongue_moves_the_face(model: FaceModel) -> None:
    travel = np.linalg.norm(model.expression[:, model.parts["face"]], axis=-1).max(1)
    still = [name for name, far in zip(ARKIT_NAMES, travel, strict=True) if far < 0.05]
    assert set(still) <= {"tongueOut"}
    assert travel.max() < 5


def test_left_shapes_move_the_left_side(model: FaceModel) -> None:
    x = model.neutral[model.parts["face"], 0]
    for name in ARKIT_NAMES:
        if name.endswith("Left") and name.startswith(("eye", "brow", "cheek", "nose")):
            travel = np.linalg.norm(model.expression[ARKIT_INDEX[name], model.parts["face"]], axis=-1)
            assert (travel * x).sum() > 0, name


def test_the_jaw_takes_the_lower_teeth_only(model: FaceModel) -> None:
    opened = model.vertices(np.zeros(40), one("jawOpen")) - model.neutral
    assert np.abs(opened[model.parts["teeth_upper"]]).max() < 0.01
    assert opened[model.parts["teeth_lower"], 1].mean() < -0.5


def test_lip_columns_face_each_other(model: FaceModel) -> None:
    ring = model.neutral[model.lip_rings[7]]
    columns = np.arange(1, LIP_LEFT_CORNER)
    place = lower_column(columns)
    lower = np.stack([np.interp(place, np.arange(75), np.append(ring[:, k], ring[0, k])) for k in range(3)], 1)
    assert np.abs(ring[columns] - lower).max() < 0.2
    assert ring[0, 0] < -2 and ring[LIP_LEFT_CORNER, 0] > 2
    mirror = (LIP_LEFT_CORNER - np.arange(74)) % 74
    assert np.abs(ring[mirror] * [-1, 1, 1] - ring).max() < 0.01
    outer = model.neutral[model.lip_rings[15]]
    assert (outer[10:28, 1] > ring[10:28, 1]).all()


def test_landmarks_lie_on_the_face(model: FaceModel) -> None:
    assert len(set(model.landmark_index.tolist())) == len(model.landmark_index) == len(model.landmark_vertex)
    assert model.landmark_vertex.max() < model.parts["face"].stop
    where = dict(zip(model.landmark_index.tolist(), model.neutral[model.landmark_vertex], strict=True))
    assert where[33][0] < 0 < where[263][0]  # outer eye corners: the subject's right one first
    assert where[1][2] > where[33][2] and where[152][1] < where[1][1] < where[10][1]
    assert np.abs(model.landmark_offset).max() < 1


def test_projection_turns_y_down_and_keeps_depth(model: FaceModel) -> None:
    pose = Pose(np.eye(3, dtype=np.float32), 10.0, np.array([100, 200], np.float32))
    points, depth = model.project(np.array([[1, 2, 3]], np.float32), pose)
    assert points.tolist() == [[110, 180]] and depth.tolist() == [3]
