"""Marks in a text: found where they stand, understood or told as mistakes, and gone from what is spoken."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.style import FEELINGS, LOOKS
from realtime import marks
from realtime.direction import Cue
from realtime.marks import MAX_PAUSE_MS, Pause, Script, parse
from realtime.narration import narrate, placed
from realtime.timebase import AUDIO_RATE
from tests.fakes import FakeSynthesizer

PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="[]"), max_size=40)
MARKS = st.one_of(
    st.sampled_from(FEELINGS).map(lambda name: (f"[{name}]", Cue({"feeling": name, "intensity": 1.0}))),
    st.tuples(st.sampled_from(FEELINGS), st.floats(0, 2)).map(
        lambda pair: (f"[ {pair[0].upper()}  {pair[1]} ]", Cue({"feeling": pair[0], "intensity": pair[1]}))
    ),
    st.sampled_from(LOOKS).map(lambda where: (f"[look {where}]", Cue({"look": where}))),
    st.integers(0, MAX_PAUSE_MS).map(lambda ms: (f"[pause {ms}]", Pause(ms))),
    st.floats(0, 2).map(lambda strength: (f"[head {strength}]", Cue({"head": strength}))),
)


@given(st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("[] ")), max_size=200))
def test_any_text_is_parsed_and_its_pieces_are_its_words(text: str) -> None:
    script = parse(text)
    assert all(0 <= at <= len(script.words) for at, _ in script.acts)
    spoken = "".join(piece for piece in script.pieces() if isinstance(piece, str))
    assert [c for c in spoken if marks.is_speakable(c)] == [c for c in script.words if marks.is_speakable(c)]


@given(st.text(st.characters(codec="utf-8", exclude_characters="]"), max_size=200))
def test_text_without_marks_stays_as_it_is(text: str) -> None:
    assert parse(text) == Script(text)
    assert list(parse(text).pieces()) == [text]


@given(st.lists(st.tuples(PLAIN, MARKS), max_size=8), PLAIN)
def test_marks_are_found_exactly_where_they_stand(pairs: list, rest: str) -> None:
    script = parse("".join(plain + mark for plain, (mark, _) in pairs) + rest)
    assert script.words == "".join(plain for plain, _ in pairs) + rest
    places = np.cumsum([len(plain) for plain, _ in pairs]).tolist()
    assert list(script.acts) == [(at, act) for at, (_, (_, act)) in zip(places, pairs, strict=True)]
    assert script.mistakes == ()


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ("[laugh]", r"\[laugh\] is no mark and was left out; known marks are .*happy.*pause 300.*look left"),
        ("[]", "is no mark"),
        ("[sad 7]", "intensity must lie from 0 to 2"),
        ("[sad nan]", "intensity must be a number"),
        ("[sad very]", "very is no number"),
        ("[look behind]", "look must be one of free, viewer"),
        ("[pause -1]", "a pause lasts from 0"),
        ("[pause 1e9]", "a pause lasts from 0"),
        ("[listening 1]", "is no mark"),
    ],
)
def test_a_mark_that_is_none_is_told_and_never_read_out(mark: str, complaint: str) -> None:
    script = parse(f"Good {mark}morning")
    assert script.words == "Good morning" and script.acts == ()
    (told,) = script.mistakes
    assert re.search(complaint, told)


def test_marks_alone_say_nothing_and_a_pause_does() -> None:
    assert parse("[happy] …").is_empty and parse("[laugh]").is_empty
    assert not parse("[pause 300]").is_empty and not parse("…").is_empty and not parse("[happy]👋").is_empty
    assert parse("[pause]").acts == ((0, Pause(marks.PAUSE_MS)),)


async def test_cues_stand_between_the_samples_of_their_words() -> None:
    script = parse("One [happy] two[pause 250], three. [look left] [sad]")
    parts = [part async for part in narrate(script, FakeSynthesizer(0.5), None)]
    blocks, cues = placed(parts)
    assert sum(map(len, blocks)) == round((3 * 0.5 + 0.25) * AUDIO_RATE)
    happy, left, sad = (cue for _, cue in cues)
    assert [happy.settings["feeling"], left.settings["look"], sad.settings["feeling"]] == ["happy", "left", "sad"]
    assert [at for at, _ in cues] == [12, 43, 43]
