"""Memory goes back to the system when sessions have ended, and nothing breaks where the C library cannot do it."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import weakref
from pathlib import Path

import pytest

from realtime import memory, sessions
from tests.fake_media import until
from tests.fakes import config, service
from tests.test_session import OFFER


def test_it_may_be_asked_for_at_any_time() -> None:
    memory.keep_few_pools()
    assert memory.give_back() in (True, False)


def test_what_is_available_is_less_than_a_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10**7 < memory.available_bytes() < 10**15
    monkeypatch.setattr(Path, "read_text", lambda self: "MemTotal: 5 kB\nMemAvailable:    3000 kB\n")
    assert memory.available_bytes() == 3_072_000
    monkeypatch.setattr(Path, "read_text", lambda self: "another system")
    assert memory.available_bytes() > 10**12


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        pass

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Other())
    memory._glibc.cache_clear()
    try:
        memory.keep_few_pools()
        assert memory.give_back() is False
    finally:
        memory._glibc.cache_clear()


def test_what_has_settled_is_not_gone_through_again_and_what_comes_later_is_freed() -> None:
    class Circle:
        pass

    lasting = [[number] for number in range(1000)]
    try:
        memory.settle()
        assert not any(one is lasting for one in gc.get_objects())
        circle = Circle()
        circle.itself = circle  # type: ignore[attr-defined]
        gone = weakref.ref(circle)
        del circle
        memory.give_back()
        assert gone() is None
    finally:
        gc.unfreeze()


async def test_it_is_given_back_once_after_the_last_of_many_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    monkeypatch.setattr(sessions, "TIDY_S", 0.02)
    made, _, _ = service(config(tmp_path))
    await made.start()
    begun = [(await made.sessions.begin(OFFER))[0] for _ in range(3)]
    for session in begun:
        await session.end("deleted")
    await until(lambda: bool(given))
    await made.stop()
    assert given == [1]


async def test_a_server_that_stops_leaves_no_timer_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    monkeypatch.setattr(sessions, "TIDY_S", 0.02)
    made, _, _ = service(config(tmp_path))
    await made.start()
    gone, _ = await made.sessions.begin(OFFER)
    await made.sessions.begin(OFFER)
    await gone.end("deleted")
    await made.stop()
    await asyncio.sleep(0.06)
    assert not given
