"""What the browser tests stand on: the real server as a process of its own, Chromium, and a way to see and hear a page.

`watch` looks at a rectangle of the playing video and listens to its sound, frame by frame, as a viewer would.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).parent.parent
MICROPHONE = ROOT / "tests" / "fixtures" / "microphone.wav"
START_S = 60.0
CAPACITY = 2

MOUTH = (0.3, 0.55, 0.4, 0.35)
"""Where the mouth is in the avatars that ship: left, top, width, height as parts of the picture."""


def chromium() -> str | None:
    """The browser to test with: $CHROMIUM, or what is installed."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """The address of `mouthpiece serve` on a free port, with its avatars in `folder` and `CAPACITY` places."""
    settings = folder / "test.toml"
    settings.write_text(f'[engine]\ndevice = "cpu"\ncapacity = {CAPACITY}\n[avatars]\ndata_dir = "{folder}/avatars"\n')
    command = [sys.executable, "server.py", "serve", "--port", "0", "--config", str(settings)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if address := re.search(r"http://localhost:\d+", line):
                break
        else:
            raise AssertionError("the server did not start:\n" + "".join(lines))
        watchdog.cancel()
        # Its log must be read, or the pipe fills and the server stands still.
        threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True).start()
        yield address.group()
    finally:
        watchdog.cancel()
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("the server did not stop:\n" + "".join(lines)) from None
    assert "Traceback" not in "".join(lines), "".join(lines)


@asynccontextmanager
async def running_browser(executable: str) -> AsyncIterator[Browser]:
    """Chromium whose microphone is MICROPHONE, over and over; pages still have to be given the permission."""
    arguments = [
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={MICROPHONE}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to sandbox for root
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        await browser.close()


@dataclass(frozen=True, slots=True)
class Seen:
    """Frames that a page showed. change: mean absolute difference to the frame before, in grey levels, within the
    rectangle; loudness: root mean square of the sound at that moment, full scale 1; state: what the page said."""

    change: list[float]
    loudness: list[float]
    state: list[str]

    def mean_change(self, loud: bool) -> float:
        """Over frames whose neighbourhood is loud (or wholly silent), which leaves out the edges of speech."""
        near = [self.loudness[max(0, i - 4) : i + 5] for i in range(len(self.change))]
        chosen = [
            change
            for change, levels in zip(self.change, near, strict=True)
            if (min(levels) > LOUD if loud else max(levels) < SILENT)
        ]
        assert len(chosen) >= 10, f"only {len(chosen)} {'loud' if loud else 'silent'} frames of {len(near)}"
        return sum(chosen) / len(chosen)


LOUD, SILENT = 0.01, 0.001

WATCH = """async ([seconds, [left, top, width, height]]) => {
  const video = document.getElementById("avatar").video;
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, {fftSize: 2048});
  context.createMediaStreamSource(new MediaStream(video.srcObject.getAudioTracks())).connect(analyser);
  const samples = new Float32Array(2048);
  const canvas = new OffscreenCanvas(48, 48);
  const brush = canvas.getContext("2d", {willReadFrequently: true});
  const seen = {change: [], loudness: [], state: []};
  let before = null;
  const end = performance.now() + seconds * 1000;
  await new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);  // a picture that stands still must not hold the test
    const look = () => {
      const [w, h] = [video.videoWidth, video.videoHeight];
      brush.drawImage(video, left * w, top * h, width * w, height * h, 0, 0, 48, 48);
      const grey = brush.getImageData(0, 0, 48, 48).data.filter((_, i) => i % 4 === 1);
      analyser.getFloatTimeDomainData(samples);
      if (before) {
        seen.change.push(grey.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0) / grey.length);
        seen.loudness.push(Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
        seen.state.push(document.getElementById("frame")?.dataset.state ?? "");
      }
      before = grey;
      if (performance.now() < end) video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  });
  context.close();
  return seen;
}"""


async def watch(page: Page, seconds: float, rectangle: tuple[float, float, float, float] = MOUTH) -> Seen:
    """What the page shows and plays for so long."""
    return Seen(**await page.evaluate(WATCH, [seconds, list(rectangle)]))
