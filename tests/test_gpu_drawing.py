"""The device's drawing makes the pictures of `FrameGenerator`, for any face and motion, alone or in a batch.

Proven on torch's CPU device; the same on CUDA where there is one.
"""

from __future__ import annotations

from dataclasses import replace
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
from models.gpu.atlas import Atlas, slot_bytes
from models.gpu.packing import DoesNotFit, pack, room_for
from models.gpu.renderer import draw, motion_row
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
def generator(name: str, size: int = 512) -> FrameGenerator:
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


def atlas_of(faces: list[FrameGenerator], device: str) -> Atlas:
    atlas = Atlas(room_for(faces[0]), len(faces), torch.device(device))
    for slot, face in enumerate(faces):
        atlas.put(slot, pack(face))
    return atlas


def drawn(atlas: Atlas, motions: list[FaceMotion], slots: list[int]) -> NDArray[np.uint8]:
    device, size = atlas.texels.device, atlas.room.size
    out = torch.empty((len(motions), size, size, 3), dtype=torch.uint8, device=device)
    rows = torch.from_numpy(np.stack([motion_row(motion) for motion in motions])).to(device)
    with torch.inference_mode():
        draw(atlas, rows, torch.tensor(slots, device=device), out)
    return out.cpu().numpy()


def assert_same(picture: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> None:
    difference = np.abs(picture.astype(int) - wanted)
    assert difference.mean() < MEAN
    assert (difference.max(2) <= WITHIN).mean() >= SHARE


@on_devices
@pytest.mark.parametrize("name", NAMES)
def test_any_motion_of_a_shipped_face_is_drawn_as_on_the_cpu(name: str, device: str) -> None:
    face, random = generator(name), np.random.default_rng(NAMES.index(name))
    motions = [random_motion(random) for _ in range(4)]
    pictures = drawn(atlas_of([face], device), motions, [0] * len(motions))
    for motion, picture in zip(motions, pictures, strict=True):
        wanted = face.render(motion)
        assert np.abs(wanted.astype(int) - face.identity.picture).mean() > 1  # it did move
        assert_same(picture, wanted)


@on_devices
@pytest.mark.parametrize("size", [1024, 256])
def test_other_sizes_are_drawn_as_on_the_cpu(size: int, device: str) -> None:
    face, random = generator("kofi", size), np.random.default_rng(size)
    for motion in (random_motion(random) for _ in range(2)):
        assert_same(drawn(atlas_of([face], device), [motion], [0])[0], face.render(motion))


@on_devices
def test_each_action_alone_is_drawn_as_on_the_cpu(device: str) -> None:
    face = generator("mei")
    motions = []
    for name, value in (("eyeBlinkLeft", 1.0), ("eyeLookOutRight", 0.6), ("eyeWideLeft", 0.7), ("eyeSquintRight", 0.6),
                        ("jawOpen", 0.4), ("mouthPucker", 0.7), ("mouthClose", 1.0)):  # fmt: skip
        motions.append(FaceMotion.rest())
        motions[-1].weights[ARKIT_INDEX[name]] = value
    for tongue in (0.1, 0.16, 0.28):
        motions.append(FaceMotion(weights_of(Gestures(jaw=0.6, lip_open=0.9)), np.zeros(6, np.float32)))
        motions[-1].weights[ARKIT_INDEX["tongueOut"]] = tongue
    pictures = drawn(atlas_of([face], device), motions, [0] * len(motions))
    for motion, picture in zip(motions, pictures, strict=True):
        assert_same(picture, face.render(motion))


@on_devices
def test_at_rest_the_device_draws_the_photo(device: str) -> None:
    face = generator("elias")
    assert_same(drawn(atlas_of([face], device), [FaceMotion.rest()], [0])[0], face.identity.picture)


@on_devices
def test_a_batch_of_faces_is_each_of_them_alone(device: str) -> None:
    faces, random = [generator(name) for name in ("iris", "freya", "kofi")], np.random.default_rng(3)
    atlas, slots = atlas_of(faces, device), [2, 0, 0, 1, 2]
    motions = [random_motion(random) for _ in slots]
    together = drawn(atlas, motions, slots)
    for motion, slot, picture in zip(motions, slots, together, strict=True):
        alone = drawn(atlas, [motion], [slot])[0]
        assert np.abs(alone.astype(int) - picture).max() <= 1


def test_a_slot_says_what_it_takes() -> None:
    face = generator("elias")
    atlas = Atlas(room_for(face), 2, torch.device("cpu"))
    held = sum(v.nbytes for v in vars(atlas).values() if isinstance(v, torch.Tensor))
    assert held == pytest.approx(2 * slot_bytes(atlas.room), rel=1e-3)
    assert slot_bytes(atlas.room) < 60_000_000


def test_a_face_without_mouth_does_not_fit() -> None:
    with pytest.raises(DoesNotFit):
        pack(FrameGenerator(replace(generator("elias").identity, mouth=None)))
