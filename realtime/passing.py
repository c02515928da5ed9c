"""Passes HTTP calls and WebSockets on to another server, and its answers back, as they are.

Touches the network through what it is given. Bodies of any length flow through; nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import aiohttp
from aiohttp import web

from realtime.sockets import PCM_MESSAGE_BYTES, keep_buffers_small

KEPT_MESSAGES = 25
WRITE_BYTES = 65_536
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}


def headers_of(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that concern what is said, not the connection that it came over (RFC 9110, 7.6.1)."""
    return [(name, value) for name, value in pairs if name.lower() not in HOP_BY_HOP]


async def forward(request: web.Request, http: aiohttp.ClientSession, body: Any) -> web.StreamResponse:
    """The same request to `http`, and its answer. body: bytes, or a stream. Raises aiohttp.ClientError."""
    headers = headers_of(request.headers.items())
    answer = await http.request(request.method, request.raw_path, data=body, headers=headers, allow_redirects=False)
    return await passed_back(request, answer)


async def passed_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """An answer, as it comes."""
    async with answer:
        passed = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in headers_of(answer.headers.items()):
            passed.headers.add(name, value)
        await passed.prepare(request)
        async for piece in answer.content.iter_any():
            await passed.write(piece)
        await passed.write_eof()
        return passed


async def carry_socket(request: web.Request, http: aiohttp.ClientSession, is_live: bool) -> web.StreamResponse:
    """Two sockets as one, until either side closes. is_live: a client that does not read loses the oldest messages.

    Raises aiohttp.ClientError.
    """
    headers = {name: value for name, value in request.headers.items() if name in ("Authorization", "Origin")}
    try:
        inner = await http.ws_connect(request.raw_path, headers=headers, max_msg_size=PCM_MESSAGE_BYTES)
    except aiohttp.WSServerHandshakeError as error:
        words = "the socket was refused; check that the session is on air and the token right"
        return web.json_response({"error": {"code": "refused", "message": words}}, status=error.status)
    outer = web.WebSocketResponse(max_msg_size=PCM_MESSAGE_BYTES, writer_limit=0 if is_live else WRITE_BYTES)
    await outer.prepare(request)
    out: Any = outer
    async with inner:
        ways = [asyncio.create_task(_carry(outer, inner))]
        if is_live:
            keep_buffers_small(request)
            out = Newest()
            ways.append(asyncio.create_task(out.empty_into(outer)))
        ways.append(asyncio.create_task(_carry(inner, out)))
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        if not outer.closed:
            await outer.close(code=inner.close_code or aiohttp.WSCloseCode.OK)
    return outer


class Newest:
    """Takes the place of a socket to be sent to: keeps the newest messages for one that is slow."""

    def __init__(self) -> None:
        self._waiting: deque[str | bytes] = deque(maxlen=KEPT_MESSAGES)
        self._filled = asyncio.Event()

    async def send_str(self, text: str) -> None:
        self._waiting.append(text)
        self._filled.set()

    async def send_bytes(self, data: bytes) -> None:
        self._waiting.append(data)
        self._filled.set()

    async def empty_into(self, target: Any) -> None:
        """Sends what comes in, for ever."""
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                await (target.send_str(message) if isinstance(message, str) else target.send_bytes(message))
            self._filled.clear()
            await self._filled.wait()


async def _carry(source: Any, target: Any) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
