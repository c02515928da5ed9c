"""Pictures that are drawn before their time, and drawn again if by then they are to look otherwise.

Touches the event loop and its threads. A frame is drawn a margin before it is shown. An interrupt or another avatar
does not wait until the pictures that are ready have been shown: they are taken back, and drawn anew from their motion.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from models.avatar import AvatarFrame
from models.generator import FrameGenerator
from realtime.motion_feed import MotionOutlet
from realtime.playout import Playout

REDRAW_S = 0.015
"""A picture that is due sooner stays as it is; there is no time to draw it again."""

KEPT_LOOKS = 32
"""Frames whose look is remembered after their time, should they come late."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a frame is drawn: whose face, and how far speech may move its mouth, 0..1."""

    generator: FrameGenerator
    strength: float


class Retouch:
    """The frames of one session that are under way, from `asked` to `shown`. All methods belong to the event loop.

    look: how a frame is to look as things stand. begin: runs work of the session's beside it.
    """

    def __init__(
        self,
        playout: Playout,
        motion: MotionOutlet,
        look: Callable[[int], Look],
        begin: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._playout, self._motion = playout, motion
        self._look, self._begin = look, begin
        self._looks: dict[int, Look] = {}
        self._frames: dict[int, AvatarFrame] = {}
        self._first = 0
        self._to_draw: deque[int] = deque()
        self._is_drawing = False

    def asked(self, index: int) -> Look:
        """Frame `index` is about to be drawn, with the look that is returned."""
        self._looks[index] = look = self._look(index)
        return look

    def drawn(self, index: int, frame: AvatarFrame) -> None:
        """A frame that was asked for is there, with a picture or without."""
        is_in_time = index >= self._playout.next_release
        if is_in_time:
            self._frames[index] = frame
        if not (is_in_time and self._has_changed(index)):
            self._motion.put(index, frame.motion)
            # One that comes late is shown late, unless it should look otherwise by now.
            is_right = index < self._first or self._looks.get(index) == self._look(index)
            if frame.picture is not None and is_right:
                self._playout.put_picture(index, frame.picture)

    def renew(self, now: float) -> None:
        """Looks have changed: what can still be drawn again before it is due is drawn again."""
        self._first = self._playout.first_due(now + REDRAW_S)
        for index in sorted(self._frames):
            self._has_changed(index)

    def shown(self, index: int) -> None:
        """All up to `index` have had their time."""
        self._frames = {at: frame for at, frame in self._frames.items() if at > index}
        self._looks.pop(index - KEPT_LOOKS, None)

    def _has_changed(self, index: int) -> bool:
        """Whether a frame no longer looks as it should; if so, its motion is put right now, and its picture soon."""
        frame, was, look = self._frames[index], self._looks[index], self._look(index)
        if index < self._first or look == was:
            return False
        motion = frame.with_mouth(look.strength / was.strength if was.strength else 0.0)
        self._frames[index], self._looks[index] = replace(frame, motion=motion), look
        self._motion.put(index, motion)
        if frame.picture is not None:
            # Were the redrawn one late, the old one would be seen after newer ones.
            self._playout.take_back(index)
            self._to_draw.append(index)
            if not self._is_drawing:
                self._is_drawing = True
                self._begin(self._draw())
        return True

    async def _draw(self) -> None:
        try:
            while self._to_draw:
                index = self._to_draw.popleft()
                if index not in self._frames:
                    continue
                look = self._looks[index]
                picture = await asyncio.to_thread(look.generator.render, self._frames[index].motion)
                if self._looks.get(index) is look:
                    self._playout.put_picture(index, picture)
        finally:
            self._is_drawing = False
