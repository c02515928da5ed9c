"""Avatars ready to draw: the most recently used ones stay warm, within a bound of bytes.

Touches the event loop and its thread pool. Two sessions of one avatar share it; two that ask for a cold one at the
same time wait for the same loading.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from models.generator import FrameGenerator
from models.identity import Identity


@dataclass(frozen=True, slots=True, eq=False)
class WarmAvatar:
    """picture: (H, W, 3) uint8 BGR, the face at rest, to show before the first frame."""

    name: str
    generator: FrameGenerator
    picture: NDArray[np.uint8]
    bytes_held: int

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.picture.shape[1], self.picture.shape[0]


def warm(name: str, identity: Identity) -> WarmAvatar:
    """Makes the generator and draws once, so that the first frame of a session is not the slow one."""
    generator = FrameGenerator(identity)
    return WarmAvatar(name, generator, generator.render(FaceMotion.rest()), _bytes_of(identity))


class IdentityCache:
    """load: blocking, name to WarmAvatar. All methods belong to the event loop."""

    def __init__(self, load: Callable[[str], WarmAvatar], bound_bytes: int) -> None:
        self._load = load
        self._bound_bytes = bound_bytes
        self._warm: OrderedDict[str, WarmAvatar] = OrderedDict()
        self._loading: dict[str, asyncio.Future[WarmAvatar]] = {}

    @property
    def bytes_held(self) -> int:
        return sum(avatar.bytes_held for avatar in self._warm.values())

    @property
    def names(self) -> list[str]:
        """Warm avatars, the least recently used first."""
        return list(self._warm)

    async def get(self, name: str) -> WarmAvatar:
        """The avatar, loaded if need be. Raises what `load` raises."""
        if name in self._warm:
            self._warm.move_to_end(name)
            return self._warm[name]
        # Shielded: one who gives up waiting does not take it from the others.
        return await asyncio.shield(self._begin(name))

    def prefetch(self, name: str) -> None:
        """Begins to load an avatar that will be asked for soon."""
        if name not in self._warm:
            self._begin(name)

    def forget(self, name: str) -> None:
        """The avatar was deleted; sessions that show it keep it. A loading in progress is not kept."""
        self._warm.pop(name, None)
        self._loading.pop(name, None)

    def _begin(self, name: str) -> asyncio.Future[WarmAvatar]:
        loading = self._loading.get(name)
        if loading is None:
            loading = asyncio.ensure_future(asyncio.to_thread(self._load, name))
            self._loading[name] = loading
            loading.add_done_callback(lambda done: self._loaded(name, done))
        return loading

    def _loaded(self, name: str, done: asyncio.Future[WarmAvatar]) -> None:
        if self._loading.get(name) is not done:
            return
        del self._loading[name]
        if done.cancelled() or done.exception():
            return
        self._warm[name] = done.result()
        while len(self._warm) > 1 and self.bytes_held > self._bound_bytes:
            self._warm.popitem(last=False)


def _bytes_of(value: Any) -> int:
    """Bytes of all arrays in a tree of dataclasses."""
    if dataclasses.is_dataclass(value):
        return sum(_bytes_of(getattr(value, field.name)) for field in dataclasses.fields(value))
    return np.asarray(value).nbytes
