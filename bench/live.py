"""A live session with a real avatar and a speaking microphone: is every picture there in time, and how late is it?

    python -m bench.live [--seconds 300] [--avatar elias] [--look-ahead-ms 80] [--client light|chromium] [--films]

Runs `server.py serve` as users do. The server's own histograms give the delay from a chunk's last sample received to
its release to the encoder; `late` counts pictures that were not ready when due. With `--films` the server makes one
film after the other meanwhile (`POST /films`), which must not disturb the session.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bench import sounds
from bench.browser import chromium_page, inbound, probe_site, report
from bench.results import save, table
from bench.servers import Running, real_server
from bench.viewer import Recording, Viewer

WARM_UP_S = 5.0
GATE_LATE_PER_MILLE = 5.0
GATE_DELAY_P95_MS = 160.0

Samples = dict[tuple[str, str, str], float]


async def metrics(address: str) -> Samples:
    """The server's metrics by (name, stage, bucket), those of several processes added up."""
    async with aiohttp.ClientSession() as http, http.get(f"{address}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    found: Samples = collections.defaultdict(float)
    for family in families:
        for sample in family.samples:
            found[sample.name, sample.labels.get("stage", ""), sample.labels.get("le", "")] += sample.value
    return found


def percentile_ms(before: Samples, after: Samples, stage: str, share: float) -> float | None:
    """A percentile of a stage between two readings, from the histogram, linear within a bucket."""
    counts = sorted(
        (float(bound), value - before.get((name, stage, bound), 0.0))
        for (name, its_stage, bound), value in after.items()
        if name == "mouthpiece_stage_seconds_bucket" and its_stage == stage
    )
    if not counts or not counts[-1][1]:
        return None
    wanted, low_s, low_n = share * counts[-1][1], 0.0, 0.0
    for bound_s, n in counts:
        if n >= wanted:
            high_s = bound_s if bound_s != float("inf") else low_s
            return round(1000 * (low_s + (high_s - low_s) * (wanted - low_n) / max(n - low_n, 1e-9)), 1)
        low_s, low_n = bound_s, n
    return None


async def measure(seconds: float, avatar: str, look_ahead_ms: int, client: str, films: bool = False) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        voice = sounds.speech(Path(folder))
        async with real_server() as (address, pid):
            url = f"{address}/sessions?avatar={avatar}&look_ahead_ms={look_ahead_ms}"
            run = _light if client == "light" else _chromium
            made: list[float] = []
            recording = sounds.write_wav(Path(folder) / "recording.wav", voice).read_bytes()
            filming = asyncio.create_task(_film(address, avatar, recording, made))
            if not films:
                filming.cancel()
            figures = await run(url, address, pid, voice, seconds, Path(folder))
            filming.cancel()
            await asyncio.wait([filming])
            return figures | {"films": len(made), "film_seconds": round(sum(made), 1)}


async def _film(address: str, avatar: str, recording: bytes, made: list[float]) -> None:
    """Films, one after the other, until it is cancelled; the seconds of each go to `made`."""
    async with aiohttp.ClientSession() as http:
        while True:
            form = aiohttp.FormData({"avatar": avatar})
            form.add_field("audio", recording, filename="recording.wav")
            async with http.post(f"{address}/films", data=form) as answer:
                film = await answer.json()
            while film["state"] not in ("done", "failed"):
                await asyncio.sleep(0.5)
                async with http.get(f"{address}/films/{film['id']}") as answer:
                    film = await answer.json()
            assert film["state"] == "done", film
            made.append(film["seconds"])


async def _observe(address: str, pid: int, seconds: float) -> dict[str, Any]:
    """What the server says of itself over `seconds`, after a warm-up."""
    await asyncio.sleep(WARM_UP_S)
    running = Running(pid)
    before, cpu_s, began = await metrics(address), running.cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    after, used_s, elapsed_s = await metrics(address), running.cpu_s() - cpu_s, time.monotonic() - began

    def grown(name: str) -> float:
        return after.get((name, "", ""), 0.0) - before.get((name, "", ""), 0.0)

    stages = sorted({stage for name, stage, _ in after if name == "mouthpiece_stage_seconds_bucket"})
    chunks = grown("mouthpiece_chunks_total")
    return {
        "chunks": int(chunks),
        "chunks_per_s": round(chunks / elapsed_s, 2),
        "late_per_mille": round(1000 * grown("mouthpiece_late_pictures_total") / max(chunks, 1), 2),
        "moved_timelines": int(grown("mouthpiece_moved_timelines_total")),
        "stages_ms": {
            stage: {p: percentile_ms(before, after, stage, q) for p, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
            for stage in stages
        },
        "server_cores": round(used_s / elapsed_s, 3),
        "server_memory_mb": round(running.memory_bytes() / 2**20),
        "threads": running.threads(),
    }


async def _light(url: str, address: str, pid: int, voice: Any, seconds: float, _folder: Path) -> dict[str, Any]:
    viewer = Viewer(url, Recording(voice))
    await viewer.start()
    figures = await _observe(address, pid, seconds)
    received = {"frames_received": viewer.frames}
    await viewer.stop()
    return figures | {"viewer": received}


async def _chromium(url: str, address: str, pid: int, voice: Any, seconds: float, folder: Path) -> dict[str, Any]:
    microphone = sounds.write_wav(folder / "microphone.wav", voice)
    async with probe_site() as probe, chromium_page(probe, microphone) as page:
        await page.evaluate("url => connect(url, {microphone: true})", url)
        figures = await _observe(address, pid, seconds)
        return figures | {"viewer": (await inbound(page)) | {"state": (await report(page))["state"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--look-ahead-ms", type=int, default=80)
    parser.add_argument("--client", choices=("light", "chromium"), default="light")
    parser.add_argument("--films", action="store_true", help="make films meanwhile")
    args = parser.parse_args()
    figures = asyncio.run(measure(args.seconds, args.avatar, args.look_ahead_ms, args.client, args.films))
    rows = [(stage, *times.values()) for stage, times in figures["stages_ms"].items() if stage != "total"]
    total = figures["stages_ms"]["total"]
    table([*rows, ("total", *total.values())], ("stage, ms", "p50", "p95", "p99"))
    print(
        f"\n{figures['chunks']} chunks, {figures['chunks_per_s']} a second; "
        f"late {figures['late_per_mille']} per mille; timeline moved {figures['moved_timelines']} times; "
        f"server {figures['server_cores']} cores, {figures['server_memory_mb']} MB"
    )
    if args.films:
        print(f"{figures['films']} films meanwhile, {figures['film_seconds']} s of them")
    in_time = figures["late_per_mille"] <= GATE_LATE_PER_MILLE
    quick = total["p95"] is not None and total["p95"] <= GATE_DELAY_P95_MS
    print(f"gate late <= {GATE_LATE_PER_MILLE:.0f} per mille: {'passed' if in_time else 'FAILED'}")
    print(f"gate server delay p95 <= {GATE_DELAY_P95_MS:.0f} ms: {'passed' if quick else 'FAILED'}")
    save("live", vars(args) | figures)


if __name__ == "__main__":
    main()
