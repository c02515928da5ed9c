"""From a request to interrupt until the viewer hears silence and sees the mouth shut, in Chromium; and from a new
avatar's name to its face.

    python -m bench.interrupt [--times 8] [--avatar elias] [--other iris]

Speech is cut off in the middle by each way that there is: a text by POST /interrupt, a text by the data channel, and
sound pushed over the WebSocket by its `clear`. Silence is timed where sound is handed to the device, plus its own
latency. The mouth is shut from the display of the first frame after which no jaw is open; the data channel tells each
frame's motion. Then the session changes to another (warm) avatar and back. All from one page: one clock. 2.5 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from typing import Any

from playwright.async_api import Page

from bench import plots
from bench.browser import chromium_page, probe_site, report
from bench.results import percentiles, save, table
from bench.servers import real_server
from realtime.timebase import video_pts

TEXT = (
    "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen. " * 3
)
SPEAK_S = 2.5
SILENCE_S = 1.5
SHUT_JAW = 0.03
"""Most jawOpen of a mouth that is shut: a tenth of the widest vowel."""

GATE_P95_MS = 150.0
GATE_SWITCH_MS = 200.0

# A hum with a wobble stands for pushed speech: five seconds of it at once, as a fast synthesizer would.
WAYS = """({base, text, seconds}) => {
  const session = probe.messages.find((m) => m.type === 'hello').session;
  const post = (path, body) => fetch(`${base}/sessions/${session}/${path}`,
    {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body ?? {})});
  const pause = () => new Promise((done) => setTimeout(done, seconds * 1000));
  const say = async () => {
    const spoken = await post('speak', {text});
    if (!spoken.ok) throw new Error(await spoken.text());
    await pause();
  };
  window.ways = {
    async http() { await say(); const at = performance.now(); await post('interrupt'); return at; },
    async channel() {
      await say();
      const at = performance.now();
      channel.send(JSON.stringify({type: 'interrupt'}));
      return at;
    },
    async pcm() {
      const socket = new WebSocket(`${base.replace('http', 'ws')}/sessions/${session}/audio`);
      await new Promise((done) => { socket.onopen = done; });
      socket.send(JSON.stringify({type: 'hello', format: 's16le', rate: 16000, channels: 1}));
      const sound = Int16Array.from({length: 80000},
        (_, i) => 12000 * Math.sin(i * 0.08) * (0.6 + 0.4 * Math.sin(i * 0.002)));
      socket.send(sound);
      await pause();
      const at = performance.now();
      socket.send(JSON.stringify({type: 'clear'}));
      setTimeout(() => socket.close(), 500);
      return at;
    },
    // Until a picture is shown that differs from the first one as only another face does.
    async change(avatar) {
      const look = () => {
        canvas.drawImage(video, 0, 0, 8, 8);
        return Array.from(canvas.getImageData(0, 0, 8, 8).data);
      };
      const first = look();
      const at = performance.now();
      const shown = new Promise((done) => {
        const step = (now, meta) => {
          const seen = look();
          const change = seen.reduce((sum, value, i) => sum + Math.abs(value - first[i]), 0) / seen.length;
          if (change > 12) done(meta.expectedDisplayTime);
          else video.requestVideoFrameCallback(step);
        };
        video.requestVideoFrameCallback(step);
        setTimeout(() => done(Infinity), 3000);
      });
      const answer = await post('style', {avatar});
      if (!answer.ok) throw new Error(await answer.text());
      return (await shown) - at;
    },
  };
}"""


def _jaws(seen: dict[str, Any]) -> list[tuple[float, float]]:
    """(time displayed in page ms, jawOpen) of all frames, in order."""
    header = next(message for message in seen["messages"] if message["type"] == "motion_header")
    origin, column = header["rtp"]["video"], header["columns"].index("jawOpen")
    displayed = {frame["rtp"]: frame["at"] for frame in seen["frames"]}
    jaws = {
        (origin + video_pts(message["index"])) & 0xFFFFFFFF: message["values"][column]
        for message in seen["messages"]
        if message["type"] == "motion"
    }
    return sorted((displayed[rtp], jaw) for rtp, jaw in jaws.items() if rtp in displayed)


def shut_after(jaws: Sequence[tuple[float, float]], at: float, end: float) -> float | None:
    """When the mouth was seen shut for good between two times; None if it was not open at the first."""
    within = [(time, jaw) for time, jaw in jaws if at <= time < end]
    opened = [place for place, (_, jaw) in enumerate(within) if jaw > SHUT_JAW]
    if not opened or opened[0] > 0 or opened[-1] + 1 == len(within):
        return None
    return within[opened[-1] + 1][0]


async def _silences(page: Page, times: int) -> tuple[dict[str, list[float]], list[float], list[float]]:
    """Milliseconds to silence by way, until the mouth is shut, and until it was told."""
    asked: list[tuple[str, float]] = []
    for _ in range(times):
        for way in ("http", "channel", "pcm"):
            asked.append((way, await page.evaluate(f"ways.{way}()")))
            await asyncio.sleep(SILENCE_S)
    seen = await report(page)
    silences = sorted(seen["silences"])
    told = sorted(message["at"] for message in seen["messages"] if message["type"] == "interrupted")
    silent_ms: dict[str, list[float]] = {"http": [], "channel": [], "pcm": []}
    told_ms, shut_ms, jaws = [], [], _jaws(seen)
    for way, at in asked:
        end = at + 1000 * SILENCE_S
        # Words have pauses of their own: the last end of sound before the next speech is the one that counts.
        ends = [s for s in silences if at - 150 < s < end]
        if ends:
            silent_ms[way].append(max(ends[-1] - at, 0.0))
        shut = shut_after(jaws, at, end)
        shut_ms += [] if shut is None else [shut - at]
        told_ms += [heard - at for heard in told if at <= heard < end][:1]
    return silent_ms, shut_ms, told_ms


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    async with probe_site() as probe, real_server() as (address, _), chromium_page(probe) as page:
        await page.evaluate("url => connect(url)", f"{address}/sessions?avatar={args.avatar}")
        await page.wait_for_function("probe.messages.some((m) => m.type === 'hello')")
        await page.evaluate(WAYS, {"base": address, "text": TEXT, "seconds": SPEAK_S})
        await asyncio.sleep(8)  # every avatar that ships is made ready meanwhile
        await page.evaluate("channel.send(JSON.stringify({type: 'motion', on: true}))")
        silent_ms, shut_ms, told_ms = await _silences(page, args.times)
        changes = []
        for turn in range(args.times):
            changes.append(await page.evaluate("name => ways.change(name)", (args.other, args.avatar)[turn % 2]))
            await asyncio.sleep(1)
    every = [ms for ways in silent_ms.values() for ms in ways]
    figures: dict[str, Any] = {f"silent_{way}_ms": percentiles(ms) for way, ms in silent_ms.items()}
    figures |= {"silent_ms": percentiles(every), "shut_ms": percentiles(shut_ms)}
    figures |= {"told_ms": percentiles(told_ms), "change_ms": percentiles(changes)}
    return figures | {"silences": {way: [round(ms, 1) for ms in values] for way, values in silent_ms.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=8, help="of each way")
    parser.add_argument("--avatar", default="elias")
    parser.add_argument("--other", default="iris")
    args = parser.parse_args()
    figures = asyncio.run(measure(args))
    names = {
        "silent_http_ms": "POST /interrupt → silence heard",
        "silent_channel_ms": "data channel → silence heard",
        "silent_pcm_ms": "WebSocket clear → silence heard",
        "silent_ms": "any of these",
        "shut_ms": "any of these → mouth seen shut",
        "told_ms": "request → 'interrupted' told",
        "change_ms": "another avatar → its face shown",
    }
    table(
        [(words, *(figures[name][p] for p in ("p50", "p95", "p99", "n"))) for name, words in names.items()],
        ("ms", "p50", "p95", "p99", "n"),
    )
    gates = (
        ("silence", "silent_ms", GATE_P95_MS),
        ("mouth", "shut_ms", GATE_P95_MS),
        ("avatar", "change_ms", GATE_SWITCH_MS),
    )
    for words, name, gate in gates:
        p95 = figures[name]["p95"]
        print(f"gate {words} p95 <= {gate:.0f} ms: {'passed' if p95 is not None and p95 <= gate else 'FAILED'}")
    limits = {f"{GATE_P95_MS:.0f} ms": GATE_P95_MS}
    plots.shares("interrupt", figures["silences"], "request to silence, ms", limits)
    save("interrupt", vars(args) | figures)


if __name__ == "__main__":
    main()
