"""Encoders: pictures survive, key frames come when asked, payloads fit and are what browsers put together."""

from __future__ import annotations

import gc
import os
import time

import av
import cv2
import numpy as np
import pytest
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from realtime.codecs import (
    PAYLOAD_MAX_BYTES,
    VIDEO_ENCODERS,
    OpusDecoder,
    OpusEncoder,
    h264_payloads,
    i420,
    nal_units,
    vp8_payloads,
)
from tests.fake_media import marked, read_index

CODECS = {
    name: RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=100) for name in ("H264", "VP8")
}


class Receiver:
    """Puts payloads together with aiortc's depayloaders and decodes them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.codec = av.CodecContext.create({"H264": "h264", "VP8": "libvpx"}[name], "r")

    def picture(self, payloads: list[bytes]) -> np.ndarray:
        data = b"".join(depayload(CODECS[self.name], payload) for payload in payloads)
        return self.codec.decode(av.Packet(data))[0].to_ndarray(format="bgr24")


def is_key(name: str, payloads: list[bytes]) -> bool:
    data = b"".join(depayload(CODECS[name], payload) for payload in payloads)
    if name == "VP8":
        return not data[0] & 1
    return any(unit[0] & 0x1F == 5 for unit in nal_units(data))


@pytest.mark.parametrize("name", VIDEO_ENCODERS)
def test_every_picture_comes_out_at_once_and_in_order(name: str):
    encoder, receiver = VIDEO_ENCODERS[name](1_000_000), Receiver(name)
    for index in range(30):
        payloads = encoder.encode(marked(index), index, key_frame=False)
        assert payloads and max(map(len, payloads)) <= PAYLOAD_MAX_BYTES
        assert read_index(receiver.picture(payloads)) == index


@pytest.mark.parametrize("name", VIDEO_ENCODERS)
def test_key_frames_come_first_and_when_asked_only(name: str):
    encoder = VIDEO_ENCODERS[name](1_000_000)
    keys = [is_key(name, encoder.encode(marked(i), i, key_frame=i == 40)) for i in range(80)]
    assert [i for i, key in enumerate(keys) if key] == [0, 40]


@pytest.mark.parametrize("name", VIDEO_ENCODERS)
def test_no_picture_repeats_the_last_one(name: str):
    encoder, receiver = VIDEO_ENCODERS[name](1_000_000), Receiver(name)
    assert encoder.encode(None, 0, False) == []
    receiver.picture(encoder.encode(marked(77), 1, False))
    assert read_index(receiver.picture(encoder.encode(None, 2, False))) == 77


@pytest.mark.parametrize("name", VIDEO_ENCODERS)
def test_size_and_bitrate_may_change_in_mid_stream(name: str):
    encoder = VIDEO_ENCODERS[name](1_000_000)
    assert Receiver(name).picture(encoder.encode(marked(1, 256), 0, False)).shape == (256, 256, 3)
    odd = np.full((333, 257, 3), 90, np.uint8)
    assert Receiver(name).picture(encoder.encode(odd, 1, False)).shape == (332, 256, 3)
    encoder.bitrate_bps = 400_000
    assert is_key(name, encoder.encode(None, 2, False))


@pytest.mark.parametrize("name", VIDEO_ENCODERS)
def test_the_bitrate_is_kept(name: str):
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
    encoder = VIDEO_ENCODERS[name](300_000)
    sizes = [sum(map(len, encoder.encode(np.roll(texture, 7 * i, axis=1), i, False))) for i in range(100)]
    assert sum(sizes[25:]) * 8 * 25 / 75 < 1.3 * 300_000


def test_h264_is_what_the_sdp_says():
    payloads = VIDEO_ENCODERS["H264"](1_000_000).encode(marked(0), 0, False)
    parameters = next(p for p in payloads if p[0] & 0x1F == 7)
    assert parameters[1] == 66  # baseline
    assert parameters[2] & 0x40  # and constrained
    assert parameters[3] <= 31  # level 3.1


def test_h264_fragments_follow_rfc_6184():
    unit = bytes([0x65]) + bytes(range(256)) * 20
    payloads = h264_payloads(unit)
    assert all(p[0] == 0x60 | 28 and len(p) <= PAYLOAD_MAX_BYTES for p in payloads)
    assert [p[1] >> 6 for p in payloads] == [2] + [0] * (len(payloads) - 2) + [1]
    assert b"".join(depayload(CODECS["H264"], p) for p in payloads) == b"\0\0\0\1" + unit


def test_start_codes_of_three_and_four_bytes():
    assert list(nal_units(b"\0\0\0\1\x67a\0\0\1\x68b\0\0\0\1\x65cc")) == [b"\x67a", b"\x68b", b"\x65cc"]
    assert list(nal_units(b"")) == []


@pytest.mark.parametrize("size", [1, 1196, 1197, 5000])
def test_vp8_payloads_begin_a_frame_once(size: int):
    payloads = vp8_payloads(bytes(size), 1234)
    assert [bool(p[0] & 0x10) for p in payloads] == [True] + [False] * (len(payloads) - 1)
    assert all(p[2:4] == (0x8000 | 1234).to_bytes(2, "big") for p in payloads)
    assert sum(len(depayload(CODECS["VP8"], p)) for p in payloads) == size


@pytest.mark.parametrize("shape", [(64, 64), (66, 130), (68, 66), (65, 67), (131, 64)])
def test_planes_lie_where_opencv_put_them(shape: tuple[int, int]):
    picture = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    frame = i420(picture)
    assert (frame.height, frame.width) == (shape[0] // 2 * 2, shape[1] // 2 * 2)
    even = np.ascontiguousarray(picture[: frame.height, : frame.width])
    np.testing.assert_array_equal(frame.to_ndarray(), cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420))


def test_speech_survives_opus():
    encoder, decoder = OpusEncoder(48_000), OpusDecoder()
    time_s = np.arange(48_000) / 48_000
    voice = (8000 * np.sin(2 * np.pi * (150 + 300 * time_s) * time_s)).astype(np.int16)
    packets = [encoder.encode(voice[i : i + 960], i) for i in range(0, 48_000, 960)]
    assert sum(map(len, packets)) * 8 < 60_000
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert len(heard) == 48_000
    delay = int(np.argmax(np.correlate(heard[:9600].astype(float), voice[2400:7200].astype(float), "valid"))) - 2400
    assert 0 <= delay <= 144  # the codec's own look-ahead is 2.5 ms
    assert np.corrcoef(heard[9600 + delay : 40_000 + delay], voice[9600:40_000])[0, 1] > 0.97


def test_garbage_is_no_sound_and_no_harm():
    decoder = OpusDecoder()
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 3, 50, 1200):
        decoder.decode(rng.integers(0, 255, size, dtype=np.uint8).tobytes())
    packet = OpusEncoder(48_000).encode(np.zeros(960, np.int16), 0)
    assert len(decoder.decode(packet)) == 960


def test_a_packet_has_its_length():
    with pytest.raises(ValueError, match="960"):
        OpusEncoder(48_000).encode(np.zeros(100, np.int16), 0)


def test_encoding_leaves_other_threads_alone():
    """x264 and libvpx run on the calling thread: its CPU time is all there is."""
    cv2.setNumThreads(1)
    for name in VIDEO_ENCODERS:
        encoder = VIDEO_ENCODERS[name](1_000_000)
        encoder.encode(marked(0, 512), 0, False)
        thread_s, process_s = time.thread_time(), time.process_time()
        for index in range(1, 20):
            encoder.encode(marked(index, 512), index, False)
        assert time.process_time() - process_s < 1.5 * (time.thread_time() - thread_s) + 0.01


def test_no_coder_leaves_a_thread_behind():
    # PyAV puts a filter graph with threads of its own before an audio encoder; they must end with it.
    before = len(os.listdir("/proc/self/task"))
    coders = [VIDEO_ENCODERS[name](1_000_000) for name in VIDEO_ENCODERS]
    for coder in coders:
        coder.encode(np.zeros((64, 64, 3), np.uint8), 0, False)
    encoder, decoder = OpusEncoder(48_000), OpusDecoder()
    decoder.decode(encoder.encode(np.zeros(960, np.int16), 0))
    del coder, coders, encoder, decoder
    gc.collect()
    assert len(os.listdir("/proc/self/task")) == before
