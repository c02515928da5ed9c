"""A script with marks to sound: speech with its pauses, and each cue where it belongs in it.

Touches what its synthesizer touches. Words between two marks are synthesized by themselves, so that a cue stands
exactly between two samples.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import numpy as np
from numpy.typing import NDArray

from realtime.direction import Cue
from realtime.marks import Pause, Script
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE
from realtime.tts import SpeechSynthesizer

Block = NDArray[np.float32]


async def narrate(script: Script, synthesizer: SpeechSynthesizer, voice: str | None) -> AsyncIterator[Block | Cue]:
    """Mono float32 blocks at 48 kHz, and the cues between them. Raises what the synthesizer raises."""
    for piece in script.pieces():
        if isinstance(piece, Cue):
            yield piece
        elif isinstance(piece, Pause):
            yield np.zeros(piece.ms * AUDIO_RATE // 1000, np.float32)
        else:
            async with aclosing(synthesizer.synthesize(piece, voice)) as blocks:  # type: ignore[type-var]
                async for block in blocks:
                    yield block


def placed(parts: Iterable[Block | Cue]) -> tuple[list[Block], list[tuple[int, Cue]]]:
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
