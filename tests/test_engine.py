"""The inference thread never blocks the loop, keeps sessions apart, and gives up pictures before it gives up sound."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from models.style import Style
from realtime.engine import LEAST_MEASURED, MAX_UNDRAWN, MAX_WAITING, UNMEASURED, Engine, Slot, StepResult
from realtime.errors import Busy
from realtime.metrics import Metrics
from realtime.voice_activity import SpeechStarted, SpeechStopped
from tests.fake_media import until
from tests.fakes import JAW, FakeAvatar, FakeGenerator, FakeListener

FAR = 1e12
"""A time by which everything is in time."""


class Client:
    """A slot and all that came out of it."""

    def __init__(self, engine: Engine, look_ahead_ms: int = 0) -> None:
        self.results: list[StepResult] = []
        self.failures: list[BaseException] = []
        self.slot: Slot = engine.open(0, look_ahead_ms, self.results.append, self.failures.append)

    def submit(self, index: int, level: float = 0.5, due_at: float = FAR) -> None:
        self.slot.submit(index, chunk(level), FakeGenerator(), Style(), due_at)  # type: ignore[arg-type]

    async def until(self, results: int = 0, failures: int = 0) -> None:
        await until(lambda: len(self.results) >= results and len(self.failures) >= failures)


def chunk(level: float) -> NDArray[np.float32]:
    return np.full(640, level, np.float32)


def count(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(f"mouthpiece_{name}_total") or 0.0


@pytest.fixture
def avatar() -> FakeAvatar:
    return FakeAvatar()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def engine(avatar: FakeAvatar, metrics: Metrics) -> AsyncIterator[Engine]:
    engine = Engine(avatar, FakeListener(), capacity=3, metrics=metrics)
    await engine.start()
    avatar.batches.clear()
    yield engine
    await engine.stop()
    assert not any(thread.name == "engine" for thread in threading.enumerate())


@pytest.mark.parametrize(("look_ahead_ms", "delay"), [(0, 0), (80, 2), (200, 5)])
async def test_frames_carry_the_index_of_their_sound(engine: Engine, look_ahead_ms: int, delay: int) -> None:
    client = Client(engine, look_ahead_ms)
    for i in range(8):
        client.submit(100 + i, level=i / 10)
        await client.until(results=i + 1)
    assert all(result.frame is None for result in client.results[:delay])
    frames = [(result.index, result.frame.motion.weights[JAW]) for result in client.results if result.frame]
    assert frames == [(100 + i, pytest.approx(i / 10)) for i in range(8 - delay)]


async def test_speech_is_told_with_the_chunk_that_it_began_in(engine: Engine) -> None:
    client, quiet = Client(engine, 80), Client(engine, 80)
    for i, level in enumerate((0.1, 1.0, 1.0, 0.2, 0.1)):
        client.submit(70 + i, level)
        quiet.submit(i, 0.2)
        await client.until(results=i + 1)
    told = [(result.heard, [type(event) for event in result.voice], result.is_speaking) for result in client.results]
    assert told == [
        (70, [], False), (71, [SpeechStarted], True), (72, [], True), (73, [SpeechStopped], False), (74, [], False)
    ]  # fmt: skip
    assert not any(result.voice for result in quiet.results)


async def test_no_free_place_is_busy_and_a_place_given_back_is_free(engine: Engine) -> None:
    clients = [Client(engine) for _ in range(3)]
    with pytest.raises(Busy, match="all 3 places"):
        Client(engine)
    clients[1].slot.close()
    clients[1].slot.close()
    Client(engine)
    assert engine.sessions == 3


async def test_sessions_that_wait_share_a_step_with_one_chunk_each(engine: Engine, avatar: FakeAvatar) -> None:
    gate = threading.Event()
    avatar.before_step = gate.wait
    clients = [Client(engine) for _ in range(3)]
    clients[0].submit(0)
    await asyncio.sleep(0.02)  # the thread is in a step now, and the loop is not
    for client in clients:
        for i in (1, 2):
            client.submit(i)
    gate.set()
    for client in clients:
        await client.until(results=2)
    await clients[0].until(results=3)
    assert avatar.batches == [1, 3, 3]


async def test_a_poisoned_session_fails_alone(engine: Engine, avatar: FakeAvatar) -> None:
    gate = threading.Event()
    avatar.before_step = gate.wait
    good, bad, other = Client(engine, 40), Client(engine, 40), Client(engine, 40)
    good.submit(0)
    await asyncio.sleep(0.02)
    for client, level in ((good, 0.3), (bad, FakeAvatar.POISON), (other, 0.4)):
        client.submit(1, level)
    gate.set()
    await good.until(results=2)
    await other.until(results=1)
    await bad.until(failures=1)
    assert "poisoned" in str(bad.failures[0]) and not bad.results
    assert not good.failures and not other.failures
    # Nobody lost a chunk over it: the next frame is still the sound before.
    good.submit(2)
    await good.until(results=3)
    frame = good.results[-1].frame
    assert frame is not None and frame.motion.weights[JAW] == pytest.approx(0.3)


async def test_a_row_that_is_behind_or_late_is_stepped_without_its_picture(
    engine: Engine, avatar: FakeAvatar, metrics: Metrics
) -> None:
    gate = threading.Event()
    avatar.before_step = gate.wait
    client = Client(engine)
    for i in range(4):
        client.submit(i)
        await asyncio.sleep(0.01)
    gate.set()
    await client.until(results=4)
    client.submit(4, due_at=0.0)
    await client.until(results=5)
    drawn = [result.index for result in client.results if result.frame and result.frame.picture is not None]
    assert drawn == [3] or drawn == [0, 3]
    assert [result.index for result in client.results] == [0, 1, 2, 3, 4]
    assert count(metrics, "skipped_pictures") == 5 - len(drawn)


async def test_however_late_a_face_still_moves(engine: Engine) -> None:
    client = Client(engine)
    for i in range(3 * (MAX_UNDRAWN + 1)):
        client.submit(i, due_at=0.0)
        await client.until(results=i + 1)
    drawn = [result.index for result in client.results if result.frame and result.frame.picture is not None]
    assert drawn == [MAX_UNDRAWN, 2 * MAX_UNDRAWN + 1, 3 * MAX_UNDRAWN + 2]


async def test_what_waits_is_bounded_and_indices_stay_true(
    engine: Engine, avatar: FakeAvatar, metrics: Metrics
) -> None:
    gate = threading.Event()
    avatar.before_step = gate.wait
    client = Client(engine, 40)
    client.submit(0, level=0.0)
    await asyncio.sleep(0.02)
    for i in range(1, MAX_WAITING + 6):
        client.submit(i, level=i / 100)
    gate.set()
    await client.until(results=MAX_WAITING + 1)
    assert count(metrics, "dropped_chunks") == 5
    for result in client.results[1:]:
        assert result.frame is not None
        assert result.frame.motion.weights[JAW] == pytest.approx(result.index / 100)


async def test_a_closed_slot_hears_nothing_more(engine: Engine, avatar: FakeAvatar) -> None:
    gate = threading.Event()
    avatar.before_step = gate.wait
    client = Client(engine)
    client.submit(0)
    await asyncio.sleep(0.02)
    client.slot.close()
    client.submit(1)
    gate.set()
    await asyncio.sleep(0.05)
    assert not client.results and not client.failures


async def test_the_loop_runs_while_the_thread_computes(engine: Engine, avatar: FakeAvatar) -> None:
    gate = threading.Event()
    avatar.before_step = gate.wait
    client = Client(engine)
    client.submit(0)
    ticks = 0
    for _ in range(20):
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks == 20 and not client.results
    gate.set()
    await client.until(results=1)


async def test_what_nobody_set_is_measured(avatar: FakeAvatar, metrics: Metrics) -> None:
    engine = Engine(avatar, FakeListener(), capacity=0, metrics=metrics)
    assert engine.capacity == UNMEASURED
    avatar.before_step = lambda: time.sleep(0.05)
    await engine.measure(FakeGenerator())  # type: ignore[arg-type]
    assert engine.capacity == LEAST_MEASURED == metrics.registry.get_sample_value("mouthpiece_capacity")


async def test_what_somebody_set_stands(engine: Engine) -> None:
    await engine.measure(FakeGenerator())  # type: ignore[arg-type]
    assert engine.capacity == 3


async def test_under_overload_all_lose_pictures_alike_and_none_loses_sound(metrics: Metrics) -> None:
    sessions, ticks, draw_s = 8, 60, 0.01

    class SlowGenerator(FakeGenerator):
        def render(self, motion: FaceMotion) -> NDArray[np.uint8]:
            time.sleep(draw_s)
            return super().render(motion)

    engine = Engine(FakeAvatar(), FakeListener(), capacity=sessions, metrics=metrics)
    await engine.start()
    clients, generator = [Client(engine) for _ in range(sessions)], SlowGenerator()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for tick in range(ticks):
        for place, client in enumerate(clients):
            # Ticks fall anywhere, as sessions begin anywhere.
            at = began + 0.04 * (tick + place / sessions)
            await asyncio.sleep(at - loop.time())
            client.slot.submit(tick, chunk(0.5), generator, Style(), at + 0.05)  # type: ignore[arg-type]
    await asyncio.gather(*(client.until(results=ticks) for client in clients))
    await engine.stop()
    assert [[result.index for result in client.results] for client in clients] == [list(range(ticks))] * sessions
    drawn = [[r.index for r in client.results if r.frame and r.frame.picture is not None] for client in clients]
    counts = [len(indices) for indices in drawn]
    # Half of the pictures can be drawn in time. Each session has its share, and nobody's face stands still.
    assert 0.12 * ticks < min(counts) and max(counts) < 0.85 * ticks
    assert max(counts) - min(counts) <= 0.35 * ticks, counts
    assert max(int(np.diff(indices).max()) for indices in drawn) <= MAX_UNDRAWN + 1
