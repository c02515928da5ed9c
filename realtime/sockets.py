"""What is agreed on about WebSockets: how large their messages are, and how little lies in their buffers.

Touches the socket that it is given.
"""

from __future__ import annotations

import asyncio
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import web

PCM_MESSAGE_BYTES = 4_000_000
"""The largest message of sound."""

SEND_BUFFER_BYTES = 4096
"""What may lie in the buffers behind us: beyond it we wait, and the queue before us drops what is old."""


def keep_buffers_small(request: web.Request) -> None:
    """Little lies between us and a client that does not read."""
    transport = request.transport
    if isinstance(transport, asyncio.Transport):
        transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
