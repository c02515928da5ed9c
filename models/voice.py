"""What the voice tells the rest of the face: speaking or not, how loud, where the accents and phrase ends are.

Pure; no clock. One `step` a chunk turns level, voicing and pitch (and the lips' own opinion whether there is speech)
into `VoiceFeatures`, with running means of the speaker's own level, pitch and rate as explicit state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.rates import CHUNK_MS

CHUNK_S = CHUNK_MS / 1000
PHRASE_GAP_CHUNKS = 3
"""A phrase has ended after this many silent chunks (120 ms: longer than the silence inside a stop)."""

PHRASE_LEAST_CHUNKS = 10
MEAN_CHUNKS = 50
"""Time constant of the running means: 2 s of voice."""

RECENT_CHUNKS, HABIT_CHUNKS = 75, 1000
"""Time constants of what the voice does now (3 s of speech) and of what it usually does (40 s)."""

SYLLABLE_DB = 3.0
"""A syllable is a rise of the level by this much after a fall by this much (Mermelstein 1975, on chunks)."""

FIRST_RATE_HZ = 4.2
FIRST_PITCH_ST = 12 * np.log2(150.0 / 55.0)
FIRST_LEVEL_DB = -26.0


@dataclass(frozen=True, slots=True)
class VoiceFeatures:
    """The voice at one chunk.

    speaking: 0..1. loudness: 0..1, 0.5 is this speaker's usual level. accent: 0..1, how far pitch and level stand out
    from the running mean (a pitch accent reaches 0.5). phrase_start, phrase_end: true at one chunk a phrase; the end is
    known `PHRASE_GAP_CHUNKS` after the last sound. lift_st, lift_db: how far pitch and level of the last seconds lie
    above this speaker's habit. rate_hz: syllables a second of speech.
    """

    speaking: float = 0.0
    loudness: float = 0.0
    accent: float = 0.0
    phrase_start: bool = False
    phrase_end: bool = False
    lift_st: float = 0.0
    lift_db: float = 0.0
    rate_hz: float = FIRST_RATE_HZ


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody speaks: now, as a rule, and how fast.

    pitch_st, level_db: (now, habit). *_chunks: how many chunks each habit has heard, at most `HABIT_CHUNKS`.
    turn_db: the highest level since the last syllable began, or the lowest since one ended; rising: which of the two.
    """

    pitch_st: tuple[float, float] = (0.0, 0.0)
    level_db: tuple[float, float] = (0.0, 0.0)
    voiced_chunks: int = 0
    spoken_chunks: int = 0
    rate_hz: float = FIRST_RATE_HZ
    turn_db: float = 0.0
    rising: bool = False

    def hear(self, level_db: float, semitones: float | None) -> Manner:
        """After one more chunk of speech; `semitones` None where unvoiced."""
        loud, spoken = _means(self.level_db, level_db, self.spoken_chunks)
        pitch, voiced = (
            (self.pitch_st, self.voiced_chunks)
            if semitones is None
            else _means(self.pitch_st, semitones, self.voiced_chunks)
        )
        turn = max(self.turn_db, level_db) if self.rising else min(self.turn_db, level_db)
        turned = abs(level_db - turn) >= SYLLABLE_DB
        syllable = turned and not self.rising and semitones is not None
        rate = self.rate_hz + (syllable / CHUNK_S - self.rate_hz) / RECENT_CHUNKS
        return Manner(pitch, loud, voiced, spoken, rate, level_db if turned else turn, self.rising ^ turned)


def _means(means: tuple[float, float], value: float, heard: int) -> tuple[tuple[float, float], int]:
    """(now, habit) with one more value: running means that begin as plain ones."""
    heard += 1
    now, habit = (
        mean + (value - mean) / min(heard, length)
        for mean, length in zip(means, (RECENT_CHUNKS, HABIT_CHUNKS), strict=True)
    )
    return (now, habit), min(heard, HABIT_CHUNKS)


@dataclass(frozen=True, slots=True)
class VoiceState:
    """pitch_st: semitones above 55 Hz. level_db: of speech alone. *_chunks: lengths of the present phrase and gap."""

    pitch_st: float = FIRST_PITCH_ST
    level_db: float = FIRST_LEVEL_DB
    accent: float = 0.0
    phrase_chunks: int = 0
    gap_chunks: int = PHRASE_GAP_CHUNKS
    manner: Manner = Manner()


def step(
    speaking: float, level_db: NDArray[np.floating], pitch_hz: NDArray[np.floating], state: VoiceState
) -> tuple[VoiceFeatures, VoiceState]:
    """One chunk: `speaking` 0..1, `level_db` (4,), `pitch_hz` (4,) with 0 where unvoiced."""
    spoken = speaking > 0.5
    level, voiced = float(level_db.max()), sorted(hz for hz in pitch_hz.tolist() if hz > 0)
    usual_db, usual_st, manner = state.level_db, state.pitch_st, state.manner
    above_db = above_st = 0.0
    if spoken:
        above_db = level - usual_db
        # Slow in steady speech, quick where the guess is far off (a new speaker, a whisper).
        usual_db += above_db / (MEAN_CHUNKS if abs(above_db) < 12 else 8)
    semitones = 12 * math.log2(_middle(voiced) / 55.0) if voiced else None
    if spoken:
        manner = manner.hear(level, semitones)
    if spoken and semitones is not None:
        above_st = semitones - usual_st
        usual_st += above_st / (MEAN_CHUNKS if abs(above_st) < 8 else 8)
    prominence = speaking * (0.65 * _share(above_st / 5) + 0.35 * _share(above_db / 8))
    accent = state.accent + 0.5 * (prominence - state.accent)

    phrase = state.phrase_chunks + 1 if spoken else state.phrase_chunks
    gap = 0 if spoken else state.gap_chunks + 1
    starts = spoken and state.gap_chunks >= PHRASE_GAP_CHUNKS
    ends = gap == PHRASE_GAP_CHUNKS and phrase >= PHRASE_LEAST_CHUNKS
    features = VoiceFeatures(
        speaking=speaking,
        loudness=speaking * _share(0.5 + above_db / 20),
        accent=accent,
        phrase_start=starts,
        phrase_end=ends,
        lift_st=manner.pitch_st[0] - manner.pitch_st[1],
        lift_db=manner.level_db[0] - manner.level_db[1],
        rate_hz=manner.rate_hz,
    )
    phrase = 1 if starts else 0 if gap >= PHRASE_GAP_CHUNKS else phrase
    return features, VoiceState(usual_st, usual_db, accent, phrase, min(gap, PHRASE_GAP_CHUNKS + 1), manner)


def _middle(ordered: Sequence[float]) -> float:
    """Their median."""
    return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2


def _share(value: float) -> float:
    """Limited to 0..1."""
    return min(max(value, 0.0), 1.0)
