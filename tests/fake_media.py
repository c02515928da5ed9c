"""A stand-in for a session, and an aiortc client to connect to it: what the transport tests and benches share.
The fake session counts 40 ms chunks; a picture says its index in 12 black or white squares, each tenth sound is a beep.
`marked` and `read_index` draw and read that mark after any codec.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

from realtime.media import MediaChunk, MediaEnded

MARK_BITS = 12
MARK_PX = 16


def marked(index: int, size: int = 256) -> NDArray[np.uint8]:
    """A grey picture (size, size, 3) whose top row of squares says `index` in binary."""
    picture = np.full((size, size, 3), 128, np.uint8)
    for bit in range(MARK_BITS):
        picture[:MARK_PX, bit * MARK_PX : (bit + 1) * MARK_PX] = 235 if index >> bit & 1 else 16
    return picture


def read_index(picture: NDArray[np.uint8]) -> int:
    """The index drawn by `marked`, from the centres of its squares."""
    row = picture[MARK_PX // 4 : 3 * MARK_PX // 4].mean(axis=(0, 2))
    centres = [row[bit * MARK_PX + MARK_PX // 4 : bit * MARK_PX + 3 * MARK_PX // 4].mean() for bit in range(MARK_BITS)]
    return sum(1 << bit for bit, value in enumerate(centres) if value > 128)


class FakeSession:
    """PeerEvents and MediaSource in one: a marked picture and a beep every tenth chunk, on a 40 ms clock."""

    def __init__(self, size: int = 256, chunk_s: float = 0.040) -> None:
        self.size_px = (size, size)
        self.chunk_s = chunk_s
        self.heard: list[tuple[int, NDArray[np.int16]]] = []
        self.messages: list[dict[str, Any]] = []
        self.connected, self.closed = asyncio.Event(), asyncio.Event()
        self.reasons: list[str] = []
        self.source_closed = 0
        self._start_s: float | None = None
        self._next = {"audio": 0, "video": 0}

    async def next_audio(self) -> MediaChunk:
        return await self._due("audio")

    def part(self, chunk: MediaChunk, start: int, end: int) -> NDArray[np.int16]:
        return chunk.audio[start:end]

    async def next_video(self) -> MediaChunk:
        return await self._due("video")

    def close(self) -> None:
        self.source_closed += 1

    def chunk(self, index: int) -> MediaChunk:
        beep = 12_000 * np.sin(2 * np.pi * 1000 / 48_000 * np.arange(1920)) * (index % 10 == 0)
        return MediaChunk(index, beep.astype(np.int16), marked(index, self.size_px[0]))

    async def _due(self, kind: str) -> MediaChunk:
        if self.source_closed:
            raise MediaEnded
        now_s = asyncio.get_running_loop().time()
        if self._start_s is None:
            self._start_s = now_s
        index = self._next[kind]
        self._next[kind] += 1
        await asyncio.sleep(max(0.0, self._start_s + index * self.chunk_s - now_s))
        return self.chunk(index)

    def on_microphone(self, samples: NDArray[np.int16], at_samples: int) -> None:
        self.heard.append((at_samples, samples))

    def on_message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def on_connected(self) -> None:
        self.connected.set()

    def on_closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self.closed.set()


class Microphone(MediaStreamTrack):
    """20 ms packets of `samples` (n,) int16 at 48 kHz, in real time, then silence."""

    kind = "audio"

    def __init__(self, samples: NDArray[np.int16]) -> None:
        super().__init__()
        self._samples, self._index, self._start_s = samples, 0, 0.0

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._index == 0:
            self._start_s = loop.time()
        await asyncio.sleep(max(0.0, self._start_s + self._index * 0.02 - loop.time()))
        piece = self._samples[self._index * 960 : (self._index + 1) * 960]
        piece = np.concatenate([piece, np.zeros(960 - len(piece), np.int16)])
        frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._index * 960, Fraction(1, 48_000)
        self._index += 1
        return frame


class Client:
    """An aiortc viewer: collects decoded pictures (index, time in s) and sound (first sample, time in s, samples)."""

    def __init__(
        self, microphone: NDArray[np.int16] | None = None, kinds: tuple[str, ...] = ("audio", "video")
    ) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.connection.createDataChannel("events")
        self.messages: list[str] = []
        self.channel.on("message", self.messages.append)
        self.pictures: list[tuple[int, float]] = []
        self.sound: list[tuple[float, NDArray[np.int16]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on("track", self._on_track)
        for kind in kinds:
            if kind == "audio" and microphone is not None:
                self.connection.addTrack(Microphone(microphone))
            else:
                self.connection.addTransceiver(kind, "recvonly")

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.close()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._collect(track)))

    async def _collect(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            assert isinstance(frame, av.VideoFrame | av.AudioFrame) and frame.pts is not None and frame.time_base
            time_s = float(frame.pts * frame.time_base)
            if isinstance(frame, av.VideoFrame):
                self.pictures.append((read_index(frame.to_ndarray(format="bgr24").astype(np.uint8)), time_s))
            else:
                self.sound.append((time_s, frame.to_ndarray().reshape(-1, 2).mean(axis=1).astype(np.int16)))


async def until(condition: Any, timeout_s: float = 30.0) -> None:
    """Wait until `condition()` holds; AssertionError if it does not in time, of which a busy machine takes much."""
    end_s = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < end_s, f"still not true after {timeout_s} s"
        await asyncio.sleep(0.02)
