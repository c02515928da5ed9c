"""Enrolment: what is taken from a photo, what is said about it, and that an identity survives its file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models import fields, identity_builder
from models.blendshapes import FaceMotion
from models.enroll import Enrolment, EnrolmentError, FaceTooSmallError, NoFaceError, enroll, framed, framing
from models.generator import FrameGenerator
from models.identity import FORMAT_VERSION, Identity, IdentityFileError
from models.quality import assess
from tests.synthetic_face import Finder, Found, landmarks, picture, pose, weights

PHOTO = 300
SIZE = 192


def photo_with(points: np.ndarray, faces: int = 1) -> tuple[np.ndarray, Finder]:
    smaller = [Found(points * 0.5) for _ in range(faces - 1)]
    return picture(PHOTO, points), Finder([*smaller, Found(points)])


@pytest.fixture(scope="module")
def enrolment() -> Enrolment:
    return enroll(*photo_with(landmarks(pose(PHOTO)), faces=2), size_px=SIZE)


def codes(result: Enrolment) -> dict[str, str]:
    return {note.code: note.severity for note in result.quality}


def test_the_avatar_has_the_asked_size(enrolment: Enrolment) -> None:
    assert enrolment.identity.picture.shape == (SIZE, SIZE, 3)


def test_an_identity_is_the_same_on_one_core_and_on_many(enrolment: Enrolment, monkeypatch: pytest.MonkeyPatch) -> None:
    here = fields.threads()
    for module in (fields, identity_builder):
        monkeypatch.setattr(module, "threads", lambda: 1 if here > 1 else 4)
    again = enroll(*photo_with(landmarks(pose(PHOTO)), faces=2), size_px=SIZE).identity
    for name in ("base_fields", "upper_fields", "base_texture", "lit_texture", "depth_px", "hold", "body"):
        np.testing.assert_array_equal(getattr(again, name), getattr(enrolment.identity, name))


def test_the_largest_of_several_faces_is_taken_and_said(enrolment: Enrolment) -> None:
    assert codes(enrolment)["several_faces"] == "hint"
    assert enrolment.identity.unit_px > 0.2 * SIZE


def test_every_note_is_a_sentence(enrolment: Enrolment) -> None:
    assert all(
        note.message.endswith(".") and note.severity in ("good", "hint", "warning") for note in enrolment.quality
    )


def test_a_photo_without_a_face_is_refused_in_words() -> None:
    with pytest.raises(NoFaceError, match="no face") as caught:
        enroll(picture(PHOTO, landmarks(pose(PHOTO))), Finder([]))
    assert caught.value.code == "no_face"


def test_a_tiny_face_is_refused_in_words() -> None:
    with pytest.raises(FaceTooSmallError, match="at least 64") as caught:
        enroll(*photo_with(landmarks(pose(PHOTO)) * 0.25))
    assert caught.value.code == "face_too_small"


@pytest.mark.parametrize("size", [100, 511, 2048])
def test_sizes_that_do_not_work_are_refused(size: int) -> None:
    with pytest.raises(EnrolmentError, match="even"):
        enroll(*photo_with(landmarks(pose(PHOTO))), size_px=size)


def test_a_turned_head_is_said() -> None:
    points = landmarks(pose(PHOTO, yaw=0.7))
    notes = assess(picture(PHOTO, points), points, pose(PHOTO, yaw=0.7), 0.0, 1)
    assert {note.code: note.severity for note in notes}["turned"] == "warning"


def test_blur_and_one_sided_light_are_said() -> None:
    points = landmarks(pose(PHOTO))
    good = picture(PHOTO, points)
    shade = np.clip(np.linspace(-2.4, 3.6, PHOTO), 0.2, 1)[None, :, None]
    bad = (cv2.GaussianBlur(good, (0, 0), 8) * shade).astype(np.uint8)
    found = {note.code for note in assess(bad, points, pose(PHOTO), 0.0, 1)}
    assert {"blurred", "harsh_light"} <= found
    sharp = {note.code for note in assess(good, points, pose(PHOTO), 0.0, 1)}
    assert not {"blurred", "harsh_light"} & sharp


def test_an_open_mouth_is_shut_and_said() -> None:
    result = enroll(*photo_with(landmarks(pose(PHOTO), gap=16)), size_px=SIZE)
    assert "mouth_open" in codes(result)
    np.testing.assert_array_equal(result.identity.upper_line, result.identity.lower_line)


@pytest.mark.parametrize("shift", [(0, 0), (-90, -40), (110, 60)])
def test_framing_stays_inside_a_large_photo(shift: tuple[int, int]) -> None:
    points = landmarks(pose(PHOTO)) + 300 + np.array(shift)
    frame = framing(points, (900, 900))
    assert frame.left >= 0 and frame.top >= 0 and max(frame.left, frame.top) + frame.side <= 900
    inside = (points - [frame.left, frame.top]) / frame.side
    assert inside.min() > 0 and inside.max() < 1


def test_a_photo_cut_close_is_continued_by_its_edge() -> None:
    points = landmarks(pose(PHOTO)) - [40, 60]
    tight = picture(PHOTO, points)[:200, :210]
    frame = framing(points, tight.shape[:2])
    assert framed(tight, frame, 128).shape == (128, 128, 3)


def test_an_identity_survives_its_file(enrolment: Enrolment, tmp_path: Path) -> None:
    enrolment.identity.save(tmp_path / "someone.npz")
    again = Identity.load(tmp_path / "someone.npz")
    motion = FaceMotion(weights(jawOpen=0.3, mouthSmile=0.2), np.full(6, 0.03, np.float32))
    drawn = FrameGenerator(enrolment.identity).render(motion)
    np.testing.assert_array_equal(FrameGenerator(again).render(motion), drawn)


def test_a_file_that_is_no_identity_is_refused_in_words(enrolment: Enrolment, tmp_path: Path) -> None:
    (tmp_path / "noise.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "old.npz", format_version=np.int32(0))
    np.savez(tmp_path / "part.npz", format_version=np.int32(FORMAT_VERSION))
    for name, words in (("noise", "not an avatar"), ("old", "another version"), ("part", "incomplete")):
        with pytest.raises(IdentityFileError, match=words):
            Identity.load(tmp_path / f"{name}.npz")
