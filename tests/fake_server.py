"""A server with the real transport, HTTP and page, and no models: for work on the page and for its tests.

    python -m tests.fake_server [PORT]

The picture is the avatar's photo with a bar whose height is the sound's peak.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from realtime.config import Config, load
from realtime.identities import AvatarStore
from realtime.identity_cache import WarmAvatar
from realtime.photos import decode_photo
from realtime.routes import create_app
from realtime.service import Place, Service
from tests.fakes import JAW, FakeAvatar, fake_enroll


class BarGenerator:
    """Draws a photo (H, W, 3) with a bar at its left edge."""

    def __init__(self, photo: NDArray[np.uint8]) -> None:
        self._photo = photo

    def render(self, motion: FaceMotion) -> NDArray[np.uint8]:
        picture = self._photo.copy()
        height = round(len(picture) * float(np.clip(motion.weights[JAW], 0, 1)))
        picture[len(picture) - height :, :24] = (0, 200, 0)
        return picture


def build(config: Config, size_px: int = 512, place: Place | None = None) -> Service:
    """A service to be started, over fakes. Text to speech and transport are real."""
    store = AvatarStore(config, fake_enroll)

    def load_avatar(name: str) -> WarmAvatar:
        photo = cv2.resize(decode_photo(store.find(name).photo.read_bytes()), (size_px, size_px))
        return WarmAvatar(name, BarGenerator(photo), photo, photo.nbytes)  # type: ignore[arg-type]

    return Service.build(config, stepper=FakeAvatar(), store=store, load_avatar=load_avatar, place=place)


async def serve(port: int) -> None:
    config = load(None, {"server.port": port, "avatars.data_dir": Path(tempfile.mkdtemp())})
    service = build(config)
    await service.start()
    runner = web.AppRunner(create_app(config, service))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"fake server on http://localhost:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
