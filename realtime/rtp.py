"""The RTP and RTCP arithmetic that aiortc leaves out: packets with our header extensions, media clock, level, bitrate.
Pure: bytes and numbers in and out; time comes in as an argument.
Sender reports say when a timestamp is *presented*, from one epoch for sound and picture, so that lips align exactly.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NTP_UNIX_S = 2_208_988_800
"""Seconds from the NTP epoch (1900) to the Unix epoch (RFC 5905)."""

RTP_HEADER = struct.Struct("!BBHLL")

RATE_WINDOW_S = 2.0
"""Time over which the rate sent is told."""

URI_MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
URI_AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
URI_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
URI_PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
PLAY_SOON = b"\0\0\x28"
"""Playout delay, 12 bits of least and 12 of most, in 10 ms: 0 to 400 ms. Nothing is held back for smoothness, yet the
browser may hold a picture back for its sound. With (0, 0) it may not, and lips run ahead by the sound's buffer."""


def ntp_timestamp(unix_s: float) -> int:
    """64-bit NTP time (RFC 3550, section 4), to a microsecond."""
    whole, micro = divmod(round(unix_s * 1e6), 1_000_000)
    return (whole + NTP_UNIX_S) << 32 | (micro << 32) // 1_000_000


@dataclass(slots=True)
class MediaClock:
    """Wall time at which media time zero is presented; shared by the two tracks of a connection.

    The first chunk sent fixes it. From then on it follows the media alone, however late packets leave.
    """

    epoch_s: float | None = None

    def anchor(self, media_s: float, wall_s: float) -> None:
        if self.epoch_s is None:
            self.epoch_s = wall_s - media_s

    def ntp(self, media_s: float) -> int:
        """NTP time of a place on the media timeline. The clock must be anchored."""
        assert self.epoch_s is not None, "a report before the first packet"
        return ntp_timestamp(self.epoch_s + media_s)


def audio_level_dbov(samples: NDArray[np.int16]) -> int:
    """Loudness of (n,) samples in -dBov, 0 (loudest) to 127 (RFC 6464)."""
    if not samples.size:
        return 127
    floats = samples.astype(np.float32)
    power = float(floats @ floats) / samples.size / 32767.0**2
    return 127 if power <= 0 else round(min(127.0, max(0.0, -10 * math.log10(power))))


def pack_rtp(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    marker: bool,
    extensions: Iterable[tuple[int, bytes]],
    payload: bytes,
) -> bytes:
    """An RTP packet (RFC 3550, 5.1). extensions: (id 1..14, 1..16 bytes) in the one-byte form of RFC 8285."""
    body = b"".join(bytes((number << 4 | len(value) - 1,)) + value for number, value in extensions)
    body += b"\0" * (-len(body) % 4)
    first = 0x90 if body else 0x80
    header = RTP_HEADER.pack(first, marker << 7 | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return header + (struct.pack("!HH", 0xBEDE, len(body) // 4) + body if body else b"") + payload


class RtpPacket(NamedTuple):
    """What is read of a received packet; names as in aiortc's."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def unpack_rtp(data: bytes) -> RtpPacket:
    """An RTP packet (RFC 3550, 5.1) without its header extensions and padding. Raises ValueError for anything else."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise ValueError("no RTP packet")
    first, second, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(data)
    start, end = RTP_HEADER.size + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if start + 4 > end:
            raise ValueError("cut off in its header extensions")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= data[-1]
        if not data[-1]:
            raise ValueError("padding of no length")
    if start > end:
        raise ValueError("cut off in its header, or padded beyond it")
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end])


@dataclass(frozen=True, slots=True)
class ExtensionIds:
    """Negotiated numbers of the header extensions that we send; 0 is "not negotiated"."""

    mid: int = 0
    audio_level: int = 0
    abs_send_time: int = 0
    playout_delay: int = 0

    @classmethod
    def from_parameters(cls, extensions: Iterable[Any]) -> ExtensionIds:
        """From objects with `uri` and `id`. Numbers beyond 14 need another header form and are left out."""
        ids = {extension.uri: extension.id for extension in extensions if 0 < extension.id < 15}
        names = (URI_MID, URI_AUDIO_LEVEL, URI_ABS_SEND_TIME, URI_PLAYOUT_DELAY)
        return cls(*(ids.get(uri, 0) for uri in names))

    def values(self, mid: str, level_dbov: int | None, wall_s: float) -> list[tuple[int, bytes]]:
        """Extensions of one packet that leaves at `wall_s`; level_dbov is None for pictures."""
        send_time = struct.pack("!L", ntp_timestamp(wall_s) >> 14 & 0xFFFFFF)[1:]
        level = b"" if level_dbov is None else bytes((level_dbov & 0x7F,))
        delay = PLAY_SOON if level_dbov is None else b""
        pairs = (
            (self.mid, mid.encode()[:16]),
            (self.audio_level, level),
            (self.abs_send_time, send_time),
            (self.playout_delay, delay),
        )
        return [(number, value) for number, value in pairs if number and value]


@dataclass(slots=True)
class SentRate:
    """Bits a second over the last `RATE_WINDOW_S`, from the sizes of what was sent."""

    _sent: deque[tuple[float, int]] = field(default_factory=deque)
    _octets: int = 0

    def sent(self, octets: int, now_s: float) -> None:
        self._sent.append((now_s, octets))
        self._octets += octets
        self._forget(now_s)

    def bps(self, now_s: float) -> float:
        self._forget(now_s)
        return 8 * self._octets / RATE_WINDOW_S

    def _forget(self, now_s: float) -> None:
        while self._sent and self._sent[0][0] < now_s - RATE_WINDOW_S:
            self._octets -= self._sent.popleft()[1]


@dataclass(slots=True)
class BitratePolicy:
    """When to re-open the video encoder at another rate: rarely, because each time costs a key frame.

    The receiver's estimate (REMB) only counts as a limit where it lies below what is really sent: it never exceeds
    1.5 times what arrives, and a face on a still background needs far less than it may have.
    """

    start_bps: int
    least_bps: int
    most_bps: int
    hold_s: float = 5.0
    change: float = 0.25
    bitrate_bps: int = field(init=False)
    _changed_s: float | None = None

    def __post_init__(self) -> None:
        self.bitrate_bps = self.start_bps

    def update(self, estimate_bps: int, sent_bps: float, now_s: float) -> int:
        """The rate to encode at, given the receiver's estimate and the rate sent of late."""
        if self._changed_s is None:
            self._changed_s = now_s
        congested = estimate_bps < sent_bps
        if not congested and estimate_bps < self.bitrate_bps:
            return self.bitrate_bps
        wanted = max(self.least_bps, min(self.most_bps, int(estimate_bps * 0.9)))
        if now_s - self._changed_s >= self.hold_s and abs(wanted - self.bitrate_bps) > self.change * self.bitrate_bps:
            self.bitrate_bps, self._changed_s = wanted, now_s
        return self.bitrate_bps
