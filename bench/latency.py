"""From the microphone to the screen, in Chromium: a beep goes in; when does the flash come out, and the beep?

    python -m bench.latency [--seconds 40] [--size 512] [--avatar elias] [--look-ahead-ms 80] [--transport-only]

Two runs: the transport alone (the server echoes; loud sound makes a white picture), then the whole server with a face,
where the beep is timed (its picture leaves with it). Times are the page's: caught by the microphone → shown, heard.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page

from bench import sounds
from bench.browser import chromium_page, report
from bench.results import percentiles, save, table
from bench.servers import flash_server, real_server

EVERY_S = 1.07  # no multiple of 40 ms, so that beeps fall anywhere in a chunk
LENGTH_S = 0.12
WARM_UP_MS = 6000


def delays_ms(causes: Sequence[float], effects: Sequence[float]) -> list[float]:
    """For each cause (ms) the first effect after it, within one period."""
    found = np.asarray(sorted(effects))
    delays = []
    for cause in causes:
        later = found[found > cause]
        if later.size and later[0] - cause < 1000 * EVERY_S:
            delays.append(float(later[0] - cause))
    return delays


async def _listen(page: Page, url: str, seconds: float) -> dict[str, Any]:
    await page.evaluate("url => connect(url, {microphone: true})", url)
    await asyncio.sleep(seconds)
    seen = await report(page)
    since = seen["frames"][0]["at"] + WARM_UP_MS
    spoken = [beep["processed"] for beep in seen["spoken"] if beep["processed"] > since]
    figures = {
        "heard_ms": percentiles(delays_ms(spoken, [beep["at"] for beep in seen["played"]])),
        "shown_ms": percentiles(delays_ms(spoken, [flash["at"] for flash in seen["flashes"]])),
        "buffers_ms": {kind: round(stream["jitterBufferMs"], 1) for kind, stream in seen["inbound"].items()},
    }
    told = [m for m in seen["messages"] if m["type"] == "latency" and m["at"] > since]
    if told:
        names = sorted({name for message in told for name in message["stages"]})
        figures["server_ms"] = percentiles(message["total_ms"] for message in told)
        figures["server_stages_ms"] = {
            name: round(float(np.mean([m["stages"].get(name, 0.0) for m in told])), 1) for name in names
        }
    return figures


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        beeps = sounds.beeps(EVERY_S, LENGTH_S, EVERY_S * 40)
        microphone = sounds.write_wav(Path(folder) / "beeps.wav", beeps)
        figures: dict[str, Any] = {}
        async with flash_server("echo", args.size) as (address, _):
            async with chromium_page(f"{address}/probe", microphone) as page:
                figures["transport"] = await _listen(page, f"{address}/sessions", args.seconds)
            if args.transport_only:
                return figures
            async with (
                real_server() as (real, _),
                chromium_page(f"{address}/probe", microphone) as page,
            ):
                url = f"{real}/sessions?avatar={args.avatar}&look_ahead_ms={args.look_ahead_ms}"
                figures["whole"] = await _listen(page, url, args.seconds)
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--look-ahead-ms", type=int, default=80)
    parser.add_argument("--transport-only", action="store_true")
    args = parser.parse_args()
    figures = asyncio.run(measure(args))
    rows = []
    for run, found in figures.items():
        for name in ("shown_ms", "heard_ms", "server_ms"):
            if found.get(name, {}).get("n"):
                rows.append((run, name, *(found[name][p] for p in ("p50", "p95", "p99", "n"))))
    table(rows, ("run", "microphone →", "p50", "p95", "p99", "n"))
    for run, found in figures.items():
        print(f"{run}: browser buffers {found['buffers_ms']} ms; server stages {found.get('server_stages_ms', {})} ms")
    save("latency", vars(args) | figures)


if __name__ == "__main__":
    main()
