"""A headless Chromium with the probe page: sees flashes, hears beeps, speaks a sound file as its microphone.
Starts and ends a browser by Playwright; the probe page is served by whoever runs the bench, at `/probe`.
All times are the page's own (ms), so what is compared was measured on one clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
PROBE = Path(__file__).with_name("probe.html")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


@asynccontextmanager
async def chromium_page(url: str, microphone: Path | None = None, executable: Path = CHROMIUM) -> AsyncIterator[Page]:
    """A page at `url` in a browser of its own, whose microphone plays the WAV file `microphone` in a loop."""
    origin = "/".join(url.split("/")[:3])
    flags = [*FLAGS, f"--unsafely-treat-insecure-origin-as-secure={origin}"]
    flags += [f"--use-file-for-fake-audio-capture={microphone}"] if microphone else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=flags)
        try:
            page = await browser.new_page()
            await page.goto(url)
            yield page
        finally:
            await browser.close()


async def probe_page(_request: web.Request) -> web.FileResponse:
    """The probe, for an application's route `/probe`."""
    return web.FileResponse(PROBE)


@asynccontextmanager
async def probe_site(host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The probe alone, on a port of its own; gives its address."""
    app = web.Application()
    app.router.add_get("/probe", probe_page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}/probe"
    finally:
        await runner.cleanup()


async def inbound(page: Page) -> dict[str, Any]:
    """WebRTC's own figures of the two incoming streams, by kind. Cheap: may be asked every second."""
    return await page.evaluate("inbound()")


async def report(page: Page) -> dict[str, Any]:
    """What the probe has collected, with WebRTC's own figures under `inbound`."""
    return await page.evaluate("report()")


def sure_flashes(seen: dict[str, Any]) -> list[dict[str, float]]:
    """Of a report: the flashes whose first picture the page cannot have missed. `at`, `received`: ms."""
    return [flash for flash in seen["flashes"] if not flash["unseen"]]


def clock_error_ms(seen: dict[str, Any]) -> float | None:
    """Of a report: how far the stamps of sound were ever from the page's clock. Beyond 2 ms, do not trust its times."""
    return round(max(map(abs, seen["waits"])), 1) if seen["waits"] else None
