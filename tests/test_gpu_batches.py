"""Batches on the device: sizes made ready, faces that come and go, whatever a step brings."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.avatar import Avatar, StepInput
from models.blendshapes import FaceMotion
from models.generator import FrameGenerator
from models.gpu.atlas import Atlas, slot_bytes
from models.gpu.drawing import Drawing
from models.gpu.packing import pack, room_for
from models.gpu.program import Program
from models.gpu.renderer import motion_row
from models.gpu.slots import Slots
from models.rates import SPEECH_CHUNK
from models.style import Style
from tests.gpu_faces import assert_same, generator, on_devices, random_motion


class Face:
    """Something that can be held weakly."""


def test_a_face_keeps_its_slot_and_the_least_recently_drawn_makes_room() -> None:
    slots: Slots[Face] = Slots(2)
    one, two, three = Face(), Face(), Face()
    assert slots.place([one, two, one]) == ([0, 1, 0], {0: one, 1: two})
    assert slots.place([one]) == ([0], {})
    assert slots.place([three]) == ([1], {1: three})
    assert slots.place([one, three]) == ([0, 1], {})


def test_faces_of_one_batch_do_not_put_each_other_out() -> None:
    slots: Slots[Face] = Slots(2)
    one, two, three = Face(), Face(), Face()
    slots.place([one, two])
    found, fresh = slots.place([three, one])
    assert found == [1, 0] and fresh == {1: three}
    with pytest.raises(ValueError, match="3 faces"):
        slots.place([one, two, three])


def test_a_face_that_nobody_keeps_makes_room_first() -> None:
    slots: Slots[Face] = Slots(2)
    old, gone = Face(), Face()
    slots.place([old])
    slots.place([gone])
    del gone
    gc.collect()
    assert slots.place([Face()])[0] == [1]


@on_devices
def test_a_batch_between_two_sizes_is_filled_up(device: str) -> None:
    face, random = generator("iris"), np.random.default_rng(5)
    atlas = Atlas(room_for(face), 1, torch.device(device))
    atlas.put(0, pack(face))
    program = Program(atlas, (1, 2, 4))
    motions = [random_motion(random) for _ in range(4)]
    rows = np.stack([motion_row(motion) for motion in motions])
    first = program.run(rows[:3], [0, 0, 0])
    kept = [picture.copy() for picture in first]
    second = program.run(rows[3:], [0])
    for motion, picture in zip(motions, first + second, strict=True):
        assert_same(picture, face.render(motion))
    np.testing.assert_array_equal(first, kept)  # a picture is its own, whatever is drawn after it


@on_devices
def test_a_program_repeats_itself(device: str) -> None:
    face, motion = generator("iris"), random_motion(np.random.default_rng(8))
    atlas = Atlas(room_for(face), 1, torch.device(device))
    atlas.put(0, pack(face))
    program = Program(atlas, (1, 2))
    assert program.graphs == ([] if device == "cpu" else [1, 2])
    once = program.run(motion_row(motion)[None], [0])[0]
    program.run(motion_row(FaceMotion.rest())[None], [0])
    np.testing.assert_array_equal(program.run(motion_row(motion)[None], [0])[0], once)


@on_devices
def test_a_step_of_many_faces_and_sizes_with_little_room(device: str) -> None:
    faces = [generator("iris"), generator("freya"), generator("kofi", 128), generator("kofi")]
    random = np.random.default_rng(9)
    drawing = Drawing(device, bound_bytes=2 * slot_bytes(room_for(faces[0])), most_rows=2)
    for _ in range(2):
        rows = [(face, random_motion(random)) for face in (*faces, faces[0])]
        for (face, motion), picture in zip(rows, drawing.render(rows), strict=True):
            assert_same(picture, face.render(motion))


@on_devices
def test_a_face_made_ready_is_not_brought_again(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    face, motion = generator("iris"), random_motion(np.random.default_rng(6))
    drawing = Drawing(device, bound_bytes=0, most_rows=1)
    drawing.prepare(face)
    monkeypatch.delattr("models.gpu.drawing.pack")
    assert_same(drawing.render([(face, motion)])[0], face.render(motion))


def test_rest_and_faces_that_do_not_fit_are_drawn_as_ever() -> None:
    face, motion = generator("elias"), random_motion(np.random.default_rng(1))
    unready = FrameGenerator(replace(face.identity, eyes=None))
    drawing = Drawing("cpu", bound_bytes=0)
    rest, drawn, other = drawing.render([(face, FaceMotion.rest()), (face, motion), (unready, motion)])
    np.testing.assert_array_equal(rest, face.identity.picture)
    assert_same(drawn, face.render(motion))
    np.testing.assert_array_equal(other, unready.render(motion))


@on_devices
def test_an_avatar_whose_device_draws_makes_the_pictures_of_one_that_draws_itself(device: str) -> None:
    faces = [generator("iris"), generator("freya"), generator("iris")]
    avatars = Avatar(), Avatar(drawing=Drawing(device, bound_bytes=0))
    states = [[avatar.initial_state(seed, 0) for seed in range(len(faces))] for avatar in avatars]
    random = np.random.default_rng(4)
    for _ in range(3):
        chunks = 0.3 * random.standard_normal((len(faces), SPEECH_CHUNK)).astype(np.float32)
        inputs = [StepInput(chunk, face, Style()) for chunk, face in zip(chunks, faces, strict=True)]
        (wanted, states[0]), (frames, states[1]) = (
            avatar.step(inputs, own) for avatar, own in zip(avatars, states, strict=True)
        )
        for frame, other in zip(frames, wanted, strict=True):
            assert frame and other and frame.picture is not None and other.picture is not None
            assert_same(frame.picture, other.picture)
