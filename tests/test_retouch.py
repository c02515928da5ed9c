"""Pictures that wait are drawn again when they are to look otherwise; none of an old look is seen after a new one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np

from models.avatar import AvatarFrame
from models.blendshapes import FaceMotion
from realtime.motion_feed import MotionOutlet
from realtime.playout import Playout
from realtime.retouch import Look, Retouch
from realtime.timebase import AUDIO_CHUNK
from tests.fakes import JAW, FakeGenerator

SILENCE = np.zeros(AUDIO_CHUNK, np.int16)


class Waiting(FakeGenerator):
    """Draws when it is let."""

    def __init__(self, shade: int) -> None:
        super().__init__(shade)
        self.let = threading.Event()

    def render(self, motion: FaceMotion) -> np.ndarray:
        assert self.let.wait(5)
        return super().render(motion)


class Scene:
    """Ten frames are drawn ahead by `old`, with the jaw at 0.8; then `look` may change."""

    def __init__(self) -> None:
        self.look, self.tasks = Look(FakeGenerator(10), 1.0), []  # type: ignore[arg-type,var-annotated]
        self.playout, self.motion, self.told = Playout(100.0, 0, 0.4, None), MotionOutlet(), []  # type: ignore[var-annotated]
        self.motion.listeners.add(self.told.append)
        self.retouch = Retouch(self.playout, self.motion, lambda _: self.look, self._begin)
        for index in range(10):
            self.playout.put_sound(SILENCE)
            self.draw(index)

    def draw(self, index: int) -> None:
        generator: Any = self.retouch.asked(index).generator
        motion = FaceMotion.rest()
        motion.weights[JAW] = 0.8
        self.retouch.drawn(index, AvatarFrame(index, motion, generator.render(motion), {}))

    def release(self) -> tuple[int, int] | None:
        """Shade and jaw (in percent) of the next picture, None if the last one stays."""
        chunk = self.playout.release()
        self.motion.release(chunk.index)
        self.retouch.shown(chunk.index)
        return None if chunk.picture is None else (int(chunk.picture[0, 0, 0]), round(chunk.picture[0, 0, 2] / 2.55))

    async def done(self) -> None:
        await asyncio.gather(*self.tasks)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))


async def test_pictures_that_can_still_be_changed_are() -> None:
    scene = Scene()
    assert scene.release() == (10, 80)
    scene.look = Look(scene.look.generator, 0.5)
    scene.retouch.renew(scene.playout.due(1) - 0.01)  # too near to be drawn again
    await scene.done()
    assert [scene.release() for _ in range(4)] == [(10, 80), (10, 40), (10, 40), (10, 40)]
    assert [round(float(frame.values[JAW]), 2) for frame in scene.told] == [0.8, 0.8, 0.4, 0.4, 0.4]


async def test_an_old_face_is_never_seen_after_a_new_one_however_late_that_is() -> None:
    scene, new = Scene(), Waiting(20)
    scene.look = Look(new, 1.0)  # type: ignore[arg-type]
    scene.retouch.renew(scene.playout.due(0) - 0.03)
    assert scene.release() is None
    new.let.set()
    await scene.done()
    assert [scene.release() for _ in range(3)] == [(20, 80)] * 3


async def test_a_look_that_changes_while_a_picture_is_drawn_wins() -> None:
    scene, second = Scene(), Waiting(20)
    scene.look = Look(second, 1.0)  # type: ignore[arg-type]
    scene.retouch.renew(scene.playout.due(0) - 0.03)
    await asyncio.sleep(0)
    scene.look = Look(FakeGenerator(30), 0.5)  # type: ignore[arg-type]
    scene.retouch.renew(scene.playout.due(0) - 0.03)
    second.let.set()
    await scene.done()
    assert [scene.release() for _ in range(10)] == [(30, 40)] * 10


async def test_a_frame_that_is_being_drawn_meanwhile_is_drawn_again() -> None:
    scene = Scene()
    old: Any = scene.retouch.asked(10).generator
    scene.look = Look(FakeGenerator(20), 1.0)  # type: ignore[arg-type]
    scene.retouch.renew(scene.playout.due(10) - 0.03)
    motion = FaceMotion.rest()
    scene.playout.put_sound(SILENCE)
    scene.retouch.drawn(10, AvatarFrame(10, motion, old.render(motion), {}))
    await scene.done()
    assert [scene.release() for _ in range(11)] == [(10, 80)] * 10 + [(20, 0)]
