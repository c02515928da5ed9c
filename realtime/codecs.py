"""Encoders for 25 live pictures a second and for speech (libx264, libvpx, libopus by PyAV), cut into RTP payloads.
May touch PyAV and OpenCV; knows no session, socket or clock. An encoder belongs to one thread at a time.
x264 `superfast`/`zerolatency` and VP8 `cpu-used -8` on one thread take a quarter of the CPU of the usual settings.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.rates import FPS
from realtime.timebase import AUDIO_RATE

PAYLOAD_MAX_BYTES = 1200
"""RTP payload that fits every path of the internet after IP, UDP, SRTP and header extensions."""

PACKET_SAMPLES = 960
"""Samples of an Opus packet: 20 ms at 48 kHz."""

KEYFRAME_INTERVAL = 100_000
"""Frames between unasked key frames: never. Receivers ask (PLI, FIR) when they need one."""


class VideoEncoder(Protocol):
    """One stream of pictures; a key frame comes first and whenever it is asked for."""

    bitrate_bps: int

    def encode(self, picture: NDArray[np.uint8] | None, index: int, key_frame: bool) -> list[bytes]:
        """RTP payloads of a picture (H, W, 3) uint8 BGR, or of the last one again where it is None.

        Width and height may change from call to call. `index` must grow. Empty if there is no picture yet.
        """
        ...


def i420(picture: NDArray[np.uint8]) -> av.VideoFrame:
    """A BGR picture (H, W, 3) as planar YUV 4:2:0 (BT.601, video range). Odd last rows and columns are dropped."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    even = np.ascontiguousarray(picture[:height, :width])
    planes = cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
    # Where it may, the frame takes the planes as they lie; PyAV misplaces the chroma of other heights.
    frame = av.VideoFrame.from_numpy_buffer if height % 4 == 0 else av.VideoFrame.from_ndarray
    return frame(planes, format="yuv420p")


class _PictureEncoder:
    """What both codecs share: conversion, repetition, re-opening on a new size or bitrate."""

    def __init__(self, bitrate_bps: int) -> None:
        self.bitrate_bps = bitrate_bps
        self._codec: av.VideoCodecContext | None = None
        self._opened: tuple[int, int, int] = (0, 0, 0)
        self._frame: av.VideoFrame | None = None

    def encode(self, picture: NDArray[np.uint8] | None, index: int, key_frame: bool) -> list[bytes]:
        if picture is not None:
            self._frame = i420(picture)
        frame = self._frame
        if frame is None:
            return []
        wanted = (frame.width, frame.height, self.bitrate_bps)
        if self._codec is None or self._opened != wanted:
            self._codec, self._opened = self._open(*wanted), wanted
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        frame.pict_type = av.video.frame.PictureType.I if key_frame else av.video.frame.PictureType.NONE
        data = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        return self._packetize(data)

    def _context(self, name: str, width: int, height: int, options: dict[str, str]) -> av.VideoCodecContext:
        codec = av.CodecContext.create(name, "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.framerate, codec.time_base = Fraction(FPS), Fraction(1, FPS)
        codec.gop_size = KEYFRAME_INTERVAL
        codec.thread_count = 1
        codec.options = options
        return codec

    def _open(self, width: int, height: int, bitrate_bps: int) -> av.VideoCodecContext:
        raise NotImplementedError

    def _packetize(self, data: bytes) -> list[bytes]:
        raise NotImplementedError


class H264Encoder(_PictureEncoder):
    """Constrained Baseline by x264: constant quality, capped at `bitrate_bps`, parameter sets before each key frame."""

    def _open(self, width: int, height: int, bitrate_bps: int) -> av.VideoCodecContext:
        options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": "21",
            "maxrate": str(bitrate_bps),
            "bufsize": str(bitrate_bps // 2),
            "forced-idr": "1",
            "x264-params": "repeat-headers=1:scenecut=0:colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m",
        }
        return self._context("libx264", width, height, options)

    def _packetize(self, data: bytes) -> list[bytes]:
        return [payload for unit in nal_units(data) for payload in h264_payloads(unit)]


class Vp8Encoder(_PictureEncoder):
    """VP8 by libvpx at a constant `bitrate_bps`."""

    def __init__(self, bitrate_bps: int) -> None:
        super().__init__(bitrate_bps)
        self._picture_id = random.randrange(1 << 15)

    def _open(self, width: int, height: int, bitrate_bps: int) -> av.VideoCodecContext:
        options = {
            "deadline": "realtime",
            "cpu-used": "-8",
            "noise-sensitivity": "0",
            "lag-in-frames": "0",
            "minrate": str(bitrate_bps),
            "maxrate": str(bitrate_bps),
            "bufsize": str(bitrate_bps // 2),
            "undershoot-pct": "100",
            "overshoot-pct": "15",
            "static-thresh": "1",
        }
        codec = self._context("libvpx", width, height, options)
        codec.bit_rate = bitrate_bps
        codec.qmin, codec.qmax = 2, 60
        return codec

    def _packetize(self, data: bytes) -> list[bytes]:
        self._picture_id = (self._picture_id + 1) % (1 << 15)
        return vp8_payloads(data, self._picture_id)


VIDEO_ENCODERS: dict[str, type[H264Encoder] | type[Vp8Encoder]] = {"H264": H264Encoder, "VP8": Vp8Encoder}
"""By the codec name of an SDP `rtpmap`."""


def nal_units(stream: bytes) -> Iterator[bytes]:
    """The units of an H.264 byte stream (ITU-T H.264, annex B), without start codes."""
    start = stream.find(b"\0\0\1")
    while start >= 0:
        following = stream.find(b"\0\0\1", start + 3)
        unit = stream[start + 3 : following if following >= 0 else len(stream)]
        yield unit.rstrip(b"\0") if following >= 0 else unit
        start = following


def h264_payloads(unit: bytes) -> list[bytes]:
    """One NAL unit as RTP payloads: alone if it fits, else as FU-A fragments of equal size (RFC 6184, 5.6 and 5.8)."""
    if len(unit) <= PAYLOAD_MAX_BYTES:
        return [unit]
    indicator, kind, body = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
    count = math.ceil(len(body) / (PAYLOAD_MAX_BYTES - 2))
    size = math.ceil(len(body) / count)
    payloads = []
    for i in range(count):
        flags = (0x80 if i == 0 else 0) | (0x40 if i == count - 1 else 0)
        payloads.append(bytes((indicator, flags | kind)) + body[i * size : (i + 1) * size])
    return payloads


def vp8_payloads(frame: bytes, picture_id: int) -> list[bytes]:
    """One VP8 frame as RTP payloads with a 15-bit picture id (RFC 7741, 4.2)."""
    size = PAYLOAD_MAX_BYTES - 4
    payloads = []
    for start in range(0, len(frame), size):
        first = 0x10 if start == 0 else 0
        payloads.append(struct.pack("!BBH", 0x80 | first, 0x80, 0x8000 | picture_id) + frame[start : start + size])
    return payloads


class OpusEncoder:
    """Speech as mono Opus packets of 20 ms, by CELT alone (`lowdelay`). Beside `voip` at this rate it takes less than
    half the CPU, adds 2.5 ms of delay instead of 6.5, and stays nearer to the waveform."""

    def __init__(self, bitrate_bps: int) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, av.AudioCodecContext)
        codec.sample_rate, codec.layout, codec.format = AUDIO_RATE, "mono", "s16"
        codec.bit_rate = bitrate_bps
        codec.time_base = Fraction(1, AUDIO_RATE)
        codec.options = {
            "application": "lowdelay",
            "frame_duration": "20",
            "compression_level": "5",
            "vbr": "constrained",  # or else it spends nearly twice the bitrate
        }
        self._codec = codec
        self._frame = av.AudioFrame("s16", "mono", PACKET_SAMPLES)
        self._frame.sample_rate, self._frame.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)

    def encode(self, samples: NDArray[np.int16], pts: int) -> bytes:
        """The packet of (960,) int16 samples at 48 kHz."""
        if samples.shape != (PACKET_SAMPLES,):
            raise ValueError(f"an Opus packet takes {PACKET_SAMPLES} samples, not {samples.shape}")
        self._frame.planes[0].update(samples.tobytes())
        self._frame.pts = pts
        return b"".join(map(bytes, self._codec.encode(self._frame)))


class OpusDecoder:
    """Opus packets to mono sound. Stereo is mixed down by the decoder itself (RFC 6716, 2.1.2)."""

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, av.AudioCodecContext)
        codec.sample_rate, codec.layout, codec.format = AUDIO_RATE, "mono", "s16"
        self._codec = codec

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """The samples of a packet, (n,) int16 at 48 kHz; none if it is garbage."""
        try:
            frames = self._codec.decode(av.Packet(payload)) if payload else []
        except av.FFmpegError:
            return np.zeros(0, np.int16)
        sounds = [np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples) for frame in frames]
        return sounds[0] if len(sounds) == 1 else np.concatenate([np.zeros(0, np.int16), *sounds])
