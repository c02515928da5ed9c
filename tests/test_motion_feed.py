"""Motion as data: every frame once, in order, at its time; a reader that is slow loses the oldest."""

from __future__ import annotations

import asyncio
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import live_link
from models.blendshapes import ARKIT_NAMES, FaceMotion
from realtime.motion_feed import BOUND_FRAMES, COLUMNS, KEPT_FRAMES, MotionOutlet, MotionQueue, header, motion_frame


def motion(value: float = 0.0) -> FaceMotion:
    rest = FaceMotion.rest()
    rest.weights[:] = value
    rest.head[:] = np.arange(6) / 10
    return rest


def test_a_frame_says_the_same_in_json_in_binary_and_in_live_link() -> None:
    frame = motion_frame(70_000, motion(0.25))
    said = frame.message()
    assert (said["type"], said["index"], said["t_ms"]) == ("motion", 70_000, 2_800_000)
    index, *values = struct.unpack(f"<I{len(COLUMNS)}f", frame.packed())
    assert index == 70_000 and said["values"] == pytest.approx(values, abs=1e-4)
    by_name = dict(zip(COLUMNS, values, strict=True))
    assert [by_name[name] for name in ARKIT_NAMES] == [0.25] * 52
    head = [by_name[name] for name in ("headYaw", "headPitch", "headRoll")]
    assert head == pytest.approx(live_link.angles(motion())[:3])
    assert [by_name[name] for name in ("headShiftX", "headShiftY", "headZoom")] == pytest.approx([0.3, 0.4, 0.5])
    assert json.loads(json.dumps(header()))["columns"] == list(COLUMNS)


@given(st.permutations(range(12)), st.lists(st.integers(0, 14), max_size=6))
def test_each_frame_is_told_once_and_not_before_its_time(order: list[int], releases: list[int]) -> None:
    outlet, told = MotionOutlet(), []
    outlet.listeners.add(lambda frame: told.append(frame.index))
    due = -1
    for index, release in zip(order, [*releases, *[0] * 12], strict=False):
        outlet.put(index, motion())
        due = max(due, release)
        outlet.release(due)
        assert all(index <= due for index in told)
    outlet.release(20)
    assert sorted(told) == list(range(12))


def test_frames_that_nobody_releases_are_not_kept() -> None:
    outlet = MotionOutlet()
    for index in range(1000):
        outlet.put(index, motion())
    assert len(outlet._waiting) == KEPT_FRAMES


async def test_a_slow_reader_loses_the_oldest_frames() -> None:
    queue = MotionQueue()
    reading = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    for index in range(100):
        queue.put(motion_frame(index, motion()))
    assert (await reading).index == 100 - BOUND_FRAMES
    assert [(await queue.get()).index for _ in range(BOUND_FRAMES - 1)][-1] == 99
