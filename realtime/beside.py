"""Short programs run beside live sessions: started without holding the event loop up, on whichever core is free.

Touches threads and child processes. uvloop's own way to start one stops the loop for 8 ms, and a media process that is
pinned to a core would share that core with its children.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence

from realtime import cores


async def run(command: Sequence[str], given: bytes) -> tuple[int, bytes, bytes]:
    """Exit status, output and errors of a program that reads `given`. A caller that is cancelled takes it along."""
    starting = asyncio.ensure_future(asyncio.to_thread(_start, command))
    try:
        child = await asyncio.shield(starting)
        out, err = await asyncio.to_thread(child.communicate, given)
    except asyncio.CancelledError:
        child = await starting
        child.kill()
        await asyncio.to_thread(child.wait)
        raise
    return child.returncode, out, err


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    cores.unpin(child.pid)
    return child
