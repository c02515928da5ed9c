"""What is added up and inverted only in part, in planes and in one map, against the plain way of doing it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from models.blendshapes import ARKIT_NAMES, FaceMotion
from models.head import Head
from models.identity_builder import build_identity
from models.layer import Layer
from models.opening import CLOSING_ROUNDS, LOWER_SHARE, Opening, closing_rounds
from models.warp import Box, finer, node_positions, sample_planes
from tests.synthetic_face import landmarks, model, picture, pose, weights

SIZE, STEP, SCALE = 256, 2, 2
POINTS = landmarks(pose(SIZE))
NODES = SIZE // STEP
EVERYTHING = Box(0, 0, NODES, NODES)
TALKING = {"jawOpen": 0.3, "mouthSmileLeft": 0.4, "mouthPucker": 0.3, "browInnerUp": 0.4, "mouthFrownRight": 0.3}
TURNED = FaceMotion(weights(), np.array([0.1, -0.06, 0.05, 0.03, -0.02, 0.02], np.float32), np.array([0.05, 0.02]))


@pytest.fixture(scope="module")
def identity():
    return build_identity(model(), picture(SIZE, POINTS), POINTS)


def texture(identity) -> np.ndarray:
    return finer(np.dstack([identity.base_texture, np.full((SIZE, SIZE), 255, np.uint8)]), SCALE)


def layer(identity, groups) -> Layer:
    box = Box(*identity.base_box.tolist())
    return Layer(texture(identity), identity.base_fields, groups, box, EVERYTHING, STEP, SCALE)


def plain(identity, strength: np.ndarray, shift: np.ndarray, rounds: int) -> np.ndarray:
    """A layer drawn from whole fields in pixels, whole pictures at a time."""
    box = Box(*identity.base_box.tolist())
    field = np.tensordot(strength, identity.base_fields.astype(np.float64), 1)
    shown = node_positions(EVERYTHING, STEP).astype(np.float64) - STEP * np.moveaxis(shift, 0, -1)
    rest = shown
    for _ in range(rounds):
        x, y = np.moveaxis((rest - (STEP - 1) / 2) / STEP - (box.left, box.top), -1, 0)
        rest = shown - np.stack([map_coordinates(field[..., i], (y, x), order=1, mode="nearest") for i in (0, 1)], -1)
    moved = cv2.resize(rest - node_positions(EVERYTHING, STEP), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    at = (SCALE * (moved + node_positions(Box(0, 0, SIZE, SIZE), 1))).astype(np.float32)
    return cv2.remap(texture(identity), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def differs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize("still", [True, False])
def test_a_layer_is_what_its_fields_say(identity, still: bool) -> None:
    strength = Opening(identity).with_closings(weights(**TALKING))
    head = Head(identity)
    shift = np.zeros((2, NODES, NODES), np.float32) if still else head.undone(head.field(TURNED))
    groups = [list(range(25)), list(range(25, 52)), list(range(52, len(strength)))]
    drawn = layer(identity, groups).draw(strength, shift, 4)
    difference = differs(drawn, plain(identity, strength, shift, 4))
    assert difference.max() <= 2 and (difference > 1).mean() < 1e-4


def test_groups_change_nothing(identity) -> None:
    strength = Opening(identity).with_closings(weights(jawOpen=0.3))
    shift = np.zeros((2, NODES, NODES), np.float32)
    count = len(strength)
    one = layer(identity, [list(range(count))]).draw(strength, shift, 4)
    many = layer(identity, [[i] for i in range(count)]).draw(strength, shift, 4)
    assert differs(one, many).max() <= 1


def test_a_turned_head_moves_each_node_as_its_depth_says(identity) -> None:
    """Against the rotation itself; and where a shown node came from, it goes to."""
    head = Head(identity)
    field = head.field(TURNED)
    yaw, pitch, roll, x, y, zoom = TURNED.head.tolist()
    step = SIZE // identity.depth_px.shape[0]
    nodes = node_positions(Box(0, 0, *identity.depth_px.shape), step)
    before = np.dstack([nodes - identity.centre_px, identity.depth_px]).astype(float)
    turned = before
    for axis, angle in ((1, yaw), (0, pitch), (2, roll)):
        turned = turned @ cv2.Rodrigues(np.eye(3)[axis] * angle)[0].T
    moved = np.exp(zoom) * turned[..., :2] - before[..., :2] + identity.unit_px * np.array([x, y])
    moved *= identity.hold[..., None]
    moved += identity.body[..., None] * TURNED.body * [1, -1] * identity.unit_px
    np.testing.assert_allclose(np.moveaxis(field, 0, -1), moved, atol=0.02)

    field *= 0.5  # as far as an idle head goes
    shift = head.undone(field)[:, 2::4, 2::4] * STEP
    came_from = np.moveaxis(node_positions(EVERYTHING, STEP)[2::4, 2::4], -1, 0) - shift
    again = sample_planes(field, ((came_from - (step - 1) / 2) / step).astype(np.float32))
    assert np.abs(shift).max() > 3
    np.testing.assert_allclose(again, shift, atol=0.2)


def test_closings_in_one_map_are_the_rounds_one_by_one(identity) -> None:
    gaps = (identity.lower_contour - identity.upper_contour)[len(ARKIT_NAMES) :] @ identity.lip_down
    left = first = np.random.default_rng(0).normal(size=len(identity.upper_line))
    closings, half = np.zeros(len(gaps)), len(gaps) // 2
    for _ in range(CLOSING_ROUNDS):
        needed = identity.closing @ left
        added = np.concatenate([-LOWER_SHARE * needed[:half], (1 - LOWER_SHARE) * needed[half:]])
        closings, left = closings + added, left + added @ gaps
    np.testing.assert_allclose(first @ closing_rounds(identity.closing, gaps), closings, rtol=1e-4, atol=1e-5)
