"""Skew of lips: a flash and a beep share an index; how far apart does Chromium show and play them?

    python -m bench.sync [--minutes 1] [--size 512] [--codec H264|VP8]

Real connection (webrtc.Peer), test picture instead of a face. Positive skew: the picture comes after its sound. Drift:
the trend of the skew over the run; `--minutes 30` tells whether a night would part them.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import numpy as np

from bench import plots
from bench.browser import chromium_page, inbound, report
from bench.flash_server import FLASH_EVERY
from bench.results import percentiles, save, table
from bench.servers import flash_server
from realtime.aiortc_seam import VIDEO_CODECS
from realtime.timebase import CHUNK_S

WARM_UP_S = 5
GATE_P95_MS = 40.0
GATE_DRIFT_MS = 10.0


def skews_ms(flashes: list[float], beeps: list[float]) -> list[float]:
    """Each flash's time less that of the nearest beep; flashes without a beep within half a period are left out."""
    heard = np.asarray(beeps)
    if not heard.size:
        return []
    skews = [flash - float(heard[np.abs(heard - flash).argmin()]) for flash in flashes]
    return [skew for skew in skews if abs(skew) < FLASH_EVERY * CHUNK_S * 500]


def drift_ms(skews: list[float]) -> float | None:
    """How far the straight line through the skews moves from the first to the last."""
    if len(skews) < 3:
        return None
    return round(float(np.polyfit(np.linspace(0, 1, len(skews)), skews, 1)[0]), 1)


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
    flashes = [f["at"] for f in seen["flashes"] if f["at"] > since]
    skews = skews_ms(flashes, [b["at"] for b in seen["played"]])
    tapped = skews_ms(flashes, [b["heard"] for b in seen["beeps"]])
    return {
        "skew_ms": percentiles(skews),
        "web_audio_skew_ms": percentiles(tapped),
        "abs_skew_ms": percentiles(np.abs(skews)),
        "drift_ms": drift_ms(skews),
        "browser_playout_difference_ms": percentiles(playouts),
        "inbound": seen["inbound"],
        "codec": codec,
        "frames": len(seen["frames"]),
        "skews": [round(skew, 1) for skew in skews],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--codec", choices=VIDEO_CODECS, default=VIDEO_CODECS[0])
    args = parser.parse_args()
    figures = asyncio.run(measure(60 * args.minutes, args.size, args.codec))
    names = ("skew_ms", "abs_skew_ms", "web_audio_skew_ms", "browser_playout_difference_ms")
    table(
        [(name, *(figures[name][p] for p in ("p50", "p95", "p99", "n"))) for name in names],
        ("", "p50", "p95", "p99", "n"),
    )
    sound, picture = figures["inbound"]["audio"], figures["inbound"]["video"]
    print(
        f"\n{args.codec} {picture['width']} px; buffers: sound {sound['jitterBufferMs']:.0f} ms, "
        f"picture {picture['jitterBufferMs']:.0f} ms; drift {figures['drift_ms']} ms; "
        f"{picture['decoded']} frames decoded, {picture['freezes']} freezes"
    )
    passed = figures["abs_skew_ms"]["p95"] is not None and figures["abs_skew_ms"]["p95"] <= GATE_P95_MS
    print(f"gate |skew| p95 <= {GATE_P95_MS:.0f} ms: {'passed' if passed else 'FAILED'}")
    drift = figures["drift_ms"]
    steady = drift is not None and abs(drift) <= GATE_DRIFT_MS
    print(f"gate drift <= {GATE_DRIFT_MS:.0f} ms: {'passed' if steady else 'FAILED'}")
    skews = figures["skews"]
    minutes = [args.minutes * (i + 0.5) / max(len(skews), 1) for i in range(len(skews))]
    limits = {"±40 ms": GATE_P95_MS, " ": -GATE_P95_MS}
    plots.lines("sync", {"skew": (minutes, skews)}, ("minutes", "picture after sound, ms"), limits)
    save("sync", {"minutes": args.minutes, "size": args.size, **figures})


if __name__ == "__main__":
    main()
