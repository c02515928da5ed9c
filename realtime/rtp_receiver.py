"""Receives a microphone: RTP into the adaptive buffer, Opus out of it, holes filled, reports back.
Takes the place of aiortc's RTCRtpReceiver in a transceiver; runs on the event loop alone, without a decoder thread.
A timer per due packet; sound leaves in order, at the sender's pace, with its place on the sender's timeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket
from numpy.typing import NDArray

from realtime.codecs import OpusDecoder
from realtime.conceal import Concealer
from realtime.jitter import JitterBuffer, JitterConfig, Release
from realtime.rtp import unpack_rtp

OnSamples = Callable[[NDArray[np.int16], int], None]


class MicrophoneReceiver:
    """One incoming Opus stream. `on_samples((n,) int16 mono 48 kHz, at_samples)` hears it, on the event loop."""

    def __init__(self, transport: Any, config: JitterConfig, on_samples: OnSamples) -> None:
        self.transport = transport
        self.buffer = JitterBuffer(config)
        self._on_samples = on_samples
        self._track: Any = None
        self._enabled = True
        self._decoder, self._concealer = OpusDecoder(), Concealer()
        self._payload_types: dict[int, Any] = {}
        self._rtcp_ssrc: int | None = None
        self._statistics: dict[int, StreamStatistics] = {}
        self._sender_report: dict[int, tuple[int, float]] = {}
        self._source: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reports: asyncio.Task[None] | None = None

    def hear(self, data: bytes) -> None:
        """A decrypted RTP packet, as it came; one that cannot be read is left out."""
        try:
            packet: Any = unpack_rtp(data)  # has the fields that aiortc's statistics read
        except ValueError:
            return
        codec = self._payload_types.get(packet.payload_type)
        if not self._enabled or self._reports is None or codec is None or not packet.payload:
            return
        if packet.ssrc != self._source:
            # One microphone at a time: another source starts afresh and keeps no statistics of the last.
            if self._source is not None:
                self.buffer.restart()
            self._source = packet.ssrc
            self._statistics = {packet.ssrc: StreamStatistics(codec.clockRate)}
        self._statistics[packet.ssrc].add(packet)
        self.buffer.push(packet.sequence_number, packet.timestamp, packet.payload, asyncio.get_running_loop().time())
        self._play()

    def _play(self) -> None:
        """Hand on what is due and come back when the next piece is."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for release in self.buffer.pop(now_s):
            samples = self._decode(release)
            if samples.size:
                self._on_samples(samples, release.at_samples)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self.buffer.next_due_s()
        if due_s is not None and self._reports is not None:
            self._timer = loop.call_at(max(due_s, now_s + 0.001), self._play)

    def _decode(self, release: Release) -> NDArray[np.int16]:
        samples = self._decoder.decode(release.payload) if release.payload else np.zeros(0, np.int16)
        if not samples.size:
            return self._concealer.lost(release.samples)
        return self._concealer.heard(samples)

    async def _run_reports(self) -> None:
        while True:
            await asyncio.sleep(0.5 + random.random())
            blocks = [self._block(ssrc, statistics) for ssrc, statistics in self._statistics.items()]
            if self._rtcp_ssrc is not None and blocks:
                with contextlib.suppress(ConnectionError):
                    await self.transport._send_rtp(bytes(RtcpRrPacket(ssrc=self._rtcp_ssrc, reports=blocks)))

    def _block(self, ssrc: int, statistics: StreamStatistics) -> RtcpReceiverInfo:
        last_report, at_s = self._sender_report.get(ssrc, (0, 0.0))
        since_s = time.monotonic() - at_s if last_report else 0.0
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=statistics.fraction_lost,
            packets_lost=statistics.packets_lost,
            highest_sequence=(statistics.cycles + (statistics.max_seq or 0)) & 0xFFFFFFFF,
            jitter=statistics.jitter,
            lsr=last_report,
            dlsr=min(int(since_s * 65536), 0xFFFFFFFF),
        )

    # What aiortc calls. Names and behaviour are RTCRtpReceiver's (tests/test_aiortc_contract.py). RTP itself comes by
    # `aiortc_seam.read_datagrams`.

    @property
    def track(self) -> Any:
        return self._track

    def setTransport(self, transport: Any) -> None:
        self.transport = transport

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._rtcp_ssrc = ssrc

    async def receive(self, parameters: Any) -> None:
        """Start with the negotiated parameters (aiortc calls it again and again while it connects)."""
        if self._reports is not None:
            return
        self._payload_types = {codec.payloadType: codec for codec in parameters.codecs}
        self.transport._register_rtp_receiver(self, parameters)
        self._reports = asyncio.create_task(self._run_reports(), name="microphone receiver reports")

    async def stop(self) -> None:
        self._handle_disconnect()
        self._on_samples = lambda samples, at_samples: None  # lets go of the session
        if self._reports is None:
            return
        reports, self._reports = self._reports, None
        self.transport._unregister_rtp_receiver(self)
        reports.cancel()
        await asyncio.wait([reports])

    def _handle_disconnect(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            middle = packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
            self._sender_report = {packet.ssrc: (middle, time.monotonic())}
