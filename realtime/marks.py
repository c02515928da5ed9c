"""Marks inside text to be spoken: `[happy]`, `[sad 0.5]`, `[pause 300]`, `[look left]`, `[head 0]`.

Pure. A mark holds from its place in the sound until another changes the same setting or what is said ends. Text
without marks stays as it is, and square brackets that hold no mark are never read out: they are told as mistakes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.style import FEELINGS, Style, StyleError
from realtime.direction import Cue

STRENGTHS = ("mouth", "head", "gaze", "intensity")
PAUSE_MS = 300
"""What `[pause]` alone means."""

MAX_PAUSE_MS = 10_000
KNOWN = f"{', '.join(FEELINGS)}, pause, look, {', '.join(STRENGTHS)}; such as [sad 0.5], [pause 300], [look left]"

_MARK = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence in the speech."""

    ms: int


Act = Cue | Pause


@dataclass(frozen=True, slots=True)
class Script:
    """words: the text without its marks. acts: what they do, each before the character of `words` it is given with, in
    order. mistakes: a sentence for each mark that is none."""

    words: str
    acts: tuple[tuple[int, Act], ...] = ()
    mistakes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it is marks alone, and none of them takes time."""
        marked = self.acts or self.mistakes
        return bool(marked) and not is_speakable(self.words) and not any(isinstance(act, Pause) for _, act in self.acts)

    def phrases(self) -> Iterator[Phrase | Pause]:
        """The words between the pauses, with their cues, and the pauses."""
        words, cues, done = "", [], 0
        for at, act in self.acts:
            words, done = _joined(words, self.words[done:at]), at
            if isinstance(act, Cue):
                cues.append((len(words.split()), act))
                continue
            yield Phrase(words, tuple(cues))
            yield act
            words, cues = "", []
        yield Phrase(_joined(words, self.words[done:]), tuple(cues))


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words without a pause. cues: each with the number of whole words before it."""

    words: str
    cues: tuple[tuple[int, Cue], ...] = ()


def _joined(words: str, more: str) -> str:
    """A mark parts two words even where nobody typed a space."""
    touching = words and more and not words[-1].isspace() and (more[0].isalnum() or more[0] in '¿¡"“„«(')
    return f"{words} {more}" if touching else words + more


def is_speakable(words: str) -> bool:
    """Whether there is more in it than spaces and punctuation."""
    return any(unicodedata.category(character)[0] not in "PZC" for character in words)


def parse(text: str) -> Script:
    """Never raises: what is wrong is told in `mistakes`."""
    words, acts, mistakes, length, done = [], [], [], 0, 0
    for mark in _MARK.finditer(text):
        words.append(text[done : mark.start()])
        length += mark.start() - done
        done = mark.end()
        try:
            acts.append((length, _act(mark[1])))
        except (StyleError, ValueError) as error:
            mistakes.append(f"{_shown(mark[0])} {error}")
    return Script("".join([*words, text[done:]]), tuple(acts), tuple(mistakes))


def _act(inside: str) -> Act:
    """Raises ValueError or StyleError with the rest of a sentence that begins with the mark."""
    match inside.lower().split():
        case ["pause"]:
            return Pause(PAUSE_MS)
        case ["pause", duration]:
            return Pause(_milliseconds(duration))
        case ["look", where]:
            return _cue({"look": where})
        case [feeling] if feeling in FEELINGS:
            return _cue({"feeling": feeling, "intensity": 1.0})
        case [feeling, strength] if feeling in FEELINGS:
            return _cue({"feeling": feeling, "intensity": _number(strength)})
        case [setting, strength] if setting in STRENGTHS:
            return _cue({setting: _number(strength)})
    raise ValueError(f"is no mark and was left out; marks are {KNOWN}")


def _cue(settings: Mapping[str, Any]) -> Cue:
    try:
        Style.from_mapping(settings)
    except StyleError as error:
        raise StyleError(f"was left out: {error}") from error
    return Cue(settings)


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ValueError(f"was left out: {_shown(word)} is no number; write it like [happy 0.5]") from error


def _milliseconds(word: str) -> int:
    duration = _number(word.removesuffix("ms"))
    if not 0 <= duration <= MAX_PAUSE_MS:
        raise ValueError(f"was left out: a pause lasts from 0 to {MAX_PAUSE_MS} milliseconds")
    return round(duration)


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
