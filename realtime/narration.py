"""A script with marks to sound: speech with its pauses, and each cue where it belongs in it.

Touches what its synthesizer touches. Where a cue stands inside a sentence, a synthesizer that knows when its words
begin says the sentence whole; with any other the words on both sides are said by themselves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from realtime.direction import Cue
from realtime.marks import Pause, Phrase, Script, is_speakable
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE
from realtime.tts import SpeechSynthesizer, sentences

Block = NDArray[np.float32]
Part = Block | Cue


async def narrate(script: Script, synthesizer: SpeechSynthesizer, voice: str | None) -> AsyncIterator[Part]:
    """Mono float32 blocks at 48 kHz, and the cues between them. Raises what the synthesizer raises."""
    for phrase in script.phrases() if script.acts else [Phrase(script.words)]:
        if isinstance(phrase, Pause):
            yield np.zeros(phrase.ms * AUDIO_RATE // 1000, np.float32)
            continue
        for piece in _pieces(phrase):
            async with aclosing(_say(piece, synthesizer, voice)) as parts:  # type: ignore[type-var]
                async for part in parts:
                    yield part


def placed(parts: Iterable[Part]) -> tuple[list[Block], list[tuple[int, Cue]]]:
    """The sound of a narration, and its cues with the index of the 40 ms chunk that each belongs to."""
    blocks: list[Block] = []
    cues: list[tuple[int, Cue]] = []
    samples = 0
    for part in parts:
        if isinstance(part, Cue):
            cues.append((samples // AUDIO_CHUNK, part))
        else:
            blocks.append(part)
            samples += len(part)
    return blocks, cues


def _pieces(phrase: Phrase) -> list[Phrase]:
    """A phrase in parts: one for each sentence with a cue inside, one for all sentences in a row that have none."""
    if not phrase.cues:
        return [phrase]
    pieces: list[Phrase] = []
    first = 0
    for sentence in sentences(phrase.words):
        until = first + len(sentence.split())
        cues = tuple((at - first, cue) for at, cue in phrase.cues if first <= at < until)
        if not cues and pieces and not pieces[-1].cues:
            pieces[-1] = Phrase(f"{pieces[-1].words} {sentence}")
        else:
            pieces.append(Phrase(sentence, cues))
        first = until
    return [*pieces, Phrase("", tuple((0, cue) for at, cue in phrase.cues if at >= first))]


async def _say(piece: Phrase, synthesizer: SpeechSynthesizer, voice: str | None) -> AsyncIterator[Part]:
    for at, cue in piece.cues:
        if at == 0:
            yield cue
    inside = [(at, cue) for at, cue in piece.cues if at > 0]
    timed = await synthesizer.timed(piece.words, voice) if inside else None
    words, done = piece.words.split(), 0
    for at, following in [*inside, (len(words), None)]:
        if timed:
            sound, starts = timed
            ends = [*starts, len(sound)]
            yield sound[ends[done] if done else 0 : ends[at]]
        elif is_speakable(" ".join(words[done:at])):
            text = " ".join(words[done:at]) if inside else piece.words
            async with aclosing(synthesizer.synthesize(text, voice)) as blocks:  # type: ignore[type-var]
                async for block in blocks:
                    yield block
        if following:
            yield following
        done = at
