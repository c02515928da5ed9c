"""Marks in a text: found where they stand, understood or told as mistakes, and gone from what is spoken."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.style import FEELINGS, LOOKS
from realtime import marks
from realtime.direction import Cue
from realtime.marks import MAX_PAUSE_MS, Pause, Phrase, Script, parse
from realtime.narration import narrate, placed
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE
from realtime.tts import EspeakSynthesizer, SpeechSynthesizer
from tests import fakes
from tests.fakes import FakeSynthesizer

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
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
    phrases = [phrase for phrase in script.phrases() if isinstance(phrase, Phrase)]
    assert "".join("".join(phrase.words for phrase in phrases).split()) == "".join(script.words.split())
    assert all(0 <= before <= len(phrase.words.split()) for phrase in phrases for before, _ in phrase.cues)


@given(st.text(st.characters(codec="utf-8", exclude_characters="]"), max_size=200))
def test_text_without_marks_stays_as_it_is(text: str) -> None:
    assert parse(text) == Script(text)
    assert list(parse(text).phrases()) == [Phrase(text)]


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
        ("[laugh]", r"\[laugh\] is no mark and was left out; marks are neutral, .*happy.*pause 300.*look left"),
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


def test_a_cue_is_counted_from_the_words_of_its_phrase() -> None:
    happy, sad = Cue({"feeling": "happy", "intensity": 1.0}), Cue({"feeling": "sad", "intensity": 1.0})
    script = parse("[happy]One, two.[sad]Three [pause 100] [happy]four[sad].")
    assert list(script.phrases()) == [
        Phrase("One, two. Three ", ((0, happy), (2, sad))),
        Pause(100),
        Phrase(" four.", ((0, happy), (1, sad))),
    ]


async def told(text: str, synthesizer: SpeechSynthesizer) -> tuple[NDArray[np.float32], list[tuple[int, Cue]]]:
    blocks, cues = placed([part async for part in narrate(parse(text), synthesizer, None)])
    return np.concatenate(blocks), cues


async def test_cues_stand_between_the_samples_of_their_words() -> None:
    sound, cues = await told("One [happy] two[pause 250], three. [look left] [sad]", FakeSynthesizer(0.5))
    assert len(sound) == round((3 * 0.5 + 0.25) * AUDIO_RATE)
    happy, left, sad = (cue for _, cue in cues)
    assert [happy.settings["feeling"], left.settings["look"], sad.settings["feeling"]] == ["happy", "left", "sad"]
    assert [at for at, _ in cues] == [12, 43, 43]


class Counting(FakeSynthesizer):
    """Knows its words: each lasts 0.2 s. Remembers what it was asked to say."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    async def synthesize(self, text, voice):  # type: ignore[no-untyped-def]
        self.said.append(text)
        yield fakes.tone(0.2 * len(text.split()))

    async def timed(self, sentence, voice):  # type: ignore[no-untyped-def]
        self.said.append(sentence)
        words = sentence.split()
        return fakes.tone(0.2 * len(words)), [9600 * word for word in range(len(words))]


async def test_a_sentence_with_a_mark_inside_is_said_whole() -> None:
    synthesizer = Counting()
    sound, cues = await told("[happy] One. Two three. Four [sad] five [pause 200] six. [warm] Seven.", synthesizer)
    assert synthesizer.said == ["One.", "Two three.", "Four five", "six.", "Seven."]
    assert [at for at, _ in cues] == [0, 20, 35] and len(sound) == round((7 * 0.2 + 0.2) * AUDIO_RATE)


SENTENCE = "Papa may buy my mother, don't you think, 3.14 maps of São Paulo."


@needs_espeak
async def test_espeak_says_a_marked_sentence_like_a_plain_one() -> None:
    """The words before a mark are as long as they are in the whole sentence, and nothing is added or lost."""
    espeak = EspeakSynthesizer()
    plain, _ = await told(SENTENCE, espeak)
    marked, cues = await told(SENTENCE.replace("don't", "[sad] don't").replace("Paulo", "[happy]Paulo"), espeak)
    np.testing.assert_array_equal(plain, marked)
    until_dont, _ = await told("Papa may buy my mother,", espeak)
    heard = np.flatnonzero(np.abs(until_dont) > 0.01)[-1] / AUDIO_CHUNK
    assert heard < cues[0][0] < heard + 12
    assert cues[0][0] + 25 < cues[1][0] < len(plain) / AUDIO_CHUNK - 8
