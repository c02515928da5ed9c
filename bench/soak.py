"""Connect and leave, again and again: does the server keep any memory, thread or descriptor?

    python -m bench.soak [--cycles 500] [--together 3] [--transport-only] [--avatar elias]

Every other client says goodbye (DELETE), the rest just close. Growth is counted from a fifth of the cycles on, when
pools and caches are filled, always after a pause in which clients that left are noticed. 6 minutes for 500 cycles.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import plots
from bench.results import save, table
from bench.servers import Running, flash_server, real_server
from bench.viewer import Viewer

SETTINGS = "[engine]\ncapacity = 16\n[session]\nresume_s = 1\n"
SETTLE_S = 12.0
"""Longer than a peer waits for a silent client (4 s), its session for it to come back, memory to be given back, and the
front keeps a connection to a media process that nobody uses (10 s)."""

STAY_S = 0.6
ROUNDS = 10
GATE_GROWTH = 0.02


def reading(running: Running) -> dict[str, int]:
    return {
        "memory_kb": running.own_memory_bytes() // 1024,
        "threads": running.threads(),
        "descriptors": running.descriptors(),
    }


async def cycle(url: str, number: int) -> None:
    """One client comes, sees a picture or two, and leaves."""
    viewer = Viewer(url)
    try:
        await viewer.start()
        await asyncio.sleep(STAY_S)
    finally:
        await (viewer.stop() if number % 2 == 0 else viewer.vanish())


async def _some(url: str, numbers: list[int]) -> int:
    """These cycles, one after the other; how many were refused for want of a place."""
    refused = 0
    for number in numbers:
        try:
            await cycle(url, number)
        except RuntimeError as error:
            if not str(error).startswith("503"):
                raise
            refused += 1
            await asyncio.sleep(1)
    return refused


def _trend(points: list[tuple[int, int]]) -> int:
    """How far the straight line through the points rises from the first to the last: single readings vary by 3 %."""
    if len(points) < 3:
        return points[-1][1] - points[0][1] if points else 0
    x, y = np.array(points, float).T
    return round(float(np.polyfit(x, y, 1)[0]) * (x[-1] - x[0]))


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    async with contextlib.AsyncExitStack() as stack:
        if args.transport_only:
            address, pid = await stack.enter_async_context(flash_server("clock", 256))
            url = f"{address}/sessions"
        else:
            config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "soak.toml"
            config.write_text(SETTINGS)
            address, pid = await stack.enter_async_context(real_server("--config", str(config)))
            url = f"{address}/sessions?avatar={args.avatar}"
        running, refused, rows = Running(pid), 0, []
        size = max(args.cycles // ROUNDS, args.together)
        for first in range(0, args.cycles, size):
            numbers = range(first, min(first + size, args.cycles))
            lanes = [list(numbers[lane :: args.together]) for lane in range(args.together)]
            refused += sum(await asyncio.gather(*(_some(url, lane) for lane in lanes)))
            await asyncio.sleep(SETTLE_S)
            rows.append({"cycles": numbers[-1] + 1, **reading(running)})
            print(rows[-1], flush=True)
    settled, end = rows[min(1, len(rows) - 1)], rows[-1]
    growth = {name: end[name] - settled[name] for name in ("threads", "descriptors")}
    growth |= {"memory_kb": _trend([(row["cycles"], row["memory_kb"]) for row in rows[1:]])}
    return {"rows": rows, "settled": settled, "end": end, "growth": growth, "refused": refused}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=500)
    parser.add_argument("--together", type=int, default=3, help="clients at a time")
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--transport-only", action="store_true")
    args = parser.parse_args()
    figures = asyncio.run(measure(args))
    settled, end, growth = figures["settled"], figures["end"], figures["growth"]
    table([(name, settled[name], end[name], growth[name]) for name in growth], ("", "settled", "end", "growth"))
    share = growth["memory_kb"] / settled["memory_kb"]
    counted = end["cycles"] - settled["cycles"]
    clean = share <= GATE_GROWTH and growth["threads"] <= 0 and growth["descriptors"] <= 0
    print(
        f"\n{args.cycles} cycles, {figures['refused']} refused while places were held; "
        f"memory {share:+.1%} over the last {counted} ({growth['memory_kb'] / max(counted, 1):+.1f} kB a cycle)"
    )
    print(f"gate growth <= {GATE_GROWTH:.0%}, no thread or descriptor: {'passed' if clean else 'FAILED'}")
    name = "soak_transport" if args.transport_only else "soak"
    rows = figures["rows"]
    memory_mb = [row["memory_kb"] / 1024 for row in rows]
    limit = {"+2 %": settled["memory_kb"] / 1024 * (1 + GATE_GROWTH)}
    plots.lines(name, {"memory": ([r["cycles"] for r in rows], memory_mb)}, ("cycles", "unique memory, MB"), limit)
    save(name, vars(args) | figures)


if __name__ == "__main__":
    main()
