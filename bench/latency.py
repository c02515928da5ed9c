"""From the microphone to the screen, in Chromium: a beep goes in; when does the flash come out, and the beep?

    python -m bench.latency [--seconds 30] [--cases NAME …] [--avatar elias] [--size 512]

`transport …`: no model, the server echoes, and loud sound makes a white picture. `face …`: the whole server with its
models; the face turns white while its sound is loud (bench.face_server), at a look-ahead of 80 or 0 ms. Each case on a
network of its own (bench.network, needs root; `clean` is loopback). Times are the page's: caught by the microphone →
shown, heard. Steady: from the seventh second on; before that is cold. Beeps have unequal gaps (bench.beats), so that no
delay is taken for another; the trend tells whether it grows. All cases take 10 × (seconds + 8): 7 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page

from bench import plots, sounds
from bench.beats import PERIOD_S, STARTS_S, pair, trend
from bench.browser import CHROMIUM, chromium_page, clock_error_ms, probe_site, report, sure_flashes
from bench.network import Faults, bad_network
from bench.results import percentiles, save, table
from bench.servers import face_server, flash_server

LENGTH_S = 0.12
LONGEST_MS = 5000.0
WARM_UP_MS = 6000


@dataclass(frozen=True, slots=True)
class Case:
    """look_ahead_ms: None for the transport alone. target_ms: p50, p95 of what is shown; None where there is none."""

    look_ahead_ms: int | None
    faults: Faults
    target_ms: tuple[float, float | None] | None = None


CASES = {
    "transport": Case(None, Faults(), (95, 140)),
    "transport 2% 20ms": Case(None, Faults(20, 0, 0.02), (250, None)),
    "transport 5% 20ms": Case(None, Faults(20, 0, 0.05)),
    "transport 80ms": Case(None, Faults(80)),
    "transport jitter": Case(None, Faults(20, 30)),
    "face": Case(80, Faults(), (240, 300)),
    "face at 0ms": Case(0, Faults(), (160, None)),
    "face 2% 20ms": Case(80, Faults(20, 0, 0.02)),
    "face 5% 80ms": Case(80, Faults(80, 0, 0.05)),
    "face jitter": Case(80, Faults(20, 30)),
}


async def _listen(page: Page, url: str, seconds: float) -> dict[str, Any]:
    began = await page.evaluate("performance.now()")
    await page.evaluate("url => connect(url, {microphone: true})", url)
    await asyncio.sleep(seconds)
    seen = await report(page)
    if not seen["frames"]:
        raise SystemExit(f"no picture came ({seen['state']}); bench/results/server.log may say why")
    since = seen["frames"][0]["at"] + WARM_UP_MS
    spoken = np.asarray(seen["spoken"])
    flashes = {flash["at"]: flash["received"] for flash in sure_flashes(seen)}
    flashed = pair(spoken, list(flashes), 0, LONGEST_MS)
    came, shown = np.array([flashes.get(at, np.nan) for at in flashed]) - spoken, flashed - spoken
    heard = pair(spoken, seen["heard"], 0, LONGEST_MS) - spoken
    steady = spoken > since
    sure = steady & np.isfinite(shown)
    figures = {
        "shown_ms": percentiles(shown[sure]),
        "received_ms": percentiles(came[sure]),
        "heard_ms": percentiles(heard[steady & np.isfinite(heard)]),
        "cold_shown_ms": percentiles(shown[~steady & np.isfinite(shown)]),
        "first_picture_ms": round(seen["frames"][0]["at"] - began),
        "trend_ms": trend(spoken[sure], shown[sure]),
        "received_trend_ms": trend(spoken[sure], came[sure]),
        "beeps": int(steady.sum()),
        "clock_error_ms": clock_error_ms(seen),
        "buffers_ms": {kind: round(stream["jitterBufferMs"], 1) for kind, stream in seen["inbound"].items()},
        "minutes": [round(float(at - since) / 60_000, 3) for at in spoken[sure]],
        "shown": [round(float(value), 1) for value in shown[sure]],
        "received": [round(float(value), 1) for value in came[sure]],
    }
    told = [m for m in seen["messages"] if m["type"] == "latency" and m["at"] > since]
    if told:
        names = sorted({name for message in told for name in message["stages"]})
        figures["server_ms"] = percentiles(message["total_ms"] for message in told)
        figures["late_per_mille"] = told[-1]["late_per_mille"]
        figures["stages_ms"] = {n: round(float(np.mean([m["stages"].get(n, 0.0) for m in told])), 1) for n in names}
    return figures


async def measure(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        microphone = sounds.write_wav(folder / "beeps.wav", sounds.beeps(STARTS_S, LENGTH_S, PERIOD_S))
        host, bind, browser = "127.0.0.1", "127.0.0.1", CHROMIUM
        if case.faults != Faults():
            host, browser = await stack.enter_async_context(bad_network(case.faults))
            bind = "0.0.0.0"
        if case.look_ahead_ms is None:
            address, _ = await stack.enter_async_context(flash_server("echo", args.size, host=bind))
            query, probe = "", f"{address}/probe"
        else:
            address, _ = await stack.enter_async_context(face_server(host=bind))
            query = f"?avatar={args.avatar}&look_ahead_ms={case.look_ahead_ms}"
            probe = await stack.enter_async_context(probe_site(bind))
        url = address.replace("127.0.0.1", host) + "/sessions" + query
        probe = probe.replace("127.0.0.1", host)
        page = await stack.enter_async_context(chromium_page(probe, microphone, browser))
        return await _listen(page, url, args.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--size", type=int, default=512, help="of the transport's picture")
    parser.add_argument("--avatar", default="elias")
    args = parser.parse_args()
    figures: dict[str, Any] = {}
    for name in args.cases:
        figures[name] = {"network": str(CASES[name].faults), **asyncio.run(measure(CASES[name], args))}
        shown = figures[name]["shown_ms"]
        print(f"{name}: shown p50 {shown['p50']} p95 {shown['p95']} of {shown['n']} beeps", flush=True)
    print()
    rows = []
    for name, found in figures.items():
        shown, heard, server = found["shown_ms"], found["heard_ms"], found.get("server_ms", {})
        target = CASES[name].target_ms
        within = target and shown["n"] and all(shown[p] <= t for p, t in zip(("p50", "p95"), target, strict=True) if t)
        wanted = "/".join(f"{t:.0f}" for t in target if t) if target else ""
        verdict = "" if target is None else "passed" if within else "MISSED"
        cold, told = found["cold_shown_ms"]["p50"], f"{shown['n']}/{found['beeps']}"
        row = [name, shown["p50"], shown["p95"], heard["p50"], server.get("p50", ""), cold, found["first_picture_ms"]]
        rows.append([*row, told, wanted, verdict])
    names = ("case, ms", "shown p50", "p95", "heard p50", "server", "cold", "first picture", "n", "target", "")
    table(rows, names)
    print()
    for name, found in figures.items():
        stages = ", ".join(f"{stage} {ms}" for stage, ms in found.get("stages_ms", {}).items())
        print(
            f"{name}: ms a minute: shown {found['trend_ms']}, received {found['received_trend_ms']}; clocks "
            f"{found['clock_error_ms']} ms apart; browser buffers {found['buffers_ms']} ms"
            f"{'; server stages ' + stages if stages else ''}"
        )
    plots.shares("latency", {name: found["shown"] for name, found in figures.items()}, "microphone to screen, ms", {})
    over_time = {name: (found["minutes"], found["shown"]) for name, found in figures.items()}
    plots.lines("latency_over_time", over_time, ("minutes", "microphone to screen, ms"))
    save("latency", vars(args) | {"cases": figures})


if __name__ == "__main__":
    main()
