"""The whole avatar: a batch is its sessions alone, a film equals the live path, the mouth follows the speech."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest

from models.avatar import Avatar, StepInput
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.rates import LOOK_AHEADS_MS, SPEECH_CHUNK, SPEECH_RATE, look_ahead_chunks
from models.style import Style
from models.training.corpus import read_sound

JAW = ARKIT_INDEX["jawOpen"]


class MotionPicture:
    """A stand-in for the generator: the "picture" is the motion itself, so that equality is exact and cheap."""

    def render(self, motion: FaceMotion) -> np.ndarray:
        return np.concatenate([motion.weights, motion.head])

    def begin(self, motion: FaceMotion, helper: Executor) -> Callable[[], np.ndarray]:
        return helper.submit(self.render, motion).result


@pytest.fixture(scope="module")
def avatar():
    return Avatar()


def buzz(seconds: float, seed: int) -> np.ndarray:
    """Speech-like sound: a voiced buzz with four syllables a second, cut to chunks (n, 640)."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * SPEECH_RATE)) / SPEECH_RATE
    pitch = 110 + 15 * np.sin(2 * np.pi * 0.7 * t + seed)
    voice = sum(np.sin(2 * np.pi * np.cumsum(pitch * k) / SPEECH_RATE) / k for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 4 * t + seed), 0, 1)
    sound = 0.1 * voice * syllables + 0.001 * rng.standard_normal(len(t))
    whole = len(t) // SPEECH_CHUNK * SPEECH_CHUNK
    return sound[:whole].astype(np.float32).reshape(-1, SPEECH_CHUNK)


def alone(avatar, chunks, seed, look_ahead_ms):
    state = avatar.initial_state(seed, look_ahead_ms)
    frames = []
    for chunk in chunks:
        (frame,), (state,) = avatar.step([StepInput(chunk, MotionPicture(), Style())], [state])
        frames.append(frame)
    return frames


def same(a, b):
    assert a.index == b.index
    np.testing.assert_allclose(a.picture, b.picture, atol=2e-5)


def test_a_batch_is_its_sessions_alone_whenever_they_start(avatar):
    sounds = [buzz(2, seed) for seed in range(3)]
    starts, look_aheads = [0, 7, 20], [0, 80, 200]
    states = {}
    frames = {row: [] for row in range(3)}
    for tick in range(70):
        rows = [row for row in range(3) if 0 <= tick - starts[row] < len(sounds[row])]
        for row in rows:
            states.setdefault(row, avatar.initial_state(row, look_aheads[row]))
        if rows:
            inputs = [StepInput(sounds[row][tick - starts[row]], MotionPicture(), Style()) for row in rows]
            done, after = avatar.step(inputs, [states[row] for row in rows])
            for row, frame, state in zip(rows, done, after, strict=True):
                frames[row].append(frame)
                states[row] = state
    for row in range(3):
        for mine, expected in zip(frames[row], alone(avatar, sounds[row], row, look_aheads[row]), strict=True):
            assert (mine is None) == (expected is None)
            if mine:
                same(mine, expected)


def test_pictures_drawn_side_by_side_are_the_same_pictures(avatar):
    parallel = Avatar(drawing_threads=3)
    chunks = [buzz(0.6, seed) for seed in range(4)]
    states = [[one.initial_state(seed, 40) for seed in range(4)] for one in (avatar, parallel)]
    for tick in range(len(chunks[0])):
        inputs = [StepInput(sound[tick], MotionPicture(), Style()) for sound in chunks]
        frames, states[0] = avatar.step(inputs, states[0])
        side_by_side, states[1] = parallel.step(inputs, states[1])
        for one, other in zip(frames, side_by_side, strict=True):
            assert (one is None) == (other is None)
            if one:
                assert one.index == other.index and (one.picture == other.picture).all()


@pytest.mark.parametrize("look_ahead_ms", LOOK_AHEADS_MS)
def test_frames_come_in_order_after_the_look_ahead(avatar, look_ahead_ms):
    frames = alone(avatar, buzz(0.6, 1), 0, look_ahead_ms)
    delay = look_ahead_chunks(look_ahead_ms)
    assert frames[:delay] == [None] * delay
    assert [frame.index for frame in frames[delay:]] == list(range(len(frames) - delay))


def test_the_mouth_is_shut_in_silence_and_opens_in_speech(avatar):
    silence = np.zeros((25, SPEECH_CHUNK), np.float32)
    frames = alone(avatar, np.concatenate([silence, buzz(2, 4), silence]), 0, 80)
    jaw = np.array([frame.motion.weights[ARKIT_INDEX["jawOpen"]] for frame in frames if frame])
    assert jaw[:23].max() < 0.02
    assert jaw[30:70].max() > 0.06
    assert jaw[-15:].max() < 0.02


def test_no_generator_gives_motion_without_a_picture(avatar):
    state = avatar.initial_state(0, 0)
    (frame,), _ = avatar.step([StepInput(np.zeros(SPEECH_CHUNK, np.float32), None, Style())], [state])
    assert frame.picture is None and frame.motion.weights.shape == (52,)


def test_the_seed_decides_the_blinks(avatar):
    silence, blink = np.zeros(SPEECH_CHUNK, np.float32), ARKIT_INDEX["eyeBlinkLeft"]
    states, blinks = [avatar.initial_state(seed, 0) for seed in (1, 1, 2)], []
    for _ in range(200):
        frames, states = avatar.step([StepInput(silence, None, Style())] * 3, states)
        blinks.append([frame.motion.weights[blink] for frame in frames])
    one, again, other = np.transpose(blinks)
    assert one.max() > 0.4 and np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_an_untrained_look_ahead_is_refused_in_words(avatar):
    with pytest.raises(ValueError, match="0, 40, 80, 200"):
        avatar.initial_state(0, 60)


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_what_is_not_a_number_leaves_no_trace(avatar, language):
    sound = read_sound(Path(__file__).parent / f"fixtures/speech_{language}.opus")
    chunks = sound[: 40 * SPEECH_CHUNK].reshape(-1, SPEECH_CHUNK)
    broken = chunks.copy()
    broken[10] = np.nan
    clean, hurt = alone(avatar, chunks, 0, 80), alone(avatar, broken, 0, 80)
    assert all(np.isfinite(frame.picture).all() for frame in hurt if frame)
    # 300 ms after the bad chunk the state has recovered.
    for a, b in zip(clean[22:], hurt[22:], strict=True):
        np.testing.assert_allclose(a.motion.weights, b.motion.weights, atol=0.12)


def test_a_frame_with_less_mouth_keeps_what_is_not_speech(avatar):
    frame = max(filter(None, alone(avatar, buzz(2, 1), 1, 80)), key=lambda frame: frame.motion.weights[JAW])
    assert frame.motion.weights[JAW] > 0.1
    silent, half, whole = (frame.with_mouth(strength) for strength in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(whole.weights, frame.motion.weights, atol=1e-6)
    np.testing.assert_allclose(silent.weights, np.clip(frame.idle.weights, 0, 1))
    np.testing.assert_allclose(half.weights, (silent.weights + whole.weights) / 2, atol=1e-6)
    assert half.head is frame.motion.head and half.body is frame.motion.body
