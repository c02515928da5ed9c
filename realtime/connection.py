"""One viewer's connection as its session sees it: what the client says comes in here, events go out.

Implements `PeerEvents`. A speaker's connection brings the microphone and keeps the session alive; a viewer's only
watches. A client that had pinged and falls silent is let go.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from realtime import protocol
from realtime.errors import BadMessage, MouthpieceError
from realtime.metrics import Metrics
from realtime.motion_feed import MotionFrame, header
from realtime.subscription import Subscription

if TYPE_CHECKING:
    from realtime.session import Session

log = logging.getLogger(__name__)

MOTION_WAITS_BYTES = 8192
"""Motion that may wait in the data channel, about half a second; while more waits, frames are left out."""

MAX_CALLS = 4
"""Messages of one client that may be worked on at once."""


class CarrierStats(Protocol):
    """What is told of `webrtc.PeerStats`; None while unknown."""

    @property
    def encode_ms(self) -> float: ...
    @property
    def rtt_ms(self) -> float | None: ...
    @property
    def loss(self) -> float | None: ...
    @property
    def jitter_ms(self) -> float: ...


class Carrier(Protocol):
    """What a connection needs of `webrtc.Peer`."""

    def send(self, message: dict[str, Any], most_waiting: int = ...) -> None: ...

    def rtp_origins(self) -> dict[str, int]: ...

    def stats(self) -> CarrierStats: ...

    async def close(self) -> None: ...


class Connection:
    """`carrier` is set as soon as there is one; events before that are dropped."""

    def __init__(self, session: Session, source: Subscription, is_speaker: bool) -> None:
        self.source = source
        self.is_speaker = is_speaker
        self.carrier: Carrier | None = None
        self.closed = False
        self.is_connected = False
        self._session = session
        self._pinged_at: float | None = None
        self._calls: set[asyncio.Task[None]] = set()

    def on_microphone(self, samples: NDArray[np.int16], at_samples: int) -> None:
        if self.closed:
            return
        if self.is_speaker:
            self._session.push_microphone(samples, at_samples)
        else:
            self._session.other_side.hear(samples, self._session.now())

    def on_connected(self) -> None:
        self.is_connected = True
        self._session.metrics.viewers.inc()
        self.send(self._session.hello())

    def on_closed(self, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._session.metrics.viewers.dec(self.is_connected)
            self.is_connected = False
            log.info("session %s: a connection is gone (%s)", self._session.id, reason)
            for call in self._calls:
                call.cancel()
            self.source.close()
            self._session.motion.listeners.discard(self._send_motion)
            self._session.remove_connection(self)

    def on_message(self, message: dict[str, Any]) -> None:
        try:
            request = protocol.client_message(message, self._session.config.max_text_chars)
        except MouthpieceError as error:
            self.send_error(error)
            return
        if isinstance(request, protocol.Ping):
            self._pinged_at = self._session.now()
            self.send({"type": "pong", "t": request.t})
        elif isinstance(request, protocol.SendMotion):
            self._want_motion(request.on)
        elif isinstance(request, protocol.Listen):
            self._session.other_side.tell(request.level, self._session.now())
        elif not self.is_speaker:
            self.send_error(BadMessage("a viewer only watches; open a session of your own to speak"))
        elif len(self._calls) >= MAX_CALLS:
            self.send_error(BadMessage("too many requests at once; wait for the answers"))
        else:
            call = asyncio.create_task(self._carry_out(request), name="message")
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def send(self, message: dict[str, Any]) -> None:
        if self.carrier and not self.closed:
            self.carrier.send(message)

    def send_error(self, error: MouthpieceError) -> None:
        self.send({"type": "error", "code": error.code, "message": str(error)})

    def is_silent(self, now: float, timeout_s: float) -> bool:
        """Whether a client that pings has stopped to."""
        return self._pinged_at is not None and now - self._pinged_at > timeout_s

    def observe(self, metrics: Metrics) -> None:
        """Samples how the connection is doing."""
        if self.carrier and self.is_connected:
            stats = self.carrier.stats()
            metrics.encode_s.observe(stats.encode_ms / 1000)
            if stats.rtt_ms is not None:
                metrics.round_trip_s.observe(stats.rtt_ms / 1000)
            if stats.loss is not None:
                metrics.lost_share.observe(stats.loss)
            if self.is_speaker:
                metrics.jitter_buffer_s.observe(stats.jitter_ms / 1000)

    async def close(self) -> None:
        if self.carrier:
            await self.carrier.close()
        self.on_closed("closed by the server")

    def _want_motion(self, on: bool) -> None:
        if on and self.carrier:
            self.send(header() | {"rtp": self.carrier.rtp_origins()})
            self._session.motion.listeners.add(self._send_motion)
        else:
            self._session.motion.listeners.discard(self._send_motion)

    def _send_motion(self, frame: MotionFrame) -> None:
        if self.carrier:
            self.carrier.send(frame.message(), MOTION_WAITS_BYTES)

    async def _carry_out(self, request: protocol.Speak | protocol.Interrupt | protocol.Restyle) -> None:
        try:
            if isinstance(request, protocol.Speak):
                await self._session.speak(request.text, request.voice)
            elif isinstance(request, protocol.Interrupt):
                self._session.interrupt()
            else:
                await self._session.restyle(request)
        except MouthpieceError as error:
            self.send_error(error)
        except Exception:
            log.exception("a message could not be carried out")
            self.send_error(MouthpieceError("this failed on the server; try again"))
