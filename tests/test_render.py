"""Films: as many frames as chunks of sound, both streams from zero, nothing half-written, equal to the live path."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

from models.avatar import Avatar, StepInput
from models.rates import LOOK_AHEADS_MS
from models.style import Style
from realtime import render
from realtime.direction import END, Cue
from realtime.dsp import Decimator
from realtime.errors import BadRequest, BadSound
from realtime.timebase import AUDIO_CHUNK
from tests.fakes import JAW, FakeAvatar
from tests.test_avatar import MotionPicture


class Blank:
    """A generator that draws a small flat picture, lighter the wider the jaw."""

    def render(self, motion):
        return np.full((64, 64, 3), 40 + int(200 * motion.weights.max()), np.uint8)


@pytest.fixture(scope="module")
def avatar():
    return Avatar()


def tone(chunks: int) -> np.ndarray:
    t = np.arange(chunks * AUDIO_CHUNK) / 48_000
    return (0.3 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.float32).reshape(chunks, -1)


@pytest.mark.parametrize("look_ahead_ms", LOOK_AHEADS_MS)
def test_a_film_has_a_frame_for_every_chunk(avatar, tmp_path, look_ahead_ms):
    out = tmp_path / "film.mp4"
    report = render.render(avatar, Blank(), tone(13), out, look_ahead_ms=look_ahead_ms)
    with av.open(str(out)) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p" and video.average_rate == 25
        times = [frame.time for frame in film.decode(video)]
    assert times == pytest.approx([i / 25 for i in range(13)])
    with av.open(str(out)) as film:
        first = next(film.decode(audio=0))
        heard = sum(frame.samples for frame in film.decode(audio=0)) + first.samples
    assert first.time == pytest.approx(0, abs=0.001)
    assert heard == pytest.approx(13 * AUDIO_CHUNK, abs=2048)
    assert report.frames == 13 and report.seconds == pytest.approx(0.52)
    assert {"encoder", "motion", "picture", "write"} <= report.stages_ms.keys()
    json.dumps(report.as_dict())
    assert list(tmp_path.iterdir()) == [out]


def test_a_film_equals_the_live_path(avatar):
    chunks = tone(30)
    moving = render.motion_frames(avatar, chunks, look_ahead_ms=80, seed=3)
    film = [frame.picture for _, frame in render.drawn(moving, MotionPicture(), threads=3)]
    state, decimator, live = avatar.initial_state(3, 80), Decimator(), []
    for chunk in [*chunks, *np.zeros((2, AUDIO_CHUNK), np.float32)]:
        (frame,), (state,) = avatar.step([StepInput(decimator.step(chunk), MotionPicture(), Style())], [state])
        if frame:
            live.append(frame.picture)
    np.testing.assert_array_equal(film, live)


@pytest.mark.parametrize("look_ahead_ms", LOOK_AHEADS_MS)
def test_a_cue_holds_from_the_frame_of_its_chunk_on(look_ahead_ms):
    cues = [(7, Cue({"mouth": 0.0})), (9, END)]
    chunks = np.full((12, AUDIO_CHUNK), 0.5, np.float32)
    frames = render.motion_frames(FakeAvatar(), chunks, look_ahead_ms=look_ahead_ms, cues=cues)
    assert [frame.motion.weights[JAW] > 0 for _, frame in frames] == [True] * 7 + [False] * 2 + [True] * 3


def test_each_frame_comes_with_its_own_sound(avatar):
    chunks = [np.full(AUDIO_CHUNK, i / 100, np.float32) for i in range(9)]
    pairs = render.motion_frames(avatar, chunks, look_ahead_ms=200)
    assert [(round(float(chunk[0]) * 100), frame.index) for chunk, frame in pairs] == [(i, i) for i in range(9)]


def test_a_sound_that_breaks_leaves_the_old_film(avatar, tmp_path):
    out = tmp_path / "film.mp4"
    out.write_bytes(b"the old film")

    def breaking():
        yield from tone(3)
        raise BadSound("cut off")

    with pytest.raises(BadSound):
        render.render(avatar, Blank(), breaking(), out, look_ahead_ms=0)
    assert out.read_bytes() == b"the old film"
    assert list(tmp_path.iterdir()) == [out]


def test_no_sound_and_no_folder_are_said_in_words(avatar, tmp_path):
    with pytest.raises(BadRequest, match="no sound"):
        render.render(avatar, Blank(), [], tmp_path / "film.mp4", look_ahead_ms=0)
    with pytest.raises(BadRequest, match="no folder"):
        render.render(avatar, Blank(), tone(1), tmp_path / "gone" / "film.mp4", look_ahead_ms=0)
    assert not list(tmp_path.iterdir())
