"""What the browser tests stand on: servers, Chromium, and a way to see and hear a page.

`light_server` is the real HTTP, transport and page over a face without models, in this process; `RealServer` is the
whole program as a process of its own. `watch` looks at a part of the playing video and listens to its sound, as a
viewer would.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from realtime.config import load
from realtime.routes import create_app
from tests import fake_server

ROOT = Path(__file__).parent.parent
MICROPHONE = ROOT / "tests" / "fixtures" / "microphone.wav"
START_S = 120.0
STOP_S = 30.0
CAPACITY = 2
SIZE_PX = 256
"""Small pictures, so that a busy machine keeps up; what is tested here does not depend on it."""

MOUTH = (0.33, 0.6, 0.34, 0.3)
"""Where the mouth is in the avatars that ship: left, top, width, height as parts of the picture."""

BAR = (0.0, 0.0, 0.045, 1.0)
"""Where the light server draws its bar."""


def chromium() -> str | None:
    """The browser to test with: $CHROMIUM, or what is installed."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@asynccontextmanager
async def light_server(folder: Path) -> AsyncIterator[str]:
    """The address of a server whose picture is a photo with a bar as high as the sound is loud (tests.fake_server)."""
    service = fake_server.build(load(None, {"avatars.data_dir": folder, "engine.capacity": CAPACITY}), SIZE_PX)
    await service.start()
    runner = web.AppRunner(create_app(service.config, service), shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    yield f"http://localhost:{site.port}"
    await service.stop()
    await runner.cleanup()


class RealServer:
    """`mouthpiece serve` on a free port, as a process of its own that starts now and is waited for later."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "test.toml"
        settings.write_text(f'[avatars]\ndata_dir = "{folder}"\nsize_px = {SIZE_PX}\n')
        command = [sys.executable, "server.py", "serve", "--port", "0", "--device", "cpu", "--config", str(settings)]
        self._folder = folder
        self._log = folder / "log.txt"
        with self._log.open("w") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)

    def address(self) -> str:
        """Waits until the avatars that ship are ready: making them would take the processor from what is watched."""
        avatars = len(list((ROOT / "models" / "avatars").glob("*/avatar.json")))
        end_s = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < end_s:
            address = re.search(r"http://localhost:\d+", self._log.read_text())
            if address and len(list((self._folder / "identities").glob("[!.]*.npz"))) >= avatars:
                return address.group()
            time.sleep(0.1)
        raise AssertionError("the server did not become ready:\n" + self._log.read_text())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(STOP_S)
        assert "Traceback" not in self._log.read_text(), self._log.read_text()


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


def recording(seconds: float) -> bytes:
    """The beginning of MICROPHONE, WAV."""
    file = io.BytesIO()
    with wave.open(str(MICROPHONE)) as whole, wave.open(file, "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(round(seconds * whole.getframerate())))
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Seen:
    """Frames that a page showed. change: mean absolute difference to the frame before, in grey levels, within the
    part looked at; loudness: root mean square of the sound at that moment, full scale 1; state: what the page said."""

    change: list[float]
    loudness: list[float]
    state: list[str]

    def amid_sound(self) -> list[float]:
        """Changes of the frames that have sound before and after them."""
        return [
            change for change, near in self._with_neighbours() if sum(level > LOUD for level in near) > len(near) / 2
        ]

    def amid_silence(self) -> list[float]:
        return [change for change, near in self._with_neighbours() if max(near) < SILENT]

    def _with_neighbours(self) -> list[tuple[float, list[float]]]:
        return [(change, self.loudness[max(0, i - 8) : i + 6]) for i, change in enumerate(self.change)]


def lively(changes: list[float]) -> float:
    """How much a picture moves, in grey levels a frame: the upper decile, which a few late frames do not hide."""
    assert len(changes) >= 8, f"only {len(changes)} frames to judge by"
    return sorted(changes)[len(changes) * 9 // 10]


LOUD, SILENT = 0.01, 0.001

PATIENCE = 6
"""How many times as long a page that shows few pictures is watched: a busy machine."""

WATCH = """async ([seconds, [left, top, width, height], least, longest]) => {
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
    setTimeout(resolve, longest * 1000);  // a picture that stands still must not hold the test
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
      if (performance.now() < end || seen.change.length < least) video.requestVideoFrameCallback(look);
      else resolve();
    };
    video.requestVideoFrameCallback(look);
  });
  context.close();
  return seen;
}"""


async def watch(page: Page, seconds: float, part: tuple[float, float, float, float], least: int = 0) -> Seen:
    """What the page shows and plays for so long, and longer where it has shown fewer than `least` frames by then."""
    longest = seconds * (PATIENCE if least else 1)
    return Seen(**await page.evaluate(WATCH, [seconds, list(part), least, longest]))
