"""Who watches a session: its connections, and the media and events that they get.

Touches the event loop through what it holds. A viewer that is slow or gone costs itself only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from realtime.connection import Connection
from realtime.errors import Busy
from realtime.media import MediaChunk
from realtime.metrics import Metrics
from realtime.playout import Picture
from realtime.subscription import Subscription


class Audience:
    """max_viewers: subscriptions at once. picture: (H, W, 3), shown first to whoever comes."""

    def __init__(self, max_viewers: int, picture: Picture) -> None:
        self._max_viewers = max_viewers
        self._picture = picture
        self._subscriptions: set[Subscription] = set()
        self._connections: list[Connection] = []

    @property
    def has_speaker(self) -> bool:
        """Whether a speaker's connection stands."""
        return any(connection.is_speaker and connection.is_connected for connection in self._connections)

    def subscribe(self, size_px: tuple[int, int]) -> Subscription:
        """A new viewer's MediaSource. Raises Busy when there are too many."""
        if len(self._subscriptions) >= self._max_viewers:
            raise Busy(f"this session has {self._max_viewers} viewers already; close one first")
        subscription = Subscription(size_px, self._picture, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    def resize(self, size_px: tuple[int, int]) -> None:
        """Pictures have another size from now on."""
        for subscription in self._subscriptions:
            subscription.size_px = size_px

    def add(self, connection: Connection) -> list[Connection]:
        """A new connection; a speaker's takes over from the speakers before, which are returned to be closed."""
        replaced = [other for other in self._connections if connection.is_speaker and other.is_speaker]
        self._connections = [other for other in self._connections if other not in replaced] + [connection]
        return replaced

    def remove(self, connection: Connection) -> bool:
        """Whether it was there."""
        known = connection in self._connections
        self._connections = [other for other in self._connections if other is not connection]
        return known

    def play(self, sounds: Sequence[MediaChunk]) -> None:
        """Chunks whose time to be sent as sound has come."""
        for subscription in self._subscriptions:
            for sound in sounds:
                subscription.put_sound(sound)

    def show(self, chunk: MediaChunk) -> None:
        """A chunk whose time to be seen has come."""
        if chunk.picture is not None:
            self._picture = chunk.picture
        for subscription in self._subscriptions:
            subscription.put_picture(chunk)

    def hush(self) -> bool:
        """Silences what viewers have not read yet; whether there was anything."""
        return any([subscription.hush() for subscription in self._subscriptions])

    def tell(self, message: dict[str, Any]) -> None:
        """An event, to every connection."""
        for connection in self._connections:
            connection.send(message)

    def observe(self, metrics: Metrics) -> None:
        """Samples how every connection is doing."""
        for connection in self._connections:
            connection.observe(metrics)

    def silent(self, now: float, timeout_s: float) -> list[Connection]:
        """Connections whose client used to ping and does not any more."""
        return [connection for connection in self._connections if connection.is_silent(now, timeout_s)]

    async def close(self) -> None:
        """Ends every connection."""
        for subscription in list(self._subscriptions):
            subscription.close()
        await asyncio.gather(*(connection.close() for connection in self._connections), return_exceptions=True)
