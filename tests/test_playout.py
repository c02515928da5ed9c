"""Sound and picture of one index leave on time; a late picture is counted, never waited for."""

from __future__ import annotations

import asyncio
from itertools import cycle, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.hush import Hush
from realtime.media import MediaChunk, MediaEnded
from realtime.playout import FADE_SAMPLES, SOUND_LEAD, STALL_S, Action, Playout
from realtime.subscription import BOUND_CHUNKS, Subscription
from realtime.timebase import AUDIO_CHUNK, CHUNK_S, audio_pts, unwrap, video_pts

FIRST = np.zeros((2, 2, 3), np.uint8)


def sound(level: int) -> NDArray[np.int16]:
    return np.full(AUDIO_CHUNK, level, np.int16)


def picture(shade: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), shade, np.uint8)


def playout(look_ahead_chunks: int = 2, margin_s: float = 0.05, epoch: float = 100.0) -> Playout:
    return Playout(epoch, look_ahead_chunks, margin_s, FIRST)


def test_both_clocks_are_exact_multiples_of_the_index() -> None:
    assert (audio_pts(25), video_pts(25)) == (48_000, 90_000)


@given(near=st.integers(0, 2**40), step=st.integers(-(2**30), 2**30))
def test_unwrapping_finds_the_nearest(near: int, step: int) -> None:
    assert unwrap((near + step) % 2**32, near) == near + step


def test_a_chunk_is_due_its_look_ahead_and_the_margin_after_its_tick() -> None:
    timeline = playout(look_ahead_chunks=2, margin_s=0.05)
    assert timeline.take_at(10) == pytest.approx(100.4)
    assert timeline.due(10) == pytest.approx(100.4 + 0.08 + 0.05)


@given(look_ahead=st.integers(0, 5), margin_ms=st.integers(0, 200))
def test_actions_come_in_the_order_of_their_times(look_ahead: int, margin_ms: int) -> None:
    timeline, before, waiting = playout(look_ahead, margin_ms / 1000), 0.0, []
    for _ in range(60):
        at, action = timeline.next_action()
        assert at >= before
        before = at
        if action is Action.TAKE:
            timeline.put_sound(sound(timeline.next_take))
        else:
            chunk = timeline.release()
            assert chunk.audio[0] == chunk.index
        waiting.append(timeline.next_take - timeline.next_release)
    # The sound on its way is bounded by the delay.
    assert max(waiting) <= look_ahead + margin_ms // 40 + 2


def test_a_picture_in_time_leaves_with_its_sound() -> None:
    timeline = playout()
    timeline.put_sound(sound(7))
    timeline.put_picture(0, picture(7))
    chunk = timeline.release()
    assert chunk.picture is not None
    assert (chunk.index, chunk.audio[0], chunk.picture[0, 0, 0], timeline.late) == (0, 7, 7, 0)


def test_a_late_picture_repeats_the_last_and_is_shown_next() -> None:
    timeline = playout()
    for index in range(3):
        timeline.put_sound(sound(index))
    timeline.put_picture(0, picture(10))
    assert timeline.release().picture is not None
    assert timeline.release().picture is None
    timeline.put_picture(1, picture(11))
    shown = timeline.release().picture
    assert shown is not None and shown[0, 0, 0] == 11
    assert (timeline.late, timeline.released) == (2, 3)


def test_a_picture_older_than_the_one_shown_is_dropped() -> None:
    timeline = playout()
    for index in range(3):
        timeline.put_sound(sound(index))
    timeline.put_picture(1, picture(11))
    timeline.release(), timeline.release()
    timeline.put_picture(0, picture(10))
    assert timeline.release().picture is None


def test_before_the_first_picture_there_is_the_face_at_rest() -> None:
    timeline = playout()
    timeline.put_sound(sound(0))
    assert timeline.release().picture is FIRST


def test_a_stall_moves_the_timeline_and_is_counted() -> None:
    timeline = playout()
    assert timeline.re_anchor(timeline.take_at(0) + 0.99 * STALL_S) == 0.0
    assert timeline.re_anchor(timeline.take_at(0) + 5.0) == pytest.approx(5.0)
    assert (timeline.moved, timeline.next_action()[0]) == (1, pytest.approx(105.0))


def test_hushed_sound_fades_out_at_once_without_a_click() -> None:
    timeline = playout()
    for _ in range(3):
        timeline.put_sound(sound(10_000))
    timeline.hush()
    first, second = timeline.release().audio, timeline.release().audio
    assert first[0] == 10_000 and not first[FADE_SAMPLES:].any() and not second.any()
    assert np.abs(np.diff(first.astype(int))).max() < 100


@given(
    look_ahead=st.integers(0, 5),
    margin_ms=st.integers(0, 200),
    moves_s=st.lists(st.floats(-0.0004, 0.0004), min_size=1, max_size=12),
)
def test_each_sound_leaves_once_a_chunk_before_its_picture_or_as_soon_as_it_is_there(
    look_ahead: int, margin_ms: int, moves_s: list[float]
) -> None:
    timeline, out = playout(look_ahead, margin_ms / 1000), []
    for move_s in islice(cycle(moves_s), 80):
        at, action = timeline.next_action()
        if action is Action.TAKE:
            timeline.put_sound(sound(timeline.next_take))
        sounds = timeline.sounds_due(at)
        assert all(s.audio[0] == s.index for s in sounds)
        out += [s.index for s in sounds]
        assert out == list(range(len(out)))
        for s in sounds:
            wanted = max(timeline.take_at(s.index), timeline.due(s.index) - SOUND_LEAD * CHUNK_S)
            assert s.index == 0 or at == pytest.approx(wanted, abs=0.006)
        if action is Action.RELEASE:
            assert timeline.release().index <= out[-1]
        timeline.move(move_s)


def test_sound_that_is_out_already_is_not_hushed_and_what_follows_fades() -> None:
    timeline = playout()
    for _ in range(4):
        timeline.put_sound(sound(10_000))
    timeline.sounds_due(timeline.due(0))
    timeline.release()
    timeline.hush()
    (following,) = timeline.sounds_due(timeline.due(1))
    assert following.index == 2
    assert following.audio[0] == 10_000 and not following.audio[FADE_SAMPLES:].any()


def test_a_picture_that_is_taken_back_is_not_shown() -> None:
    timeline = playout()
    for index in range(2):
        timeline.put_sound(sound(index))
        timeline.put_picture(index, picture(index))
    timeline.take_back(1)
    timeline.release()
    assert timeline.release().picture is None


@given(index=st.integers(0, 50), early_ms=st.floats(0, 39.9))
def test_the_first_chunk_due_from_a_time_on(index: int, early_ms: float) -> None:
    timeline = playout()
    assert timeline.first_due(timeline.due(index) - early_ms / 1000) == index
    timeline.put_sound(sound(0))
    timeline.release()
    assert timeline.first_due(timeline.due(0) - 1.0) == 1


@pytest.mark.parametrize("look_ahead", [0, 1, 2, 5])
def test_an_interrupt_shuts_the_mouth_of_dropped_speech_only(look_ahead: int) -> None:
    hush, at = Hush(), 100
    assert all(hush.strength(frame) == 1.0 for frame in range(-5, 100))
    hush.begin(at - look_ahead, at)
    shut = [hush.strength(frame) for frame in range(at - look_ahead, at + 10)]
    assert shut[0] < 1.0 and all(strength == 0.0 for strength in shut[1:look_ahead])
    assert hush.strength(at + 2) == 1.0


def test_a_second_interrupt_does_not_open_the_mouth_in_between() -> None:
    hush = Hush()
    hush.begin(95, 100)
    hush.begin(96, 101)
    assert max(hush.strength(frame) for frame in range(96, 101)) == 0.0


# --- subscriptions ---


def chunk(index: int, shade: int | None) -> MediaChunk:
    return MediaChunk(index, sound(index), None if shade is None else picture(shade))


async def test_a_viewer_begins_with_the_newest_chunk_and_a_picture() -> None:
    viewer = Subscription((2, 2), picture(99), lambda _: None)
    for index in range(10):
        viewer.put_picture(chunk(index, None))
        viewer.put_sound(chunk(index, None))
    first = await viewer.next_video()
    assert first.index == 9 and first.picture is not None and first.picture[0, 0, 0] == 99
    assert (await viewer.next_audio()).index == 9


async def test_a_slow_viewer_loses_the_oldest_but_not_the_last_picture() -> None:
    viewer = Subscription((2, 2), None, lambda _: None)
    viewer.put_picture(chunk(0, 0))
    await viewer.next_video()
    for index in range(1, 10):
        viewer.put_picture(chunk(index, index if index < 4 else None))
    got = [await viewer.next_video() for _ in range(BOUND_CHUNKS)]
    assert [c.index for c in got] == [6, 7, 8, 9]
    assert got[0].picture is not None and got[0].picture[0, 0, 0] == 3
    assert viewer.dropped > 0


async def test_a_reader_that_waits_is_woken_by_media_and_by_the_end() -> None:
    closed: list[Subscription] = []
    viewer = Subscription((2, 2), None, closed.append)
    reading = asyncio.create_task(viewer.next_audio())
    await asyncio.sleep(0)
    viewer.put_sound(chunk(0, None))
    assert (await reading).index == 0
    reading = asyncio.create_task(viewer.next_audio())
    await asyncio.sleep(0)
    viewer.close()
    viewer.close()
    with pytest.raises(MediaEnded):
        await reading
    with pytest.raises(MediaEnded):
        await viewer.next_video()
    assert closed == [viewer]


async def test_a_reader_may_give_up_and_another_read_on() -> None:
    viewer = Subscription((2, 2), None, lambda _: None)
    reading = asyncio.create_task(viewer.next_audio())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    viewer.put_sound(chunk(5, None))
    assert (await viewer.next_audio()).index == 5


async def test_a_hush_silences_the_part_of_a_chunk_that_was_not_sent_yet() -> None:
    viewer = Subscription((2, 2), None, lambda _: None)
    viewer.put_sound(MediaChunk(0, sound(10_000), None))
    chunk_sent = await viewer.next_audio()
    viewer.put_sound(MediaChunk(1, sound(10_000), None))
    half = AUDIO_CHUNK // 2
    assert viewer.part(chunk_sent, 0, half).all()
    assert viewer.hush() and viewer.hush()
    rest = viewer.part(chunk_sent, half, AUDIO_CHUNK)
    assert rest[0] == 10_000 and not rest[FADE_SAMPLES:].any()
    assert not (await viewer.next_audio()).audio.any()


async def test_a_hush_between_two_chunks_fades_the_next_one() -> None:
    viewer = Subscription((2, 2), None, lambda _: None)
    viewer.put_sound(MediaChunk(0, sound(10_000), None))
    viewer.part(await viewer.next_audio(), 0, AUDIO_CHUNK)
    assert not viewer.hush()
    viewer.put_sound(MediaChunk(1, sound(10_000), None))
    assert viewer.hush()
    following = await viewer.next_audio()
    assert following.audio[0] == 10_000 and not following.audio[FADE_SAMPLES:].any()
    assert not viewer.part(following, AUDIO_CHUNK // 2, AUDIO_CHUNK).any()
    viewer.put_sound(MediaChunk(2, sound(10_000), None))
    assert viewer.part(await viewer.next_audio(), 0, AUDIO_CHUNK).all()
