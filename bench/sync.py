"""Skew of lips: a flash and a beep share an index; how far apart does Chromium show and play them?

    python -m bench.sync [--minutes 1] [--size 512] [--codec H264|VP8]

Real connection (webrtc.Peer), test picture instead of a face. Positive skew: the picture comes after its sound. Drift:
the trend of the skew (bench.beats) times the run's length; `--minutes 30` tells whether a night would part them.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import numpy as np

from bench import plots
from bench.beats import pair, trend
from bench.browser import chromium_page, clock_error_ms, inbound, report, sure_flashes
from bench.results import percentiles, save, table
from bench.servers import flash_server
from realtime.aiortc_seam import VIDEO_CODECS

WARM_UP_S = 5
WITHIN_MS = 2000.0
GATE_P95_MS = 40.0
GATE_DRIFT_MS = 10.0


async def measure(seconds: float, size: int, codec: str) -> dict[str, Any]:
    """Skews (ms) after a warm-up, and what the browser says of its buffers."""
    playouts = []
    async with flash_server("clock", size, codec) as (url, _), chromium_page(f"{url}/probe") as page:
        await page.evaluate("connect('/sessions')")
        for second in range(int(seconds)):
            await asyncio.sleep(1)
            seen = await inbound(page)
            both = [seen.get(kind, {}).get("playout") for kind in ("audio", "video")]
            if second >= WARM_UP_S and all(both):
                playouts.append(both[1] - both[0])
        seen = await report(page)
    since = seen["frames"][0]["at"] + WARM_UP_S * 1000
    beeps = np.asarray([at for at in seen["heard"] if at > since])
    skews = pair(beeps, [flash["at"] for flash in sure_flashes(seen)], -WITHIN_MS, WITHIN_MS) - beeps
    beeps, skews = beeps[np.isfinite(skews)], skews[np.isfinite(skews)]
    moved = trend(beeps, skews)
    return {
        "skew_ms": percentiles(skews),
        "abs_skew_ms": percentiles(np.abs(skews)),
        "drift_ms": None if moved is None else round(moved.a_minute * seconds / 60, 1),
        "trend_ms": moved,
        "clock_error_ms": clock_error_ms(seen),
        "browser_playout_difference_ms": percentiles(playouts),
        "inbound": seen["inbound"],
        "codec": codec,
        "frames": len(seen["frames"]),
        "minutes": [round(float(at - since) / 60_000, 3) for at in beeps],
        "skews": [round(float(skew), 1) for skew in skews],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--codec", choices=VIDEO_CODECS, default=VIDEO_CODECS[0])
    args = parser.parse_args()
    figures = asyncio.run(measure(60 * args.minutes, args.size, args.codec))
    names = ("skew_ms", "abs_skew_ms", "browser_playout_difference_ms")
    table(
        [(name, *(figures[name][p] for p in ("p50", "p95", "p99", "n"))) for name in names],
        ("", "p50", "p95", "p99", "n"),
    )
    sound, picture = figures["inbound"]["audio"], figures["inbound"]["video"]
    print(
        f"\n{args.codec} {picture['width']} px; {picture['decoded']} frames decoded, {picture['freezes']} freezes; "
        f"buffers: sound {sound['jitterBufferMs']:.0f} ms, picture {picture['jitterBufferMs']:.0f} ms; "
        f"drift {figures['drift_ms']} ms, a minute {figures['trend_ms']}; clocks {figures['clock_error_ms']} ms apart"
    )
    passed = figures["abs_skew_ms"]["p95"] is not None and figures["abs_skew_ms"]["p95"] <= GATE_P95_MS
    print(f"gate |skew| p95 <= {GATE_P95_MS:.0f} ms: {'passed' if passed else 'FAILED'}")
    drift = figures["drift_ms"]
    steady = drift is not None and abs(drift) <= GATE_DRIFT_MS
    print(f"gate drift <= {GATE_DRIFT_MS:.0f} ms: {'passed' if steady else 'FAILED'}")
    limits = {"±40 ms": GATE_P95_MS, " ": -GATE_P95_MS}
    over_time = {"skew": (figures["minutes"], figures["skews"])}
    plots.lines("sync", over_time, ("minutes", "picture after sound, ms"), limits)
    save("sync", {"length_minutes": args.minutes, "size": args.size, **figures})


if __name__ == "__main__":
    main()
