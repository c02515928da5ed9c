"""The WebSocket that motion leaves by: a JSON header that names the columns, then a binary frame each 40 ms.

Touches one socket. What the client says is not read; when it does not read, the oldest frames are dropped.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from realtime.motion_feed import MotionQueue, header
from realtime.session import Session
from realtime.sockets import keep_buffers_small

MAX_MESSAGE_BYTES = 1024
HEARTBEAT_S = 10.0


async def serve_motion(request: web.Request, session: Session) -> web.WebSocketResponse:
    """Serves one client until it leaves or the session ends."""
    socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, heartbeat=HEARTBEAT_S, writer_limit=0)
    await socket.prepare(request)
    keep_buffers_small(request)
    queue = MotionQueue()
    await socket.send_json(header() | {"session": session.id})
    session.motion.listeners.add(queue.put)
    session.guests.add(socket.close)
    sending = asyncio.create_task(_send(socket, queue), name="motion")
    try:
        async for _ in socket:
            pass
    finally:
        session.motion.listeners.discard(queue.put)
        session.guests.discard(socket.close)
        sending.cancel()
    return socket


async def _send(socket: web.WebSocketResponse, queue: MotionQueue) -> None:
    while not socket.closed:
        await socket.send_bytes((await queue.get()).packed())
