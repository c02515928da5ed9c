"""Connect and leave, again and again: does the server keep any memory, thread or descriptor?

    python -m bench.soak [--cycles 100] [--transport-only] [--avatar elias]

Every other client says goodbye (DELETE), the rest just vanish. Growth is measured over the second half, when pools and
caches are filled, after a pause in which vanished clients are noticed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from typing import Any

import psutil

from bench.results import save, table
from bench.servers import flash_server, real_server
from bench.viewer import Viewer

SETTLE_S = 22.0
"""Longer than a session waits for its client to come back (15 s), and a peer for a silent one (4 s)."""

STAY_S = 0.6
GATE_GROWTH = 0.02


def reading(process: psutil.Process) -> dict[str, int]:
    memory = process.memory_full_info()
    return {
        "memory_kb": memory.uss // 1024,
        "threads": process.num_threads(),
        "descriptors": process.num_fds(),
    }


async def cycle(url: str, number: int) -> None:
    """One client comes, sees a picture or two, and leaves."""
    viewer = Viewer(url)
    try:
        await viewer.start()
        await asyncio.sleep(STAY_S)
    finally:
        await (viewer.stop() if number % 2 == 0 else viewer.vanish())


async def measure(cycles: int, transport_only: bool, avatar: str) -> dict[str, Any]:
    async with contextlib.AsyncExitStack() as stack:
        if transport_only:
            address, pid = await stack.enter_async_context(flash_server("clock", 256))
            url = f"{address}/sessions"
        else:
            address, pid = await stack.enter_async_context(real_server())
            url = f"{address}/sessions?avatar={avatar}"
        process, refused = psutil.Process(pid), 0
        settled: dict[str, int] = {}
        for number in range(cycles):
            try:
                await cycle(url, number)
            except RuntimeError as error:
                if not str(error).startswith("503"):
                    raise
                refused += 1  # vanished clients still hold their places: wait for one
                await asyncio.sleep(2)
            if number == cycles // 2:
                await asyncio.sleep(SETTLE_S)
                settled = reading(process)
        await asyncio.sleep(SETTLE_S)
        end = reading(process)
    growth = {name: end[name] - settled[name] for name in end}
    return {"settled": settled, "end": end, "growth": growth, "cycles": cycles, "refused": refused}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--transport-only", action="store_true")
    args = parser.parse_args()
    figures = asyncio.run(measure(args.cycles, args.transport_only, args.avatar))
    table(
        [(name, figures["settled"][name], figures["end"][name], figures["growth"][name]) for name in figures["end"]],
        ("", "settled", "end", "growth"),
    )
    share = figures["growth"]["memory_kb"] / figures["settled"]["memory_kb"]
    clean = share <= GATE_GROWTH and figures["growth"]["threads"] <= 0 and figures["growth"]["descriptors"] <= 0
    print(f"\n{args.cycles} cycles, {figures['refused']} refused while places were held; memory {share:+.1%}")
    print(f"gate growth <= {GATE_GROWTH:.0%}, no thread or descriptor: {'passed' if clean else 'FAILED'}")
    save("soak_transport" if args.transport_only else "soak", figures)


if __name__ == "__main__":
    main()
