"""Server processes for benches: started on a free port, waited for, ended for certain.
Starts processes; finds the machine's free ports. Benches measure from outside, on the process that a user would run.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import aiohttp
import psutil

from bench.results import RESULTS

START_TIMEOUT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A server's process and its children, counted as one."""

    def __init__(self, pid: int) -> None:
        self._first = psutil.Process(pid)

    def _all(self) -> list[psutil.Process]:
        return [self._first, *self._first.children(recursive=True)]

    def cpu_s(self) -> float:
        """Seconds of processor time that were used since the start."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def memory_bytes(self) -> int:
        """What they take; what several share counts once."""
        return sum(process.memory_full_info().pss for process in self._all())

    def own_memory_bytes(self) -> int:
        """What would be free if they ended."""
        return sum(process.memory_full_info().uss for process in self._all())

    def threads(self) -> int:
        return sum(process.num_threads() for process in self._all())

    def descriptors(self) -> int:
        return sum(process.num_fds() for process in self._all())


@asynccontextmanager
async def server(command: Sequence[str], ready_path: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Run `python COMMAND`, and give its address and process id once `ready_path` answers. Its words go to a file."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "server.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(START_TIMEOUT_S), aiohttp.ClientSession() as http:
            while True:
                if process.returncode is not None:
                    raise SystemExit(f"the server ended at once (bench/results/server.log): python {' '.join(command)}")
                with suppress(aiohttp.ClientError):
                    async with http.get(address + ready_path) as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.1)
        yield address, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def flash_server(
    mode: str, size: int = 512, codec: str = "H264", host: str = "127.0.0.1"
) -> AsyncIterator[tuple[str, int]]:
    """The transport alone (bench.flash_server)."""
    port = free_port()
    options = ["--port", str(port), "--host", host, "--mode", mode, "--size", str(size), "--codec", codec]
    async with server(["-m", "bench.flash_server", *options], "/stats", port) as running:
        yield running


@asynccontextmanager
async def real_server(*options: str) -> AsyncIterator[tuple[str, int]]:
    """`server.py serve`, as users run it."""
    port = free_port()
    async with server(["server.py", "serve", "--port", str(port), *options], "/healthz", port) as running:
        yield running


@asynccontextmanager
async def face_server(*options: str, host: str = "127.0.0.1") -> AsyncIterator[tuple[str, int]]:
    """The whole server, whose face flashes while it hears loud sound (bench.face_server)."""
    port = free_port()
    command = ["-m", "bench.face_server", "--port", str(port), "--host", host, *options]
    async with server(command, "/healthz", port) as running:
        yield running
