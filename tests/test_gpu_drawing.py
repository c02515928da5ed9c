"""The device's drawing makes the pictures of `FrameGenerator`, for any face and motion, alone or in a batch.

Proven on torch's CPU device; the same on CUDA where there is one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.generator import FrameGenerator
from models.gpu.atlas import Atlas, slot_bytes
from models.gpu.layout import Room
from models.gpu.packing import misfit, pack, room_for
from models.gpu.renderer import MOTION, draw, motion_row
from models.rig import Gestures, weights_of
from tests.gpu_faces import NAMES, assert_same, generator, on_devices, random_motion


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
@pytest.mark.parametrize("size", [1024, 512])
def test_other_sizes_are_drawn_as_on_the_cpu(size: int, device: str) -> None:
    face, random = generator("kofi", size), np.random.default_rng(size)
    for motion in (random_motion(random) for _ in range(2)):
        assert_same(drawn(atlas_of([face], device), [motion], [0])[0], face.render(motion))


@on_devices
def test_each_action_alone_is_drawn_as_on_the_cpu(device: str) -> None:
    face = generator("mei", 512)
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


def test_nothing_waits_for_the_device_or_lies_elsewhere() -> None:
    # The meta device has shapes and no values: whatever reads one, or comes from another device, raises.
    device = torch.device("meta")
    atlas = Atlas(Room(512, 2, 4), 2, device)
    motion, slot = torch.zeros((3, MOTION), device=device), torch.zeros(3, dtype=torch.int64, device=device)
    draw(atlas, motion, slot, torch.empty((3, 512, 512, 3), dtype=torch.uint8, device=device))


def test_a_slot_says_what_it_takes() -> None:
    face = generator("kofi", 512)
    atlas = Atlas(room_for(face), 2, torch.device("cpu"))
    held = sum(v.nbytes for v in vars(atlas).values() if isinstance(v, torch.Tensor))
    assert held == pytest.approx(2 * slot_bytes(atlas.room), rel=1e-3)
    assert slot_bytes(atlas.room) < 60_000_000


def test_a_misfit_is_told_and_not_packed() -> None:
    face = generator("elias")
    assert misfit(face) is None
    unready = FrameGenerator(replace(face.identity, mouth=None))
    assert misfit(unready)
    with pytest.raises(ValueError, match="mouth"):
        pack(unready)
