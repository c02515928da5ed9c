"""A session's motion as data: each frame is told when its picture is due, to whoever listens.

Touches the event loop only to wake a reader. A reader that is slow loses the oldest frames, never holds up others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import live_link
from models.blendshapes import ARKIT_NAMES, FaceMotion
from models.rates import CHUNK_MS, FPS

COLUMNS: tuple[str, ...] = (*ARKIT_NAMES, "headYaw", "headPitch", "headRoll", "headShiftX", "headShiftY", "headZoom")
"""The 52 weights, 0..1; the head's angles about ARKit's axes, radians, as in `models.live_link`; its shift right and
down in outer-eye-corner distances, and its zoom as a natural logarithm."""

BOUND_FRAMES = 25
KEPT_FRAMES = 64
"""Frames that may wait for their time to be shown."""

DECIMALS = 4


@dataclass(frozen=True, slots=True)
class MotionFrame:
    """index: of the 40 ms chunk of sound that it belongs to. values: (58,) float32, in the order of `COLUMNS`."""

    index: int
    values: NDArray[np.float32]

    def message(self) -> dict[str, Any]:
        """As JSON for the data channel. t_ms: media time, that of the sound's first sample."""
        values = [round(value, DECIMALS) for value in self.values.tolist()]
        return {"type": "motion", "index": self.index, "t_ms": self.index * CHUNK_MS, "values": values}

    def packed(self) -> bytes:
        """`<u4 index`, then one `<f4` for each column."""
        return self.index.to_bytes(4, "little") + self.values.astype("<f4").tobytes()


def header() -> dict[str, Any]:
    """What a reader has to know before the first frame."""
    return {"type": "motion_header", "fps": FPS, "chunk_ms": CHUNK_MS, "columns": list(COLUMNS)}


def motion_frame(index: int, motion: FaceMotion) -> MotionFrame:
    head = [*live_link.angles(motion)[:3], *motion.head[3:]]
    return MotionFrame(index, np.concatenate([motion.weights, np.asarray(head, np.float32)]))


class MotionOutlet:
    """Holds each frame until it is due. `listeners` are called with every frame then; they must not block."""

    def __init__(self) -> None:
        self.listeners: set[Callable[[MotionFrame], None]] = set()
        self._waiting: dict[int, FaceMotion] = {}

    def put(self, index: int, motion: FaceMotion) -> None:
        """A frame has been computed. One that comes late is told with the next one that is due."""
        self._waiting[index] = motion
        self._waiting.pop(index - KEPT_FRAMES, None)

    def release(self, index: int) -> None:
        """All up to `index` are due."""
        for due in sorted(at for at in self._waiting if at <= index):
            motion = self._waiting.pop(due)
            if self.listeners:
                frame = motion_frame(due, motion)
                for listener in list(self.listeners):
                    listener(frame)


class MotionQueue:
    """One reader's bounded view, for a reader that has to wait for its network."""

    def __init__(self) -> None:
        self._frames: deque[MotionFrame] = deque(maxlen=BOUND_FRAMES)
        self._filled = asyncio.Event()

    def put(self, frame: MotionFrame) -> None:
        self._frames.append(frame)
        self._filled.set()

    async def get(self) -> MotionFrame:
        while not self._frames:
            self._filled.clear()
            await self._filled.wait()
        return self._frames.popleft()
