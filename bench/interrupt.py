"""From a request to interrupt until the viewer hears silence and the server has shut the mouth, in Chromium.

    python -m bench.interrupt [--times 8] [--avatar elias]

A long text is spoken (POST /speak) and cut off in the middle (POST /interrupt), from the page itself: one clock.
Silence is timed where sound is handed to the device, plus the device's own latency.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench.browser import chromium_page, report
from bench.results import percentiles, save, table
from bench.servers import flash_server, real_server

TEXT = (
    "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen. " * 3
)
SPEAK_S = 3.0
SILENCE_S = 1.5
GATE_P95_MS = 150.0

INTERRUPT = """async ({base, text, seconds}) => {
  const session = probe.messages.find((m) => m.type === 'hello').session;
  const post = (path, body) => fetch(`${base}/sessions/${session}/${path}`,
    {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body ?? {})});
  const spoken = await post('speak', {text});
  if (!spoken.ok) throw new Error(await spoken.text());
  await new Promise((done) => setTimeout(done, seconds * 1000));
  const at = performance.now();
  await post('interrupt');
  return {at, answered: performance.now()};
}"""


async def measure(times: int, avatar: str) -> dict[str, Any]:
    asked: list[dict[str, float]] = []
    async with (
        flash_server("clock", 64) as (page_server, _),
        real_server() as (address, _),
        chromium_page(f"{page_server}/probe") as page,
    ):
        await page.evaluate("url => connect(url)", f"{address}/sessions?avatar={avatar}")
        await page.wait_for_function("probe.messages.some((m) => m.type === 'hello')")
        await asyncio.sleep(3)
        for _ in range(times):
            asked.append(await page.evaluate(INTERRUPT, {"base": address, "text": TEXT, "seconds": SPEAK_S}))
            await asyncio.sleep(SILENCE_S)
        seen = await report(page)
    silences = sorted(silence["at"] for silence in seen["silences"])
    told = sorted(message["at"] for message in seen["messages"] if message["type"] == "interrupted")
    silent_ms, told_ms = [], []
    for request in asked:
        end = request["at"] + 1000 * SILENCE_S
        # Words have pauses of their own: the last end of sound before the next speech is the one that counts.
        ends = [s for s in silences if request["at"] - 150 < s < end]
        if ends:
            silent_ms.append(max(ends[-1] - request["at"], 0.0))
        told_ms += [at - request["at"] for at in told if request["at"] <= at < end][:1]
    return {"silent_ms": percentiles(silent_ms), "told_ms": percentiles(told_ms), "asked": len(asked)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument("--avatar", default="elias")
    args = parser.parse_args()
    figures = asyncio.run(measure(args.times, args.avatar))
    names = {"silent_ms": "request → silence heard", "told_ms": "request → 'interrupted' told"}
    table(
        [(words, *(figures[name][p] for p in ("p50", "p95", "p99", "n"))) for name, words in names.items()],
        ("ms", "p50", "p95", "p99", "n"),
    )
    p95 = figures["silent_ms"]["p95"]
    passed = p95 is not None and p95 <= GATE_P95_MS
    print(f"\ngate silence p95 <= {GATE_P95_MS:.0f} ms: {'passed' if passed else 'FAILED'}")
    save("interrupt", vars(args) | figures)


if __name__ == "__main__":
    main()
