"""How many sessions at 25 fps does this machine carry? One more every few seconds, until pictures come late.

    python -m bench.capacity [--most 6] [--seconds 15] [--avatar elias] [--transport-only] [--size 512]

The clients run on the same machine and take part of it: the table says how much. `--transport-only` has no model.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import psutil

from bench import sounds
from bench.live import metrics
from bench.results import save, table
from bench.servers import flash_server, real_server
from bench.viewer import Viewer

LATE_PER_MILLE = 5.0
SETTLE_S = 4.0
EXPECTED_FPS = 25.0


async def _fps_and_cores(viewers: list[Viewer], process: psutil.Process, seconds: float) -> tuple[float, float, float]:
    """Pictures a second of the worst viewer, cores of the server, cores of the clients (this process)."""
    own = psutil.Process()
    frames = [viewer.frames for viewer in viewers]
    server, clients = sum(process.cpu_times()[:2]), sum(own.cpu_times()[:2])
    await asyncio.sleep(seconds)
    fps = min((viewer.frames - before) / seconds for viewer, before in zip(viewers, frames, strict=True))
    cores = (sum(process.cpu_times()[:2]) - server) / seconds, (sum(own.cpu_times()[:2]) - clients) / seconds
    return fps, *cores


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        voice = sounds.speech(folder)
        if args.transport_only:
            address, pid = await stack.enter_async_context(flash_server("echo", args.size))
            url = f"{address}/sessions"
        else:
            config = folder / "capacity.toml"
            config.write_text(f"[engine]\ncapacity = {args.most}\n")
            address, pid = await stack.enter_async_context(real_server("--config", str(config)))
            url = f"{address}/sessions?avatar={args.avatar}"
        process, viewers = psutil.Process(pid), []
        for count in range(1, args.most + 1):
            viewers.append(Viewer(url, voice))
            await viewers[-1].start()
            await asyncio.sleep(SETTLE_S)
            before = {} if args.transport_only else await metrics(address)
            fps, server, clients = await _fps_and_cores(viewers, process, args.seconds)
            row = {"sessions": count, "worst_fps": round(fps, 1), "server_cores": round(server, 2)}
            row |= {"cores_per_session": round(server / count, 3), "client_cores": round(clients, 2)}
            if not args.transport_only:
                after = await metrics(address)
                names = ("mouthpiece_late_pictures_total", "mouthpiece_chunks_total")
                late, chunks = (after.get((n, "", ""), 0) - before.get((n, "", ""), 0) for n in names)
                row["late_per_mille"] = round(1000 * late / max(chunks, 1), 1)
            rows.append(row)
            print(row, flush=True)
            if row.get("late_per_mille", 0.0) > LATE_PER_MILLE or fps < 0.9 * EXPECTED_FPS:
                break
        await asyncio.gather(*(viewer.stop() for viewer in viewers))
    carried = [r["sessions"] for r in rows if r.get("late_per_mille", 0.0) <= LATE_PER_MILLE
               and r["worst_fps"] >= 0.9 * EXPECTED_FPS]  # fmt: skip
    return {"rows": rows, "carried": max(carried, default=0), "cpus": os.cpu_count()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--transport-only", action="store_true")
    args = parser.parse_args()
    figures = asyncio.run(measure(args))
    table([tuple(row.values()) for row in figures["rows"]], tuple(figures["rows"][0]))
    print(f"\ncarried: {figures['carried']} sessions with at most {LATE_PER_MILLE:.0f} per mille late")
    save("capacity_transport" if args.transport_only else "capacity", vars(args) | figures)


if __name__ == "__main__":
    main()
