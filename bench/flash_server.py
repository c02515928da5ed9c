"""The transport alone, as a server process: a picture that flashes and a beep that share an index, no model.

    python -m bench.flash_server --port N [--host H] [--mode clock|echo] [--size 512] [--codec H264|VP8]

`clock` flashes at the unequal gaps of bench.beats; `echo` sends the microphone back, and flashes as long as it is loud.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections import deque
from typing import Any

import cv2
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from bench.beats import PERIOD_S, STARTS_S
from bench.browser import probe_page
from realtime import aiortc_seam
from realtime.config import MediaConfig
from realtime.errors import MouthpieceError
from realtime.media import MediaChunk, MediaEnded
from realtime.microphone import MicrophoneQueue
from realtime.playout import SOUND_LEAD
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE, CHUNK_S
from realtime.webrtc import Peer

FLASH_CHUNKS = 2
PERIOD = round(PERIOD_S / CHUNK_S)
BRIGHT = frozenset(round(s / CHUNK_S) + k for s in STARTS_S for k in range(FLASH_CHUNKS))
"""Chunks of a period that flash and beep."""

LOUD = 2000
BOUND_MS = 120


class FlashSource:
    """MediaSource and PeerEvents in one: what a session is to the transport, with nothing to compute."""

    def __init__(self, size: int, mode: str) -> None:
        self.size_px = (size, size)
        self._echo = mode == "echo"
        # A session has the sound before the picture is computed and sends it ahead; an echo has no such time to spare.
        self._lead = 0 if self._echo else SOUND_LEAD
        rng = np.random.default_rng(0)
        noise = cv2.GaussianBlur(rng.integers(0, 255, (size, size, 3), dtype=np.uint8), (0, 0), 8)
        self._dark: NDArray[np.uint8] = cv2.normalize(noise, np.empty_like(noise), 20, 80, cv2.NORM_MINMAX).astype(
            np.uint8
        )
        self._white = np.full((size, size, 3), 235, np.uint8)
        tone = 16_000 * np.sin(2 * np.pi * 1000 / AUDIO_RATE * np.arange(AUDIO_CHUNK))
        self._beep, self._silence = tone.astype(np.int16), np.zeros(AUDIO_CHUNK, np.int16)
        self._line = MicrophoneQueue(BOUND_MS)
        self._ended = False
        self.closed = asyncio.Event()
        self._clock: asyncio.Task[None] | None = None
        self._queues: dict[str, asyncio.Queue[MediaChunk]] = {k: asyncio.Queue(4) for k in ("audio", "video")}

    def on_connected(self) -> None:
        self._clock = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start_s, index = loop.time(), 0
        shown: deque[MediaChunk] = deque()
        while True:
            await asyncio.sleep(max(0.0, start_s + index * CHUNK_S - loop.time()))
            sound = self._sound(index)
            # As loud chunks begin anywhere in a beep, one loud sample makes the picture flash.
            picture = self._white if np.abs(sound.astype(np.int32)).max() > LOUD else self._dark
            shown.append(MediaChunk(index, sound, picture))
            self._put("audio", shown[-1])
            if len(shown) > self._lead:
                self._put("video", shown.popleft())
            index += 1

    def _put(self, kind: str, chunk: MediaChunk) -> None:
        queue = self._queues[kind]
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(chunk)

    def _sound(self, index: int) -> NDArray[np.int16]:
        if not self._echo:
            return self._beep if index % PERIOD in BRIGHT else self._silence
        taken = self._line.take()
        return self._silence if taken is None else taken[0]

    async def next_audio(self) -> MediaChunk:
        return await self._next("audio")

    def part(self, chunk: MediaChunk, start: int, end: int) -> NDArray[np.int16]:
        return chunk.audio[start:end]

    async def next_video(self) -> MediaChunk:
        return await self._next("video")

    async def _next(self, kind: str) -> MediaChunk:
        if self._ended:
            raise MediaEnded
        return await self._queues[kind].get()

    def close(self) -> None:
        self._ended = True

    def on_microphone(self, samples: NDArray[np.int16], at_samples: int) -> None:
        self._line.push(samples, at_samples, asyncio.get_running_loop().time())

    def on_message(self, message: dict[str, Any]) -> None:
        pass

    def on_closed(self, reason: str) -> None:
        self.closed.set()
        if self._clock is not None:
            self._clock.cancel()


def application(size: int, mode: str) -> web.Application:
    """POST /sessions as the real server has it, DELETE to end one, and /stats of all."""
    peers: dict[str, Peer] = {}

    async def offer(request: web.Request) -> web.Response:
        source = FlashSource(size, mode)
        peer = Peer(source, source, MediaConfig())
        try:
            answer = await peer.answer(await request.text())
        except MouthpieceError as error:
            return web.json_response(error.body(), status=error.status)
        name = secrets.token_hex(4)
        peers[name] = peer
        forget = asyncio.create_task(source.closed.wait())
        forget.add_done_callback(lambda _: peers.pop(name, None))
        headers = {"Location": f"/sessions/{name}"}
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    async def end(request: web.Request) -> web.Response:
        peer = peers.get(request.match_info["id"])
        if peer is not None:
            await peer.close()
        return web.Response(status=204)

    async def stats(_request: web.Request) -> web.Response:
        rows = [peer.stats() for peer in peers.values()]
        return web.json_response(
            [
                {
                    "codec": s.video_codec,
                    "encode_ms": s.encode_ms,
                    "jitter_ms": s.jitter_ms,
                    "video_bps": s.video_bps,
                    "target_bps": s.target_bps,
                }
                for s in rows
            ]
        )

    async def close_all(_app: web.Application) -> None:
        await asyncio.gather(*(peer.close() for peer in list(peers.values())))

    app = web.Application()
    app.router.add_get("/probe", probe_page)
    app.router.add_post("/sessions", offer)
    app.router.add_delete("/sessions/{id}", end)
    app.router.add_get("/stats", stats)
    app.on_cleanup.append(close_all)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--mode", choices=("clock", "echo"), default="clock")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--codec", choices=aiortc_seam.VIDEO_CODECS, default=aiortc_seam.VIDEO_CODECS[0])
    args = parser.parse_args()
    aiortc_seam.VIDEO_CODECS = (args.codec, *(c for c in aiortc_seam.VIDEO_CODECS if c != args.codec))
    cv2.setNumThreads(1)
    web.run_app(application(args.size, args.mode), host=args.host, port=args.port, print=None)


if __name__ == "__main__":
    main()
