"""A light client: an aiortc connection that speaks a sound in a loop, and counts the pictures that come whole.
Touches the network. For load and long runs, where a browser would take more of the machine than the server: sound is
encoded once, and pictures are not decoded.
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
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci
from aiortc.sdp import SessionDescription
from numpy.typing import NDArray

from realtime import aiortc_seam as seam
from realtime.codecs import PACKET_SAMPLES, OpusEncoder
from realtime.rtp import RTP_HEADER
from realtime.timebase import AUDIO_RATE

MICROPHONE_BPS = 32_000
PACKET_S = PACKET_SAMPLES / AUDIO_RATE

ESTIMATE_GAIN, ESTIMATE_S = 1.5, 1.0
"""A browser's bandwidth estimate is at most this much over what arrives; it tells it about once a second."""


class Recording:
    """A sound (n,) int16 at 48 kHz as Opus packets of 20 ms, encoded once for all who loop it."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        encoder = OpusEncoder(MICROPHONE_BPS)
        pieces = np.ascontiguousarray(samples[: len(samples) // PACKET_SAMPLES * PACKET_SAMPLES])
        self.packets = [
            encoder.encode(piece, index * PACKET_SAMPLES)
            for index, piece in enumerate(pieces.reshape(-1, PACKET_SAMPLES))
        ]


class LoopedMicrophone(MediaStreamTrack):
    """The packets of a recording, again and again, in real time."""

    kind = "audio"

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._packets = recording.packets
        self._index, self._start_s = 0, 0.0

    async def recv(self) -> av.Packet:
        loop = asyncio.get_running_loop()
        if self._index == 0:
            self._start_s = loop.time()
        await asyncio.sleep(max(0.0, self._start_s + self._index * PACKET_S - loop.time()))
        packet = av.Packet(self._packets[self._index % len(self._packets)])
        packet.pts, packet.time_base = self._index * PACKET_SAMPLES, Fraction(1, AUDIO_RATE)
        self._index += 1
        return packet


class Pictures:
    """Counts the frames of one RTP stream that come whole: all packets in order, the last one marked."""

    def __init__(self) -> None:
        self.whole, self.octets = 0, 0
        self._next: int | None = None
        self._is_whole = False

    def packet(self, sequence: int, is_last: bool, octets: int) -> None:
        self._is_whole = self._is_whole and sequence == self._next
        self._next = sequence + 1 & 0xFFFF
        self.octets += octets
        if is_last:
            self.whole += self._is_whole
            self._is_whole = True  # as far as the next frame goes


class Viewer:
    """One session on a server: `start`, look at `messages` and `frames`, `stop`."""

    def __init__(self, url: str, microphone: Recording | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.location = ""
        self._url, self._base = url, "/".join(url.split("/")[:3])
        self._pictures = Pictures()
        self._payload_type: int | None = None  # of the pictures, once negotiated
        self._estimates: asyncio.Task[None] | None = None
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        channel = self._connection.createDataChannel("events")
        channel.on("message", lambda text: self.messages.append(json.loads(text)))
        if microphone is None:
            self._connection.addTransceiver("audio", "recvonly")
        else:
            self._connection.addTrack(LoopedMicrophone(microphone))
        self._connection.addTransceiver("video", "recvonly")

    @property
    def frames(self) -> int:
        """Pictures that came whole."""
        return self._pictures.whole

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
        video = next(media for media in SessionDescription.parse(text).media if media.kind == "video")
        self._payload_type = video.rtp.codecs[0].payloadType
        seam.read_datagrams(self._connection, self._on_rtp)
        await self._connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        self._estimates = asyncio.create_task(self._estimate(video.ssrc[0].ssrc))

    async def stop(self) -> None:
        """End the session and close the connection."""
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as http, http.delete(self._base + self.location):
                pass
        await self.vanish()

    async def vanish(self) -> None:
        """Close the connection without a word to the server's API."""
        if self._estimates is not None:
            self._estimates.cancel()
            await asyncio.wait([self._estimates])
        await self._connection.close()

    def _on_rtp(self, data: bytes) -> None:
        _, second, sequence, _, _ = RTP_HEADER.unpack_from(data)
        if second & 0x7F == self._payload_type:
            self._pictures.packet(sequence, bool(second & 0x80), len(data))

    async def _estimate(self, ssrc: int) -> None:
        """Tells the server, as a browser does, how much seems to come through (draft-alvestrand-rmcat-remb-03)."""
        transport, octets = self._connection.getSenders()[0].transport, 0
        while True:
            await asyncio.sleep(ESTIMATE_S)
            before, octets = octets, self._pictures.octets
            bps = int(ESTIMATE_GAIN * 8 * (octets - before) / ESTIMATE_S)
            report = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=0, media_ssrc=0, fci=pack_remb_fci(bps, [ssrc]))
            with contextlib.suppress(ConnectionError):
                await transport._send_rtp(bytes(report))
