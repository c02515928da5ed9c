"""Whatever comes in, exactly one chunk goes out a tick: in order, put right in time, with bounded latency."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.direction import END, Cue
from realtime.dsp import DECIMATION, TAPS, Decimator, to_int16
from realtime.errors import TooMuchWaiting
from realtime.inbox import Inbox, Origin
from realtime.microphone import MicrophoneQueue
from realtime.speech_queue import SpeechQueue
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE

PACKET = AUDIO_RATE // 50
LOUD = 8_000


def ramp(first: int, count: int) -> NDArray[np.int16]:
    """Samples that tell where they are from; never silent."""
    return ((np.arange(first, first + count) % 20_000) + 1_000).astype(np.int16)


def drained(queue: MicrophoneQueue, ticks: int) -> NDArray[np.int16]:
    taken = [queue.take() for _ in range(ticks)]
    return np.concatenate([chunk[0] for chunk in taken if chunk] or [np.zeros(0, np.int16)])


# --- the decimator ---


@given(cuts=st.lists(st.integers(1, 400), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_decimating_in_pieces_equals_all_at_once(cuts: list[int]) -> None:
    sound = np.random.default_rng(0).standard_normal(sum(cuts) * DECIMATION).astype(np.float32)
    decimator, at, pieces = Decimator(), 0, []
    for cut in cuts:
        pieces.append(decimator.step(sound[at : at + cut * DECIMATION]))
        at += cut * DECIMATION
    np.testing.assert_allclose(np.concatenate(pieces), Decimator().step(sound), atol=1e-6)


@pytest.mark.parametrize(("hz", "least", "most"), [(100, 0.99, 1.01), (4_000, 0.97, 1.03), (12_000, 0.0, 1e-3)])
def test_the_decimator_keeps_speech_and_stops_aliases(hz: float, least: float, most: float) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(AUDIO_RATE) / AUDIO_RATE).astype(np.float32)
    heard = Decimator().step(tone)[TAPS:]
    assert least <= np.sqrt(2 * np.mean(heard**2)) <= most


def test_samples_that_are_no_numbers_become_silence() -> None:
    assert to_int16(np.array([np.nan, np.inf, -np.inf, 2.0, 0.5], np.float32)).tolist() == [
        0, 32767, -32767, 32767, 16383,
    ]  # fmt: skip


# --- the microphone ---


def test_sound_in_order_comes_out_as_it_went_in() -> None:
    queue = MicrophoneQueue(bound_ms=400)
    for i in range(10):
        queue.push(ramp(i * PACKET, PACKET), i * PACKET, now=i * 0.02)
    np.testing.assert_array_equal(drained(queue, 5), ramp(0, 10 * PACKET))


def test_the_time_of_a_chunk_is_when_its_last_sample_came() -> None:
    queue = MicrophoneQueue(bound_ms=400)
    for i in range(4):
        queue.push(ramp(0, PACKET), i * PACKET, now=float(i))
    chunks = [queue.take(), queue.take()]
    assert [chunk[1] for chunk in chunks if chunk] == [1.0, 3.0]


def test_a_gap_becomes_silence_of_its_length() -> None:
    queue = MicrophoneQueue(bound_ms=400)
    queue.push(ramp(0, PACKET), 0, 0.0)
    queue.push(ramp(0, PACKET), 3 * PACKET, 0.0)
    sound = drained(queue, 2)
    assert not sound[PACKET : 3 * PACKET].any()
    assert sound[:PACKET].all() and sound[3 * PACKET :].all()


def test_a_gap_that_was_waited_for_is_not_added_again() -> None:
    queue = MicrophoneQueue(bound_ms=400)
    queue.push(ramp(0, AUDIO_CHUNK), 0, 0.0)
    assert queue.take() is not None
    assert [queue.take() for _ in range(5)] == [None] * 5  # 200 ms of nothing
    queue.push(ramp(0, AUDIO_CHUNK), 6 * AUDIO_CHUNK, 0.0)
    assert queue.waiting_samples == AUDIO_CHUNK


@given(order=st.permutations(range(6)), repeats=st.lists(st.integers(0, 5), max_size=6))
@settings(max_examples=50, deadline=None)
def test_repeats_are_dropped(order: list[int], repeats: list[int]) -> None:
    queue = MicrophoneQueue(bound_ms=400)
    for i in range(6):
        queue.push(ramp(i * PACKET, PACKET), i * PACKET, 0.0)
        for again in repeats:
            if again <= i:
                queue.push(ramp(again * PACKET, PACKET), again * PACKET, 0.0)
    np.testing.assert_array_equal(drained(queue, 3), ramp(0, 6 * PACKET))


def test_an_overlap_is_played_once() -> None:
    queue = MicrophoneQueue(bound_ms=400)
    queue.push(ramp(0, 1500), 0, 0.0)
    queue.push(ramp(1000, 920), 1000, 0.0)
    np.testing.assert_array_equal(drained(queue, 1), ramp(0, AUDIO_CHUNK))


@pytest.mark.parametrize("jump", [10 * AUDIO_RATE, -10 * AUDIO_RATE, 2**31])
def test_a_jump_of_the_clock_is_a_new_beginning(jump: int) -> None:
    queue = MicrophoneQueue(bound_ms=400)
    queue.push(ramp(0, PACKET), 1 << 20, 0.0)
    at = ((1 << 20) + jump) % 2**32
    queue.push(ramp(PACKET, PACKET), at, 0.0)
    queue.push(ramp(2 * PACKET, 2 * PACKET), at + PACKET, 0.0)
    np.testing.assert_array_equal(drained(queue, 2), ramp(0, 4 * PACKET))


def test_timestamps_may_wrap() -> None:
    queue = MicrophoneQueue(bound_ms=400)
    for i in range(4):
        queue.push(ramp(i * PACKET, PACKET), (2**32 - 2 * PACKET + i * PACKET) % 2**32, 0.0)
    np.testing.assert_array_equal(drained(queue, 2), ramp(0, 4 * PACKET))


def test_beyond_the_bound_the_oldest_sound_is_lost_and_counted() -> None:
    queue = MicrophoneQueue(bound_ms=200)
    queue.push(ramp(0, AUDIO_RATE), 0, 0.0)
    assert queue.waiting_samples == AUDIO_RATE // 5 + AUDIO_CHUNK
    assert queue.dropped == AUDIO_RATE - queue.waiting_samples
    chunk = queue.take()
    assert chunk is not None and chunk[0][0] == ramp(queue.dropped, 1)[0]


def backlog_after(seconds: int, pause: bool) -> tuple[MicrophoneQueue, int]:
    """A live microphone that started with 160 ms too much; speech, with a pause of 100 ms every second or none."""
    queue, at = MicrophoneQueue(bound_ms=400), 0
    queue.push(np.full(4 * AUDIO_CHUNK, LOUD, np.int16), at, 0.0)
    at += 4 * AUDIO_CHUNK
    for tick in range(25 * seconds):
        level = 0 if pause and tick % 25 in (10, 11, 12) else LOUD
        queue.push(np.full(AUDIO_CHUNK, level, np.int16), at, 0.0)
        at += AUDIO_CHUNK
        queue.take()
    return queue, queue.waiting_samples


def test_latency_is_won_back_in_pauses_only() -> None:
    queue, backlog = backlog_after(6, pause=True)
    assert backlog < PACKET and queue.dropped == 0
    queue, backlog = backlog_after(6, pause=False)
    assert backlog == 4 * AUDIO_CHUNK and queue.trimmed == 0


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(-3 * PACKET, 3 * PACKET), st.integers(0, 3000)), max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_no_traffic_makes_the_queue_grow_or_a_chunk_the_wrong_length(steps: list[tuple[int, int, int]]) -> None:
    queue, at = MicrophoneQueue(bound_ms=200), 0
    for takes, shift, count in steps:
        queue.push(ramp(at, count), at + shift, 0.0)
        at += count
        assert queue.waiting_samples <= AUDIO_RATE // 5 + AUDIO_CHUNK
        for _ in range(takes):
            chunk = queue.take()
            assert chunk is None or chunk[0].shape == (AUDIO_CHUNK,)


# --- pushed speech ---


@given(pieces=st.lists(st.integers(0, 5000), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_cue_comes_with_the_chunk_that_holds_its_place(pieces: list[int]) -> None:
    queue = SpeechQueue(10.0, 80)
    utterance, at = queue.begin(), []
    for number, count in enumerate(pieces):
        at.append(utterance.samples)
        queue.cue(utterance, Cue({"mouth": number / 8}))
        queue.push(utterance, ramp(0, count))
    queue.finish(utterance)
    chunks = [queue.take() for _ in range(1 + sum(pieces) // AUDIO_CHUNK)]
    found = [(index, cue) for index, chunk in enumerate(chunks) for cue in chunk.cues]
    last = max(0, sum(pieces) - 1) // AUDIO_CHUNK
    expected = [(min(place // AUDIO_CHUNK, last), Cue({"mouth": n / 8})) for n, place in enumerate(at)]
    assert found == [*expected, (last, END)]


def test_dropped_speech_has_no_cues() -> None:
    queue = SpeechQueue(10.0, 80)
    utterance = queue.begin()
    queue.cue(utterance, Cue({"mouth": 0.5}))
    queue.push(utterance, ramp(0, 9000))
    queue.clear()
    queue.cue(utterance, Cue({"mouth": 0.1}))
    assert queue.take().cues == ()


def speech(queue: SpeechQueue, ticks: int) -> list[NDArray[np.int16] | None]:
    return [queue.take().samples for _ in range(ticks)]


@given(cuts=st.lists(st.integers(0, 5000), min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_an_utterance_is_played_whole_and_in_order(cuts: list[int]) -> None:
    queue = SpeechQueue(bound_s=10, lead_ms=80)
    utterance, at = queue.begin(), 0
    for cut in cuts:
        queue.push(utterance, ramp(at, cut))
        at += cut
    queue.finish(utterance)
    taken, ended = [], 0
    for _ in range(at // AUDIO_CHUNK + 2):
        chunk = queue.take()
        taken.append(chunk.samples if chunk.samples is not None else np.zeros(0, np.int16))
        ended += len(chunk.ended)
    np.testing.assert_array_equal(np.concatenate(taken)[:at], ramp(0, at))
    assert ended == 1 and queue.is_empty and queue.waiting_s == 0


def test_utterances_follow_each_other_without_a_gap() -> None:
    queue = SpeechQueue(bound_s=10, lead_ms=0)
    for first, count in ((0, 1000), (1000, 2840)):
        utterance = queue.begin()
        queue.push(utterance, ramp(first, count))
        queue.finish(utterance)
    chunks = speech(queue, 2)
    np.testing.assert_array_equal(np.concatenate([c for c in chunks if c is not None]), ramp(0, 3840))


def test_an_utterance_starts_with_a_lead_so_that_it_does_not_stutter() -> None:
    queue = SpeechQueue(bound_s=10, lead_ms=80)
    utterance = queue.begin()
    queue.push(utterance, ramp(0, AUDIO_CHUNK))
    assert queue.take().samples is None
    queue.push(utterance, ramp(AUDIO_CHUNK, AUDIO_CHUNK))
    assert all(chunk is not None for chunk in speech(queue, 2))


def test_a_full_queue_refuses() -> None:
    queue = SpeechQueue(bound_s=1, lead_ms=0)
    utterance = queue.begin()
    queue.push(utterance, ramp(0, AUDIO_RATE))
    with pytest.raises(TooMuchWaiting, match="1 s of speech"):
        queue.push(utterance, ramp(0, 1))


def test_clear_cancels_everything_and_forgets_what_comes_after() -> None:
    queue = SpeechQueue(bound_s=10, lead_ms=0)
    first, second = queue.begin(), queue.begin()
    queue.push(first, ramp(0, 9000))
    assert queue.clear() == [first, second]
    queue.push(first, ramp(0, 9000))
    assert queue.take().samples is None and queue.waiting_s == 0


def test_live_sound_that_pauses_lets_the_next_text_pass() -> None:
    queue = SpeechQueue(bound_s=10, lead_ms=0)
    queue.begin(open_ended=True)
    text = queue.begin()
    queue.push(text, ramp(0, AUDIO_CHUNK))
    queue.finish(text)
    assert any(chunk is not None for chunk in speech(queue, 15))


# --- both ---


def test_pushed_speech_goes_before_the_microphone_which_does_not_pile_up() -> None:
    inbox = Inbox(microphone_bound_ms=400, speech_bound_s=10, speech_lead_ms=0)
    utterance = inbox.speech.begin()
    inbox.speech.push(utterance, ramp(0, 2 * AUDIO_CHUNK))
    inbox.speech.finish(utterance)
    origins = []
    for i in range(4):
        inbox.microphone.push(np.full(AUDIO_CHUNK, i + 1, np.int16), i * AUDIO_CHUNK, float(i))
        chunk = inbox.take()
        origins.append(chunk.origin)
    assert origins == [Origin.SPEECH, Origin.SPEECH, Origin.MICROPHONE, Origin.MICROPHONE]
    assert chunk.sound[0] == 4 and chunk.received_at == 3.0


def test_nothing_in_is_silence_out_in_both_rates() -> None:
    chunk = Inbox(400, 10, 0).take()
    assert chunk.origin is Origin.SILENCE and chunk.received_at is None
    assert chunk.sound.shape == (AUDIO_CHUNK,) and not chunk.sound.any()
    assert chunk.speech.shape == (AUDIO_CHUNK // DECIMATION,) and not chunk.speech.any()


def test_a_held_microphone_is_heard_by_the_models_alone_until_a_pause() -> None:
    inbox = Inbox(500, 30.0, 0)
    inbox.hold()
    for tick, is_speaking in enumerate([True, False, True, False, False, False]):
        assert inbox.is_held
        inbox.microphone.push(np.full(AUDIO_CHUNK, LOUD, np.int16), tick * AUDIO_CHUNK, tick * 0.04)
        chunk = inbox.take()
        assert chunk.origin is Origin.MICROPHONE and not chunk.sound.any() and chunk.speech.any()
        inbox.heard(is_speaking)
    assert not inbox.is_held
    inbox.microphone.push(np.full(AUDIO_CHUNK, LOUD, np.int16), 6 * AUDIO_CHUNK, 0.24)
    assert inbox.take().sound.any()
