"""Sends one track: RTP with our header extensions, retransmission, and sender reports from the media clock.
Takes the place of aiortc's RTCRtpSender in a transceiver; uses its DTLS transport and RTCP parsing.
Unlike the original it encodes nothing: whoever owns it hands in payloads and their place on the media timeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from realtime.rtp import ExtensionIds, MediaClock, SentRate, pack_rtp

HISTORY_PACKETS = 256
"""Packets kept for retransmission: a second and more of video at 1 Mbit/s."""

FIRST_REPORTS_S = (0.0, 0.2, 0.4)
"""Reports right after the first packet: a receiver can align sound and picture once it has two of each."""


@dataclass(frozen=True, slots=True)
class _Sent:
    sequence: int
    timestamp: int
    marker: bool
    level_dbov: int | None
    payload: bytes


class RtpSender:
    """One outgoing stream. Public methods are called on the event loop.

    `key_frame_wanted` is set when the receiver asks for one; the owner clears it. `estimate_bps` is the receiver's
    last bandwidth estimate, `loss` its last fraction lost (0..1), `rtt_s` the last round trip; None while unknown.
    """

    def __init__(self, kind: str, transport: Any, stream_id: str, clock: MediaClock, clock_rate: int) -> None:
        self.kind = kind
        self.transport = transport
        self.track = None
        self.codec: Any = None
        self.started = asyncio.Event()
        self.key_frame_wanted = False
        self.estimate_bps: int | None = None
        self.loss: float | None = None
        self.rtt_s: float | None = None
        self.packets = 0
        self.octets = 0
        self._clock, self._clock_rate = clock, clock_rate
        self._stream_id, self._track_id = stream_id, f"{stream_id}-{kind}"
        self._ssrc, self._rtx_ssrc = random.getrandbits(32), random.getrandbits(32)
        self._enabled = True
        # The lower half of the range, so that SRTP's roll-over counter has room for reordering at the start.
        self._sequence, self._rtx_sequence = random.getrandbits(15), random.getrandbits(15)
        self.origin = random.getrandbits(32)
        self._ids, self._mid, self._cname = ExtensionIds(), "", ""
        self._rtx_payload_type: int | None = None
        self._history: OrderedDict[int, _Sent] = OrderedDict()
        self._rate = SentRate()
        self._last_pts: int | None = None
        self._reported: OrderedDict[int, float] = OrderedDict()
        self._reports: asyncio.Task[None] | None = None
        self._first_packet = asyncio.Event()
        # Wall time as of now, carried on by the steady clock: a clock that is set must not shake the receiver.
        self._wall_offset_s = time.time() - time.monotonic()

    async def send_frame(self, payloads: list[bytes], pts: int, level_dbov: int | None = None) -> None:
        """Send the packets of one frame. pts: its place in ticks of the clock rate, from the session's start.

        Raises ConnectionError when the connection is gone.
        """
        if not self._enabled or not self.started.is_set():
            return
        wall_s = self._wall_s()
        self._clock.anchor(pts / self._clock_rate, wall_s)
        timestamp = (self.origin + pts) & 0xFFFFFFFF
        for i, payload in enumerate(payloads):
            sent = _Sent(self._sequence, timestamp, i == len(payloads) - 1, level_dbov, payload)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._history[sent.sequence] = sent
            if len(self._history) > HISTORY_PACKETS:
                self._history.popitem(last=False)
            await self._send_packet(self.codec.payloadType, sent.sequence, self._ssrc, sent, payload)
            self.packets += 1
            self.octets += len(payload)
            self._rate.sent(len(payload), wall_s)
        self._last_pts = pts
        self._first_packet.set()

    def _wall_s(self) -> float:
        return time.monotonic() + self._wall_offset_s

    def sent_bps(self) -> float:
        """Payload bits a second of late."""
        return self._rate.bps(self._wall_s())

    async def _send_packet(self, payload_type: int, sequence: int, ssrc: int, sent: _Sent, payload: bytes) -> None:
        extensions = self._ids.values(self._mid, sent.level_dbov, self._wall_s())
        packet = pack_rtp(payload_type, sequence, sent.timestamp, ssrc, sent.marker, extensions, payload)
        await self.transport._send_rtp(packet)

    async def _retransmit(self, sequence: int) -> None:
        sent = self._history.get(sequence)
        if sent is None:
            return
        if self._rtx_payload_type is None:
            await self._send_packet(self.codec.payloadType, sent.sequence, self._ssrc, sent, sent.payload)
            return
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        payload = sent.sequence.to_bytes(2, "big") + sent.payload  # RFC 4588, section 4
        await self._send_packet(self._rtx_payload_type, self._rtx_sequence, self._rtx_ssrc, sent, payload)

    async def _run_reports(self) -> None:
        await self._first_packet.wait()
        last_s = 0.0
        for at_s in FIRST_REPORTS_S:
            await asyncio.sleep(at_s - last_s)
            last_s = at_s
            await self._report()
        while True:
            await asyncio.sleep(0.5 + random.random())  # RFC 3550, 6.2: varied, so that reports do not synchronise
            await self._report()

    async def _report(self) -> None:
        assert self._last_pts is not None
        ntp = self._clock.ntp(self._last_pts / self._clock_rate)
        self._reported[ntp >> 16 & 0xFFFFFFFF] = time.monotonic()
        if len(self._reported) > 16:
            self._reported.popitem(last=False)
        info = RtcpSenderInfo(
            ntp_timestamp=ntp,
            rtp_timestamp=(self.origin + self._last_pts) & 0xFFFFFFFF,
            packet_count=self.packets & 0xFFFFFFFF,
            octet_count=self.octets & 0xFFFFFFFF,
        )
        name = RtcpSourceInfo(ssrc=self._ssrc, items=[(1, self._cname.encode())])
        report = bytes(RtcpSrPacket(ssrc=self._ssrc, sender_info=info)) + bytes(RtcpSdesPacket(chunks=[name]))
        with contextlib.suppress(ConnectionError):
            await self.transport._send_rtp(report)

    # What aiortc calls. Names and behaviour are RTCRtpSender's (tests/test_aiortc_contract.py).

    def setTransport(self, transport: Any) -> None:
        self.transport = transport

    def replaceTrack(self, track: Any) -> None:
        raise NotImplementedError("this sender is fed by send_frame, not by a track")

    async def send(self, parameters: Any) -> None:
        """Start with the negotiated parameters (aiortc calls it again and again while it connects)."""
        if self.started.is_set():
            return
        self.codec, self._mid, self._cname = parameters.codecs[0], parameters.muxId, parameters.rtcp.cname
        self._ids = ExtensionIds.from_parameters(parameters.headerExtensions)
        for codec in parameters.codecs:
            if codec.name.lower() == "rtx" and codec.parameters.get("apt") == self.codec.payloadType:
                self._rtx_payload_type = codec.payloadType
        self.transport._register_rtp_sender(self, parameters)
        self._reports = asyncio.create_task(self._run_reports(), name=f"{self.kind} sender reports")
        self.started.set()

    async def stop(self) -> None:
        """End the stream and say so (RTCP BYE)."""
        if self._reports is None:
            return
        reports, self._reports = self._reports, None
        self.transport._unregister_rtp_sender(self)
        reports.cancel()
        await asyncio.wait([reports])
        with contextlib.suppress(ConnectionError):
            await self.transport._send_rtp(bytes(RtcpByePacket(sources=[self._ssrc])))

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self.loss = report.fraction_lost / 256
                    sent_s = self._reported.get(report.lsr)
                    if sent_s is not None:
                        self.rtt_s = max(0.0, time.monotonic() - sent_s - report.dlsr / 65536)
        elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            with contextlib.suppress(ConnectionError):
                for sequence in packet.lost:
                    await self._retransmit(sequence)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_FIR, RTCP_PSFB_PLI):
            self.key_frame_wanted = True
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            with contextlib.suppress(ValueError):
                self.estimate_bps = unpack_remb_fci(packet.fci)[0]
