"""What a user may steer about a face: its feeling, how wide the mouth, how lively head and gaze, where it looks.

Values only. `Style.from_mapping` is the one door for settings that come from outside (JSON, flags, a stored
avatar); everything behind it can trust the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_STRENGTH = 2.0

FEELINGS = ("neutral", "warm", "happy", "serious", "sad", "surprised", "angry", "auto")
"""`auto` takes it from the voice: energy, pitch and rate. See `models.feelings`."""

LOOKS = ("free", "viewer", "left", "right", "up", "down")
"""Where the eyes are: where they like, at the viewer, or to one side of the picture."""


class StyleError(ValueError):
    """A style setting is not usable; the message says what to give instead."""


@dataclass(frozen=True, slots=True)
class Style:
    """Strengths are factors: 1 is natural, 0 still, `MAX_STRENGTH` the most.

    mouth: how far speech opens and shapes the lips. Closures stay closed at any strength.
    head: sway, nods and the head's part of breath.
    gaze: how far the eyes leave the viewer.
    blink: whether the eyes blink.
    feeling: one of `FEELINGS`; intensity: how strongly it shows.
    look: one of `LOOKS`.
    listening: 0..1, how loudly the other side is speaking now, said by whoever hears it; a listener looks at the
    speaker and nods now and then.
    """

    mouth: float = 1.0
    head: float = 1.0
    gaze: float = 1.0
    blink: bool = True
    feeling: str = "neutral"
    intensity: float = 1.0
    look: str = "free"
    listening: float = 0.0

    @staticmethod
    def from_mapping(settings: Mapping[str, object], base: Style | None = None) -> Style:
        """`base` (default: natural) with `settings` put over it. Raises StyleError for an unknown name or a value
        out of range."""
        if not isinstance(settings, Mapping):
            raise StyleError(f"a style is an object of settings such as {{'mouth': 1.0}}, not {_shown(settings)}")
        base = base or Style()
        unknown = sorted(str(name) for name in settings if name not in STYLE_NAMES)
        if unknown:
            raise StyleError(f"unknown style setting {_shown(unknown[0])}; choose from {', '.join(STYLE_NAMES)}")
        checked = {name: _CHECKS.get(name, _strength)(name, value) for name, value in settings.items()}
        return replace(base, **checked)


STYLE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Style))


def _strength(name: str, value: object, most: float = MAX_STRENGTH) -> float:
    # bool is an int in Python; "mouth: true" is a slip, not a strength of one.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise StyleError(f"{name} must be a number from 0 to {most:g}, not {_shown(value)}")
    if not 0 <= value <= most:
        raise StyleError(f"{name} must lie from 0 to {most:g}, not at {value:g}")
    return float(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise StyleError(f"{name} must be true or false, not {_shown(value)}")
    return value


def _one_of(choices: tuple[str, ...]) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise StyleError(f"{name} must be one of {', '.join(choices)}, not {_shown(value)}")
        return value

    return check


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "blink": _flag,
    "feeling": _one_of(FEELINGS),
    "look": _one_of(LOOKS),
    "listening": lambda name, value: _strength(name, value, 1.0),
}
"""What is no strength."""
