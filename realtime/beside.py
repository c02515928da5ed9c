"""What is done beside live sessions, on whichever core is free: short programs, and long work in a thread.

Touches threads and child processes. A media process that is pinned to a core would share that core with them; and
uvloop's own way to start a program stops its loop for 8 ms.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from realtime import cores

T = TypeVar("T")

WAITING_THREADS = 8
"""Threads for what waits: for a disk, a program, another thread."""


def keep_waiting_threads() -> None:
    """Gives the running event loop its threads for `asyncio.to_thread`, all of them now: of the pool that it would make
    itself, one more comes whenever so many wait at once as never before, and looks like a leak."""
    pool = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="waiting")
    all_there = threading.Barrier(WAITING_THREADS)
    for _ in range(WAITING_THREADS):
        pool.submit(all_there.wait)
    asyncio.get_running_loop().set_default_executor(pool)


async def work(do: Callable[..., T], *given: Any, niceness: int = 0) -> T:
    """What `do` returns, which runs in a thread of its own. niceness: how far this yields to others, as in `nice`, with
    the threads that it starts."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="beside", initializer=_step_aside, initargs=(niceness,))
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, do, *given)
    finally:
        thread.shutdown(wait=False)


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


def _step_aside(niceness: int) -> None:
    cores.unpin()
    if niceness and sys.platform == "linux":  # elsewhere it would be the whole process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    cores.unpin(child.pid)
    return child
