"""A cue holds from the frame of its own chunk until what is said ends; settings made by hand hold under it."""

from __future__ import annotations

from models.style import Style
from realtime.direction import END, Cue, Direction

OWN = Style(head=0.5)


def test_a_cue_holds_from_its_chunk_to_the_end() -> None:
    direction = Direction(OWN)
    direction.cue(3, Cue({"mouth": 2.0}))
    direction.cue(5, Cue({"gaze": 0.0}))
    direction.cue(8, END)
    styles = [direction.style(frame) for frame in range(-2, 10)]
    first, both = Style(head=0.5, mouth=2.0), Style(head=0.5, mouth=2.0, gaze=0.0)
    assert styles == [OWN] * 5 + [first] * 2 + [both] * 3 + [OWN] * 2


def test_settings_by_hand_hold_at_once_and_under_a_cue() -> None:
    direction = Direction(OWN)
    direction.cue(0, Cue({"mouth": 2.0}))
    assert direction.style(0).mouth == 2.0
    direction.set(Style(head=0.0, mouth=0.2))
    assert direction.style(1) == Style(head=0.0, mouth=2.0)
    direction.cue(2, END)
    assert direction.style(2) == Style(head=0.0, mouth=0.2)


def test_a_lasting_cue_outlives_the_speech() -> None:
    direction = Direction(OWN)
    direction.cue(1, Cue({"mouth": 2.0}, lasting=True))
    direction.cue(2, END)
    assert direction.style(0) == OWN
    assert direction.style(2) == direction.own == Style(head=0.5, mouth=2.0)


def test_dropped_speech_takes_its_cues_along() -> None:
    direction = Direction(OWN)
    direction.cue(1, Cue({"mouth": 2.0}))
    direction.cue(9, Cue({"mouth": 0.0}, lasting=True))
    assert direction.style(1).mouth == 2.0
    direction.drop()
    assert [direction.style(frame) for frame in (2, 9, 30)] == [OWN] * 3
