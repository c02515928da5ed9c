"""What clients may say: JSON of requests, of the data channel and of the PCM socket, checked and made into values.

Pure. Whatever is wrong raises BadMessage or TooLarge with a sentence that says what to send instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from models.by_hand import AnchorError, Anchors, read_anchors
from models.rates import LOOK_AHEADS_MS
from models.style import Style, StyleError
from realtime.errors import BadMessage, TooLarge

PCM_RATES = (8_000, 192_000)
PCM_CHANNELS = 8
NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class Ping:
    t: float


@dataclass(frozen=True, slots=True)
class Speak:
    text: str
    voice: str | None


@dataclass(frozen=True, slots=True)
class Interrupt:
    pass


@dataclass(frozen=True, slots=True)
class Restyle:
    """settings: those of `models.style.Style` to change; avatar: the one to switch to, or None."""

    settings: dict[str, Any]
    avatar: str | None


@dataclass(frozen=True, slots=True)
class SendMotion:
    """Whether the client wants motion as data."""

    on: bool


@dataclass(frozen=True, slots=True)
class Listen:
    """How loudly the other side speaks now, 0..1."""

    level: float


@dataclass(frozen=True, slots=True)
class PcmHello:
    """format: `s16le` or `f32le`; channels are mixed to one."""

    format: str
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class PcmFlush:
    pass


@dataclass(frozen=True, slots=True)
class PcmClear:
    pass


@dataclass(frozen=True, slots=True)
class NewSession:
    """avatar and look_ahead_ms: None for the server's default. resume_token: of a session that lost its connection."""

    sdp: str
    avatar: str | None = None
    look_ahead_ms: int | None = None
    resume_token: str | None = None


ClientMessage = Ping | Speak | Interrupt | Restyle | SendMotion | Listen
PcmMessage = PcmHello | PcmFlush | PcmClear


def client_message(message: Mapping[str, Any], max_text_chars: int) -> ClientMessage:
    """A message of the data channel."""
    match message.get("type"):
        case "ping":
            return Ping(_number(message, "t"))
        case "speak":
            return speak(message, max_text_chars)
        case "interrupt":
            return Interrupt()
        case "style":
            return restyle({name: value for name, value in message.items() if name != "type"})
        case "motion":
            return SendMotion(_flag(message, "on"))
        case "listening":
            return Listen(_fraction(message, "level"))
        case kind:
            known = "ping, speak, interrupt, style, motion or listening"
            raise BadMessage(f"unknown message type {_shown(kind)}; send {known}")


def pcm_message(text: str) -> PcmMessage:
    """A text message of the PCM socket."""
    message = json_object(text)
    match message.get("type"):
        case "hello":
            return _pcm_hello(message)
        case "flush":
            return PcmFlush()
        case "clear":
            return PcmClear()
        case kind:
            raise BadMessage(f"unknown message type {_shown(kind)}; send hello, flush or clear")


def speak(body: Mapping[str, Any], max_text_chars: int) -> Speak:
    """`{"text", "voice"?}`"""
    text = _text(body, "text")
    if len(text) > max_text_chars:
        raise TooLarge(f"the text has {len(text)} characters; send at most {max_text_chars} at a time")
    if not text.strip():
        raise BadMessage("the text is empty; send something to say")
    return Speak(text.strip(), _optional_text(body, "voice"))


def restyle(body: Mapping[str, Any]) -> Restyle:
    """`{"avatar"?}` and any settings of `Style`, which are checked against it."""
    settings = {name: value for name, value in body.items() if name != "avatar"}
    apply_style(settings, Style())
    return Restyle(settings, _optional_text(body, "avatar"))


def apply_style(settings: Mapping[str, Any], base: Style) -> Style:
    try:
        return Style.from_mapping(settings, base)
    except StyleError as error:
        raise BadMessage(str(error)) from error


def as_settings(style: Style) -> dict[str, Any]:
    """The JSON of a style."""
    return asdict(style)


def new_session(body: Mapping[str, Any]) -> NewSession:
    """`{"sdp", "avatar"?, "look_ahead_ms"?, "resume_token"?}`"""
    look_ahead_ms = body.get("look_ahead_ms")
    if look_ahead_ms is not None:
        look_ahead_ms = look_ahead(look_ahead_ms)
    return NewSession(
        _text(body, "sdp"), _optional_text(body, "avatar"), look_ahead_ms, _optional_text(body, "resume_token")
    )


def look_ahead(value: object) -> int:
    """A look-ahead in milliseconds, as JSON has it or as a query string has it."""
    for choice in LOOK_AHEADS_MS:
        if not isinstance(value, bool) and value in (choice, str(choice)):
            return choice
    choices = ", ".join(map(str, LOOK_AHEADS_MS))
    raise BadMessage(f"look_ahead_ms must be one of {choices}, not {_shown(value)}")


def json_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object, or BadMessage."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadMessage('this is not JSON; send an object such as {"text": "hello"}') from error
    if not isinstance(value, dict):
        raise BadMessage("send a JSON object, with names and values in braces")
    return value


def anchors(text: bytes) -> Anchors:
    """Where somebody says that a face is: JSON of `models.by_hand.ANCHORS`. Raises BadMessage."""
    try:
        return read_anchors(json_object(text))
    except AnchorError as error:
        raise BadMessage(str(error)) from error


def _pcm_hello(message: Mapping[str, Any]) -> PcmHello:
    kind, rate, channels = message.get("format"), message.get("rate"), message.get("channels", 1)
    if kind not in ("s16le", "f32le"):
        raise BadMessage(f"format must be s16le or f32le, not {_shown(kind)}")
    if not _whole(rate) or not PCM_RATES[0] <= rate <= PCM_RATES[1]:
        raise BadMessage(f"rate must be a whole number from {PCM_RATES[0]} to {PCM_RATES[1]}, not {_shown(rate)}")
    if not _whole(channels) or not 1 <= channels <= PCM_CHANNELS:
        raise BadMessage(f"channels must be a whole number from 1 to {PCM_CHANNELS}, not {_shown(channels)}")
    return PcmHello(kind, rate, channels)


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(message: Mapping[str, Any], name: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e18 < value < 1e18:
        raise BadMessage(f"'{name}' must be a number, not {_shown(value)}")
    return value


def _fraction(message: Mapping[str, Any], name: str) -> float:
    value = _number(message, name)
    if not 0 <= value <= 1:
        raise BadMessage(f"'{name}' must lie from 0 to 1, not at {value:g}")
    return float(value)


def _flag(message: Mapping[str, Any], name: str) -> bool:
    value = message.get(name)
    if not isinstance(value, bool):
        raise BadMessage(f"'{name}' must be true or false, not {_shown(value)}")
    return value


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise BadMessage(f"'{name}' must be a text" + (", and it is missing" if name not in body else ""))
    return value


def _optional_text(body: Mapping[str, Any], name: str) -> str | None:
    if body.get(name) in (None, ""):
        return None
    value = _text(body, name)
    if len(value) > NAME_CHARS:
        raise BadMessage(f"'{name}' has {len(value)} characters; give at most {NAME_CHARS}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
