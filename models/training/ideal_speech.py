"""What a perfect encoder would say of known phonemes: `SpeechFrames` from labels instead of sound.

Pure. For tests, benches and for fitting the motion model without the encoder's own errors. Labels are softened by
10 ms, for real ones are no sharper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.phonemes import SpeechFrames
from models.rates import CHUNK_MS, LOOK_AHEADS_MS, MEL_FRAMES
from models.visemes import PHONEME_INDEX, PHONEME_VISEME, PHONEMES, VISEMES, articulation

TimedPhoneme = tuple[str, float, float]
"""A symbol of `visemes.PHONEMES`, its start and its end in seconds."""

SPEECH_DB, SILENCE_DB = -24.0, -80.0
FRAME_S = CHUNK_MS / MEL_FRAMES / 1000
_STOPS = ("p", "t", "k")


def labels(spoken: Sequence[TimedPhoneme], frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Phoneme probabilities (frames, P) and articulation (frames, A) of every 10 ms; silence where nothing is said."""
    phoneme = np.zeros((frames, len(PHONEMES)), np.float32)
    target = np.zeros((frames, len(articulation("sil"))), np.float32)
    phoneme[:, PHONEME_INDEX["sil"]] = 1
    for symbol, start, end in spoken:
        for k in range(max(0, round(start / FRAME_S)), min(frames, round(end / FRAME_S))):
            phoneme[k] = 0
            phoneme[k, PHONEME_INDEX[symbol]] = 1
            target[k] = articulation(symbol, ((k + 0.5) * FRAME_S - start) / max(end - start, FRAME_S))
    return _soften(phoneme), _soften(target)


def speak(
    spoken: Sequence[TimedPhoneme],
    seconds: float,
    level_db: NDArray[np.floating] | None = None,
    pitch_hz: float = 140.0,
) -> Iterator[SpeechFrames]:
    """One `SpeechFrames` (one row) a chunk. `level_db`: (frames,) measured levels; else speech is at `SPEECH_DB`."""
    chunks = round(seconds * 1000 / CHUNK_MS)
    frames = chunks * MEL_FRAMES
    phoneme, target = labels(spoken, frames)
    viseme = np.zeros((frames, len(VISEMES)), np.float32)
    for p, v in enumerate(PHONEME_VISEME):
        viseme[:, v] += phoneme[:, p]
    quiet = phoneme[:, PHONEME_INDEX["sil"]] + phoneme[:, [PHONEME_INDEX[s] for s in _STOPS]].sum(1)
    level = SILENCE_DB + (SPEECH_DB - SILENCE_DB) * (1 - quiet) if level_db is None else level_db
    voicing = target[:, -1]
    delays = [ms // CHUNK_MS for ms in LOOK_AHEADS_MS]

    def at_delays(values: NDArray[np.float32], i: int) -> NDArray[np.float32]:
        rows = [np.arange(4) + MEL_FRAMES * max(0, i - d) for d in delays]
        return values[np.stack(rows)][None]

    for i in range(chunks):
        now = slice(MEL_FRAMES * i, MEL_FRAMES * (i + 1))
        yield SpeechFrames(
            viseme=at_delays(viseme, i),
            phoneme=at_delays(phoneme, i),
            articulation=at_delays(target, i),
            level_db=np.asarray(level[now], np.float32)[None],
            voicing=voicing[None, now],
            pitch_hz=np.where(voicing[None, now] > 0.5, np.float32(pitch_hz), np.float32(0)),
        )


def _soften(values: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(values, ((1, 1), (0, 0)), mode="edge")
    return (0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]).astype(np.float32)
