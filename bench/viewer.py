"""A light client: an aiortc connection that speaks a sound in a loop, and counts the pictures that it decodes.
Touches the network. For load and long runs, where a browser would take more of the machine than the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from fractions import Fraction
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

PACKET = 960


class LoopedMicrophone(MediaStreamTrack):
    """20 ms packets of a sound (n,) int16 at 48 kHz, again and again, in real time."""

    kind = "audio"

    def __init__(self, samples: NDArray[np.int16]) -> None:
        super().__init__()
        self._packets = samples[: len(samples) // PACKET * PACKET].reshape(-1, 1, PACKET)
        self._index, self._start_s = 0, 0.0

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._index == 0:
            self._start_s = loop.time()
        await asyncio.sleep(max(0.0, self._start_s + self._index * 0.02 - loop.time()))
        piece = self._packets[self._index % len(self._packets)]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._index * PACKET, Fraction(1, 48_000)
        self._index += 1
        return frame


class Viewer:
    """One session on a server: `start`, look at `messages` and `frames`, `stop`."""

    def __init__(self, url: str, microphone: NDArray[np.int16] | None = None) -> None:
        self.frames = 0
        self.messages: list[dict[str, Any]] = []
        self.location = ""
        self._url, self._base = url, "/".join(url.split("/")[:3])
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks: list[asyncio.Task[None]] = []
        channel = self._connection.createDataChannel("events")
        channel.on("message", lambda text: self.messages.append(json.loads(text)))
        if microphone is None:
            self._connection.addTransceiver("audio", "recvonly")
        else:
            self._connection.addTrack(LoopedMicrophone(microphone))
        self._connection.addTransceiver("video", "recvonly")
        self._connection.on("track", lambda track: self._tasks.append(asyncio.create_task(self._drain(track))))

    async def start(self) -> None:
        """Open the session. Raises RuntimeError with the server's sentence if it is refused."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = self._connection.localDescription.sdp
        async with (
            aiohttp.ClientSession() as http,
            http.post(self._url, data=offer, headers={"Content-Type": "application/sdp"}) as answer,
        ):
            text = await answer.text()
            if answer.status != 201:
                raise RuntimeError(f"{answer.status}: {text}")
            self.location = answer.headers["Location"]
        await self._connection.setRemoteDescription(RTCSessionDescription(text, "answer"))

    async def stop(self) -> None:
        """End the session and close the connection."""
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.delete(self._base + self.location):
                pass
        await self.vanish()

    async def vanish(self) -> None:
        """Close the connection without a word to the server's API."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def _drain(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            self.frames += isinstance(frame, av.VideoFrame)
