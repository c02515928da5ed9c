"""What a user may steer about a face: how wide the mouth, how lively head and gaze, whether it blinks.

Values only. `Style.from_mapping` is the one door for settings that come from outside (JSON, flags, a stored
avatar); everything behind it can trust the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

MAX_STRENGTH = 2.0


class StyleError(ValueError):
    """A style setting is not usable; the message says what to give instead."""


@dataclass(frozen=True, slots=True)
class Style:
    """Strengths are factors: 1 is natural, 0 still, `MAX_STRENGTH` the most.

    mouth: how far speech opens and shapes the lips. Closures stay closed at any strength.
    head: sway, nods and the head's part of breath.
    gaze: how far the eyes leave the viewer.
    blink: whether the eyes blink.
    """

    mouth: float = 1.0
    head: float = 1.0
    gaze: float = 1.0
    blink: bool = True

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
        checked = {
            name: _flag(name, value) if name == "blink" else _strength(name, value) for name, value in settings.items()
        }
        return replace(base, **checked)  # type: ignore[arg-type]


STYLE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Style))


def _strength(name: str, value: object) -> float:
    # bool is an int in Python; "mouth: true" is a slip, not a strength of one.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise StyleError(f"{name} must be a number from 0 to {MAX_STRENGTH:g}, not {_shown(value)}")
    if not 0 <= value <= MAX_STRENGTH:
        raise StyleError(f"{name} must lie from 0 to {MAX_STRENGTH:g}, not at {value:g}")
    return float(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise StyleError(f"{name} must be true or false, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
