"""What a user may steer, and what is refused."""

from __future__ import annotations

import pytest

from models.style import FEELINGS, LOOKS, STYLE_NAMES, Style, StyleError
from realtime.arguments import STYLE_HELP


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"mouth": 3}, "mouth"),
        ({"mouth": -0.1}, "mouth"),
        ({"head": float("nan")}, "head"),
        ({"gaze": "much"}, "gaze"),
        ({"gaze": True}, "gaze"),
        ({"blink": 1}, "blink"),
        ({"feeling": "bored"}, "feeling must be one of neutral, warm"),
        ({"feeling": 1}, "feeling must be one of"),
        ({"intensity": -1}, "intensity"),
        ({"look": "behind"}, "look must be one of free, viewer"),
        ({"listening": 1.5}, "listening must lie from 0 to 1"),
        ({"nose": 1}, "unknown style setting 'nose'; choose from"),
        ([1], "object"),
    ],
)
def test_bad_style_is_refused_in_words(settings: object, complaint: str) -> None:
    with pytest.raises(StyleError, match=complaint):
        Style.from_mapping(settings)  # type: ignore[arg-type]


def test_style_settings_go_over_what_is_in_force() -> None:
    assert Style.from_mapping({"head": 0.5}, Style(mouth=1.5)) == Style(mouth=1.5, head=0.5)
    assert Style.from_mapping({}) == Style()


@pytest.mark.parametrize("feeling", FEELINGS)
def test_every_feeling_is_taken(feeling: str) -> None:
    assert Style.from_mapping({"feeling": feeling, "intensity": 0.5}) == Style(feeling=feeling, intensity=0.5)


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_is_taken(look: str) -> None:
    assert Style.from_mapping({"look": look}).look == look


def test_every_setting_has_a_flag_with_a_word_of_help() -> None:
    assert set(STYLE_HELP) == set(STYLE_NAMES)
