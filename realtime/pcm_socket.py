"""The WebSocket for live PCM: a hello that says the format, then sound, flush and clear.

Touches one socket. Errors are answered on the socket and cost what they concern, not the connection; only a client
that sends sound before its hello is let go.
"""

from __future__ import annotations

from typing import Any

from aiohttp import WSMsgType, web

from realtime import protocol
from realtime.errors import MouthpieceError
from realtime.pcm import PcmDecoder
from realtime.session import Session
from realtime.sockets import PCM_MESSAGE_BYTES
from realtime.speaker import PcmFeed

HEARTBEAT_S = 10.0
POLICY_VIOLATION = 1008
"""WebSocket close code (RFC 6455, 7.4.1)."""


async def serve_pcm(request: web.Request, session: Session) -> web.WebSocketResponse:
    """Serves one client until it leaves or the session ends."""
    socket = web.WebSocketResponse(max_msg_size=PCM_MESSAGE_BYTES, heartbeat=HEARTBEAT_S)
    await socket.prepare(request)
    feed = session.open_pcm()
    session.guests.add(socket.close)
    try:
        await _Client(socket, session, feed).run()
    finally:
        session.guests.discard(socket.close)
        feed.close()
    return socket


class _Client:
    """What one socket has said so far: its format."""

    def __init__(self, socket: web.WebSocketResponse, session: Session, feed: PcmFeed) -> None:
        self._socket = socket
        self._session = session
        self._feed = feed
        self._decoder: PcmDecoder | None = None

    async def run(self) -> None:
        async for message in self._socket:
            try:
                if message.type is WSMsgType.BINARY:
                    if not await self._sound(message.data):
                        return
                elif message.type is WSMsgType.TEXT:
                    await self._text(message.data)
            except MouthpieceError as error:
                await self._answer({"type": "error", "code": error.code, "message": str(error)})

    async def _sound(self, data: bytes) -> bool:
        if self._decoder is None:
            sentence = 'say the format first: {"type": "hello", "format": "s16le", "rate": 16000, "channels": 1}'
            await self._answer({"type": "error", "code": "no_hello", "message": sentence})
            await self._socket.close(code=POLICY_VIOLATION)
            return False
        self._feed.push(self._decoder.decode(data))
        return True

    async def _text(self, text: str) -> None:
        match protocol.pcm_message(text):
            case protocol.PcmHello() as hello:
                self._decoder = PcmDecoder(hello)
                await self._answer({"type": "ready"})
            case protocol.PcmFlush():
                if self._decoder:
                    self._feed.push(self._decoder.flush())
                self._feed.flush(self._flushed)
            case protocol.PcmClear():
                self._session.interrupt()
                await self._answer({"type": "cleared"})

    def _flushed(self, played: bool) -> None:
        self._session.begin(self._answer({"type": "flushed", "interrupted": not played}))

    async def _answer(self, message: dict[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_json(message)
