"""How many sessions at 25 fps does this machine carry? One more every few seconds, until pictures come late.

    python -m bench.capacity [--sizes 512 256] [--processes 1 2 4] [--most 8] [--seconds 15] [--device cuda]
                             [--transport-only]

Two parts for each size. The models alone, in this process: how long a full step of 1, 2, 4 … speaking faces takes,
what of it goes before the drawing and what a face's drawing takes, and how many fit into a tick of 40 ms. The whole
server, with each number of media processes (unless told, what `serve` takes): light clients that speak join one by
one, until pictures of so many are late twice in a row; carried is the most with at most 0.5 % late. The clients run on
the same machine and take part of it: the table says how much. `--transport-only` has no model. For the curve against
cores, start it under `taskset -c`. A minute a size and 20 s a session up to the first too many: 4 minutes on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `server.py` does, before NumPy is loaded

import cv2
import numpy as np

from bench import plots, sounds
from bench.live import metrics
from bench.results import save, table
from bench.servers import Running, flash_server, real_server
from bench.viewer import Recording, Viewer
from models.avatar import Avatar, StepInput
from models.generator import FrameGenerator
from models.rates import SPEECH_CHUNK
from models.style import Style
from realtime import capacity, config, cores
from realtime.identities import AvatarStore
from realtime.timebase import CHUNK_S

LATE_PER_MILLE = 5.0
CHANCES = 2
"""Times in a row that a number of sessions must be late to be too many: a machine has hiccups that are not ours."""

SETTLE_S = 4.0
EXPECTED_FPS = 25.0
STEPS = 25


def model_alone(generator: FrameGenerator, device: str, most: int) -> list[dict[str, Any]]:
    """Milliseconds of a step by its rows, until it takes more than a tick; the last line is how many fit.

    before: encoder and motion of all rows. face: what is left of the step, which is the drawing, for each row.
    """
    cv2.setNumThreads(1)
    avatar = Avatar(device, 1, cores.count(), config.EngineConfig().gpu_cache_bytes, most)
    noise = np.random.default_rng(0).normal(0, 0.1, SPEECH_CHUNK).astype(np.float32)
    row, rows = StepInput(noise, generator, Style()), []

    def step_s(count: int) -> float:
        states, took = [avatar.initial_state(seed, 0) for seed in range(count)], []
        for _ in range(STEPS):
            began = time.perf_counter()
            frames, states = avatar.step([row] * count, states)
            step_ms = 1000 * (time.perf_counter() - began)
            stages = [frame.stage_ms for frame in frames if frame]
            took.append((step_ms, stages[0]["encoder"] + sum(stage["motion"] for stage in stages)))
        step_ms, before_ms = np.percentile(took[2:], 50, axis=0)
        p95_ms = float(np.percentile([step for step, _ in took[2:]], 95))
        figures = {"step_p50_ms": step_ms, "step_p95_ms": p95_ms, "before_p50_ms": before_ms}
        figures["face_p50_ms"] = (step_ms - before_ms) / count
        rows.append({"batch": count} | {name: round(float(value), 2) for name, value in figures.items()})
        return p95_ms / 1000

    fit = capacity.most_rows(step_s, CHUNK_S, most)
    rest = {"before_p50_ms": "", "face_p50_ms": ""}
    return [*rows, {"batch": fit, "step_p50_ms": "fit into", "step_p95_ms": round(CHUNK_S * 1000)} | rest]


async def _watched(
    viewers: list[Viewer], address: str, running: Running, processes: int, args: argparse.Namespace
) -> dict[str, Any]:
    """A row: what the server did for `viewers` in so many seconds."""
    before = {} if args.transport_only else await metrics(address)
    fps, server, clients = await _fps_and_cores(viewers, running, args.seconds)
    row = {
        "processes": processes,
        "sessions": len(viewers),
        "worst_fps": round(fps, 1),
        "server_cores": round(server, 2),
        "cores_per_session": round(server / len(viewers), 3),
        "client_cores": round(clients, 2),
    }
    if not args.transport_only:
        after = await metrics(address)
        names = ("late_pictures_total", "skipped_pictures_total", "chunks_total")
        late, skipped, chunks = (
            after.get((f"mouthpiece_{n}", "", ""), 0) - before.get((f"mouthpiece_{n}", "", ""), 0) for n in names
        )
        row["late_per_mille"] = round(1000 * late / max(chunks, 1), 1)
        row["undrawn_per_mille"] = round(1000 * skipped / max(chunks, 1), 1)
    print(row, flush=True)
    return row


async def _fps_and_cores(viewers: list[Viewer], server: Running, seconds: float) -> tuple[float, float, float]:
    """Pictures a second of the worst viewer, cores of the server, cores of the clients (this process)."""
    frames, server_s, clients_s = [viewer.frames for viewer in viewers], server.cpu_s(), time.process_time()
    await asyncio.sleep(seconds)
    fps = min((viewer.frames - before) / seconds for viewer, before in zip(viewers, frames, strict=True))
    return fps, (server.cpu_s() - server_s) / seconds, (time.process_time() - clients_s) / seconds


async def whole(args: argparse.Namespace, size: int, processes: int) -> list[dict[str, Any]]:
    """One row for each number of sessions, up to the first that is too much."""
    rows: list[dict[str, Any]] = []
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        voice = Recording(sounds.speech(folder))
        if args.transport_only:
            address, pid = await stack.enter_async_context(flash_server("echo", size))
            url = f"{address}/sessions"
        else:
            settings = folder / "capacity.toml"
            settings.write_text(
                f'[engine]\ncapacity = {args.most}\ndevice = "{args.device}"\n'
                f'[avatars]\nsize_px = {size}\ndata_dir = "{folder}"\n'
            )
            options = ("--config", str(settings), "--processes", str(processes))
            address, pid = await stack.enter_async_context(real_server(*options))
            url = f"{address}/sessions?avatar={args.avatar}"
            await _enrolled(address)
        running, viewers = Running(pid), []
        for _ in range(args.most):
            viewers.append(Viewer(url, voice))
            await viewers[-1].start()
            await asyncio.sleep(SETTLE_S)
            for _ in range(CHANCES):
                rows.append(await _watched(viewers, address, running, processes, args))
                if _carried(rows[-1]):
                    break
            else:
                break
        await asyncio.gather(*(viewer.stop() for viewer in viewers))
    return rows


async def _enrolled(address: str) -> None:
    """Waits until the avatars that ship have been made ready at this size, and the machine has been measured."""
    ready = -1.0
    while True:
        before, ready = ready, (await metrics(address)).get(("mouthpiece_avatars_warm", "", ""), 0.0)
        if ready and ready == before:
            return
        await asyncio.sleep(2 * SETTLE_S)


def _carried(row: dict[str, Any]) -> bool:
    return row.get("late_per_mille", 0.0) <= LATE_PER_MILLE and row["worst_fps"] >= 0.9 * EXPECTED_FPS


def measure(args: argparse.Namespace, size: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    if not args.transport_only:
        with tempfile.TemporaryDirectory() as folder:
            settings = config.load(None, {"avatars.data_dir": folder, "avatars.size_px": size})
            generator = FrameGenerator(AvatarStore(settings).identity(args.avatar))
        figures["model"] = model_alone(generator, args.device, 512)
        table([tuple(row.values()) for row in figures["model"]], tuple(figures["model"][0]))
        print()
    figures["whole"] = {str(count): asyncio.run(whole(args, size, count)) for count in args.processes}
    figures["carried"] = {
        count: max((row["sessions"] for row in rows if _carried(row)), default=0)
        for count, rows in figures["whole"].items()
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--processes", type=int, nargs="+", default=[cores.processes("cpu")])
    parser.add_argument("--most", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--transport-only", action="store_true")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    for size in args.sizes:
        print(f"{size}²:", flush=True)
        figures[f"{size}"] = measure(args, size)
    late, used = {}, {}
    for size, found in figures.items():
        for processes, rows in found["whole"].items():
            label, carried = f"{size}², {processes} processes", found["carried"][processes]
            print(f"\n{label}: carried {carried} sessions with at most {LATE_PER_MILLE:.0f} per mille late")
            table([tuple(row.values()) for row in rows], tuple(rows[0]))
            counts = [row["sessions"] for row in rows]
            late[f"{label}: late, ‰"] = counts, [row.get("late_per_mille", 0.0) for row in rows]
            used[f"{label}: server cores"] = counts, [row["server_cores"] for row in rows]
    name = "capacity_transport" if args.transport_only else "capacity"
    plots.lines(name, late or used, ("sessions", "late pictures, ‰"), {"0.5 %": LATE_PER_MILLE})
    plots.lines(f"{name}_cores", used, ("sessions", "cores"), {})
    save(name, vars(args) | {"cpus": cores.count(), "by_size": figures})


if __name__ == "__main__":
    main()
