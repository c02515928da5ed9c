"""Avatars ready to draw: the most recently used ones stay warm, within a bound of bytes.

Touches the event loop and threads. Two sessions of one avatar share it; two that ask for a cold one at the
same time wait for the same loading. An avatar on air is pinned by being held: it may be put out of the cache to make
room, but whoever asks for it gets the same one.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from models.generator import FrameGenerator
from models.identity import Identity
from realtime import beside
from realtime.metrics import Metrics


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class WarmAvatar:
    """picture: (H, W, 3) uint8 BGR, the face at rest, to show before the first frame. bytes_held: of all its arrays."""

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
    return WarmAvatar(name, generator, generator.render(FaceMotion.rest()), bytes_of(generator))


class IdentityCache:
    """load: blocking, name to WarmAvatar. bound_bytes: of all avatars in memory, those on air counted in, which stay
    even beyond it. All methods belong to the event loop."""

    def __init__(self, load: Callable[[str], WarmAvatar], bound_bytes: int, metrics: Metrics | None = None) -> None:
        self._load = load
        self._bound_bytes = bound_bytes
        self._metrics = metrics or Metrics()
        self._warm: OrderedDict[str, WarmAvatar] = OrderedDict()
        self._in_memory: WeakValueDictionary[str, WarmAvatar] = WeakValueDictionary()
        self._loading: dict[str, asyncio.Future[WarmAvatar]] = {}

    @property
    def bytes_held(self) -> int:
        return sum(avatar.bytes_held for avatar in self._in_memory.values())

    @property
    def names(self) -> list[str]:
        """Warm avatars, the least recently used first."""
        return list(self._warm)

    async def get(self, name: str) -> WarmAvatar:
        """The avatar, loaded if need be. Raises what `load` raises."""
        avatar = self._in_memory.get(name)
        if avatar is not None:
            self._keep(avatar)
            return avatar
        # Shielded: one who gives up waiting does not take it from the others.
        return await asyncio.shield(self._begin(name))

    def prefetch(self, name: str) -> None:
        """Begins to load an avatar that will be asked for soon."""
        if name not in self._in_memory:
            self._begin(name)

    def forget(self, name: str) -> None:
        """The avatar was deleted; sessions that show it keep it. A loading in progress is not kept."""
        self._warm.pop(name, None)
        self._in_memory.pop(name, None)
        self._loading.pop(name, None)

    def _begin(self, name: str) -> asyncio.Future[WarmAvatar]:
        loading = self._loading.get(name)
        if loading is None:
            began = asyncio.get_running_loop().time()
            loading = asyncio.ensure_future(beside.work(self._load, name))
            self._loading[name] = loading
            loading.add_done_callback(lambda done: self._loaded(name, done, began))
        return loading

    def _loaded(self, name: str, done: asyncio.Future[WarmAvatar], began: float) -> None:
        if self._loading.get(name) is not done:
            return
        del self._loading[name]
        if done.cancelled() or done.exception():
            return
        self._metrics.avatar_load_s.observe(done.get_loop().time() - began)
        self._in_memory[name] = done.result()
        self._keep(done.result())

    def _keep(self, avatar: WarmAvatar) -> None:
        self._warm[avatar.name] = avatar
        self._warm.move_to_end(avatar.name)
        while len(self._warm) > 1 and self.bytes_held > self._bound_bytes:
            self._warm.popitem(last=False)
        self._metrics.avatars_warm.set(len(self._in_memory))
        self._metrics.avatar_bytes.set(self.bytes_held)


def bytes_of(value: Any) -> int:
    """Bytes of all arrays in a tree of objects; memory that several share counts once."""
    found: dict[int, int] = {}
    seen: set[int] = set()

    def visit(one: Any) -> None:
        if id(one) in seen:
            return
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            while isinstance(one.base, np.ndarray):
                one = one.base
            found[id(one)] = one.nbytes
        elif isinstance(one, Mapping):
            for part in one.values():
                visit(part)
        elif isinstance(one, list | tuple):
            for part in one:
                visit(part)
        elif dataclasses.is_dataclass(one):
            for field in dataclasses.fields(one):
                visit(getattr(one, field.name))
        elif hasattr(one, "__dict__") and not isinstance(one, type):
            visit(vars(one))

    visit(value)
    return sum(found.values())
