"""What the voice tells the rest of the face: speaking or not, how loud, where the accents and phrase ends are.

Pure; no clock. One `step` a chunk turns level, voicing and pitch (and the lips' own opinion whether there is speech)
into `VoiceFeatures`, with running means of the speaker's own level and pitch as explicit state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

PHRASE_GAP_CHUNKS = 3
"""A phrase has ended after this many silent chunks (120 ms: longer than the silence inside a stop)."""

PHRASE_LEAST_CHUNKS = 10
MEAN_CHUNKS = 50
"""Time constant of the running means: 2 s of voice."""

FIRST_PITCH_ST = 12 * np.log2(150.0 / 55.0)
FIRST_LEVEL_DB = -26.0


@dataclass(frozen=True, slots=True)
class VoiceFeatures:
    """The voice at one chunk.

    speaking: 0..1. loudness: 0..1, 0.5 is this speaker's usual level. accent: 0..1, how far pitch and level stand out
    from the running mean (a pitch accent reaches 0.5). phrase_start, phrase_end: true at one chunk a phrase; the end is
    known `PHRASE_GAP_CHUNKS` after the last sound.
    """

    speaking: float = 0.0
    loudness: float = 0.0
    accent: float = 0.0
    phrase_start: bool = False
    phrase_end: bool = False


@dataclass(frozen=True, slots=True)
class VoiceState:
    """pitch_st: semitones above 55 Hz. level_db: of speech alone. *_chunks: lengths of the present phrase and gap."""

    pitch_st: float = FIRST_PITCH_ST
    level_db: float = FIRST_LEVEL_DB
    accent: float = 0.0
    phrase_chunks: int = 0
    gap_chunks: int = PHRASE_GAP_CHUNKS


def step(
    speaking: float, level_db: NDArray[np.floating], pitch_hz: NDArray[np.floating], state: VoiceState
) -> tuple[VoiceFeatures, VoiceState]:
    """One chunk: `speaking` 0..1, `level_db` (4,), `pitch_hz` (4,) with 0 where unvoiced."""
    spoken = speaking > 0.5
    level, voiced = float(np.max(level_db)), pitch_hz[pitch_hz > 0]
    above_db = above_st = 0.0
    if spoken:
        above_db = level - state.level_db
        # Slow in steady speech, quick where the guess is far off (a new speaker, a whisper).
        state = replace(state, level_db=state.level_db + above_db / (MEAN_CHUNKS if abs(above_db) < 12 else 8))
    if spoken and len(voiced):
        semitones = float(12 * np.log2(np.median(voiced) / 55.0))
        above_st = semitones - state.pitch_st
        state = replace(state, pitch_st=state.pitch_st + above_st / (MEAN_CHUNKS if abs(above_st) < 8 else 8))
    prominence = speaking * (0.65 * np.clip(above_st / 5, 0, 1) + 0.35 * np.clip(above_db / 8, 0, 1))
    state = replace(state, accent=state.accent + 0.5 * (float(prominence) - state.accent))

    phrase = state.phrase_chunks + 1 if spoken else state.phrase_chunks
    gap = 0 if spoken else state.gap_chunks + 1
    starts = spoken and state.gap_chunks >= PHRASE_GAP_CHUNKS
    ends = gap == PHRASE_GAP_CHUNKS and phrase >= PHRASE_LEAST_CHUNKS
    features = VoiceFeatures(
        speaking=speaking,
        loudness=speaking * float(np.clip(0.5 + above_db / 20, 0, 1)),
        accent=state.accent,
        phrase_start=starts,
        phrase_end=ends,
    )
    phrase = 1 if starts else 0 if gap >= PHRASE_GAP_CHUNKS else phrase
    return features, replace(state, phrase_chunks=phrase, gap_chunks=min(gap, PHRASE_GAP_CHUNKS + 1))
