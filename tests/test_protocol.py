"""Messages from outside become values or one clear sentence; nothing else, whatever is sent."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.style import Style
from realtime import protocol
from realtime.errors import BadMessage, MouthpieceError, TooLarge
from realtime.latency import LatencyMeter
from realtime.pcm import PcmDecoder
from realtime.protocol import (
    Interrupt,
    Listen,
    NewSession,
    PcmClear,
    PcmFlush,
    PcmHello,
    Ping,
    Restyle,
    SendMotion,
    Speak,
)

MAX_CHARS = 5000
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        ({"type": "ping", "t": 12.5}, Ping(12.5)),
        ({"type": "speak", "text": " hello "}, Speak("hello", None)),
        ({"type": "speak", "text": "hello", "voice": "fr"}, Speak("hello", "fr")),
        ({"type": "interrupt"}, Interrupt()),
        ({"type": "motion", "on": True}, SendMotion(True)),
        ({"type": "listening", "level": 1}, Listen(1.0)),
        ({"type": "style", "mouth": 0.5, "avatar": "iris"}, Restyle({"mouth": 0.5}, "iris")),
    ],
)
def test_a_message_becomes_a_value(message: dict[str, Any], value: object) -> None:
    assert protocol.client_message(message, MAX_CHARS) == value


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "unknown message type None"),
        ({"type": "dance"}, "send ping, speak, interrupt, style, motion or listening"),
        ({"type": "ping"}, "'t' must be a number"),
        ({"type": "ping", "t": 10**400}, "'t' must be a number"),
        ({"type": "speak"}, "'text' must be a text, and it is missing"),
        ({"type": "speak", "text": 3}, "'text' must be a text"),
        ({"type": "speak", "text": "  "}, "the text is empty"),
        ({"type": "speak", "text": "a", "voice": 3}, "'voice' must be a text"),
        ({"type": "motion"}, "'on' must be true or false"),
        ({"type": "listening", "level": "loud"}, "'level' must be a number"),
        ({"type": "listening", "level": 1.5}, "'level' must lie from 0 to 1"),
        ({"type": "style", "mouth": "wide"}, "mouth must be a number"),
        ({"type": "style", "colour": 1}, "unknown style setting 'colour'"),
        ({"type": "style", "avatar": "x" * 65}, "'avatar' has 65 characters"),
    ],
)
def test_a_wrong_message_is_told_what_is_wrong(message: dict[str, Any], words: str) -> None:
    with pytest.raises(BadMessage) as caught:
        protocol.client_message(message, MAX_CHARS)
    assert words in str(caught.value)


def test_a_text_beyond_the_bound_is_too_large() -> None:
    protocol.speak({"text": "x" * MAX_CHARS}, MAX_CHARS)
    with pytest.raises(TooLarge, match="100000 characters; send at most 5000"):
        protocol.speak({"text": "x" * 100_000}, MAX_CHARS)


@given(message=st.dictionaries(st.sampled_from(["type", "text", "t", "voice", "mouth", "avatar"]), ANYTHING))
@settings(max_examples=150, deadline=None)
def test_nothing_but_our_errors_comes_of_nonsense(message: dict[str, Any]) -> None:
    for kind in ("ping", "speak", "interrupt", "style", message.get("type")):
        try:
            protocol.client_message(message | {"type": kind}, MAX_CHARS)
        except MouthpieceError as error:
            assert "\n" not in str(error) and len(str(error)) < 200


@given(text=st.text(max_size=60) | ANYTHING.map(lambda value: json.dumps(value)))
@settings(max_examples=100, deadline=None)
def test_a_socket_may_say_anything(text: str) -> None:
    try:
        protocol.pcm_message(text)
    except MouthpieceError as error:
        assert "\n" not in str(error)


def test_the_pcm_socket_speaks_hello_flush_and_clear() -> None:
    hello = '{"type": "hello", "format": "s16le", "rate": 16000, "channels": 1}'
    assert protocol.pcm_message(hello) == PcmHello("s16le", 16000, 1)
    assert protocol.pcm_message('{"type": "flush"}') == PcmFlush()
    assert protocol.pcm_message('{"type": "clear"}') == PcmClear()
    for wrong in ('"format": "mp3"', '"rate": 7', '"channels": 0', '"rate": true'):
        with pytest.raises(BadMessage):
            protocol.pcm_message(hello[:-1] + f", {wrong}}}")


def test_a_session_is_asked_for_with_an_offer() -> None:
    assert protocol.new_session({"sdp": "v=0", "look_ahead_ms": 200}) == NewSession("v=0", None, 200, None)
    assert protocol.look_ahead("40") == 40
    for wrong in (70, "x", True, None, []):
        with pytest.raises(BadMessage, match="one of 0, 40, 80, 200"):
            protocol.look_ahead(wrong)
    with pytest.raises(BadMessage, match="'sdp' must be a text"):
        protocol.new_session({"avatar": "iris"})


@pytest.mark.parametrize("text", ["", "[1]", "nope", "[" * 100_000, b"\xff\xfe"])
def test_only_json_objects_are_taken(text: str | bytes) -> None:
    with pytest.raises(BadMessage):
        protocol.json_object(text)


def test_a_style_keeps_what_is_not_named() -> None:
    assert protocol.apply_style({"head": 0.0}, Style(mouth=0.5)) == Style(mouth=0.5, head=0.0)


# --- pushed PCM ---


@given(cuts=st.lists(st.integers(0, 700), min_size=1, max_size=12), kind=st.sampled_from(["s16le", "f32le"]))
@settings(max_examples=40, deadline=None)
def test_pcm_may_be_cut_at_any_byte(cuts: list[int], kind: str) -> None:
    samples = np.random.default_rng(1).uniform(-0.9, 0.9, (sum(cuts) // 4 + 1, 2))
    data = ((samples * 32768).astype("<i2") if kind == "s16le" else samples.astype("<f4")).tobytes()[: sum(cuts)]
    decoder, at, pieces = PcmDecoder(PcmHello(kind, 48_000, 2)), 0, []
    for cut in cuts:
        pieces.append(decoder.decode(data[at : at + cut]))
        at += cut
    heard = np.concatenate(pieces)
    np.testing.assert_allclose(heard, samples[: len(heard)].mean(axis=1), atol=2e-4)
    assert len(heard) == sum(cuts) // (4 if kind == "s16le" else 8)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 96_000])
def test_any_rate_keeps_its_length_and_pitch(rate: int) -> None:
    at_s = np.arange(rate) / rate
    data = (0.5 * np.sin(2 * np.pi * 440 * at_s)).astype("<f4").tobytes()
    decoder = PcmDecoder(PcmHello("f32le", rate, 1))
    pieces = [decoder.decode(data[i : i + 4000]) for i in range(0, len(data), 4000)]
    heard = np.concatenate([*pieces, decoder.flush()])
    assert abs(len(heard) - 48_000) <= 48
    assert abs(np.argmax(np.abs(np.fft.rfft(heard[:48_000], 48_000))) - 440) <= 1


def test_pcm_that_is_no_number_is_silence() -> None:
    data = np.array([np.nan, np.inf, -np.inf, 1e30], "<f4").tobytes()
    assert np.abs(PcmDecoder(PcmHello("f32le", 48_000, 1)).decode(data)).max() <= 1.0


# --- latency ---


def test_stages_add_up_to_the_total_and_lateness_is_told() -> None:
    meter, report = LatencyMeter(look_ahead_chunks=2), None
    for index in range(24):
        at = 0.04 * index
        meter.taken(index, at, at - 0.010)
        meter.ready(index, at + 0.080 + 0.015, 1.0, {"encoder": 4.0, "picture": 10.0})
        stages, told = meter.released(index, at + 0.130, late=index % 12 == 0)
        report = told or report
        assert sum(stages.values()) - stages["total"] == pytest.approx(stages["total"])
    assert report is not None
    assert report.total_ms == pytest.approx(140.0)
    assert report.message()["stages"] == {
        "receive": 10.0, "look_ahead": 80.0, "queue": 1.0, "encoder": 4.0, "picture": 10.0, "wait": 35.0,
    }  # fmt: skip
    assert report.late_per_mille == pytest.approx(1000 / 12)
