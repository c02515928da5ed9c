"""Real speech in a language that no training heard: FACEGOOD's Mandarin, against the mouth recorded with it.

There are no phoneme labels, but mouth weights of an artist's rig at 30 frames a second. How well the encoder's
articulation at 80 ms goes with them says whether it hears the lips of that language; loudness alone must lose.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.hearing import MAIN
from models.phonemes import PhonemeEncoder
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, MEL_HOP, SPEECH_CHUNK, SPEECH_RATE
from models.training import corpus
from models.visemes import ARTICULATION

PAIRS = {
    "lips pressed": ("bilabial", ("mouth_press_l", "mouth_press_r")),
    "lips pursed": ("lip_round", ("mouth_pucker_l", "mouth_pucker_r")),
    "jaw": ("jaw_open", ("mouth_stretch_c",)),
}
LAG_FRAMES = 12
"""Sound and mouth may be this far apart (10 ms): the best lag of each clip counts, for ours and for loudness."""


def agreement(encoder: PhonemeEncoder, folder: Path) -> dict[str, dict[str, float]]:
    """For each of `PAIRS`, the median correlation over the clips of `folder`: the encoder's, and that of loudness."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in PAIRS}
    for file in sorted(folder.glob("*.npz")):
        record = np.load(file)
        names, times = list(record["names"]), np.arange(len(record["weights"])) / float(record["fps"])
        articulation, level_db = _heard(encoder, corpus.read_sound(file.with_suffix(".opus")))
        for name, (ours, theirs) in PAIRS.items():
            mouth = record["weights"][:, [names.index(weight) for weight in theirs]].astype(np.float64).sum(1)
            if mouth.std() > 1e-3:
                heard = articulation[:, ARTICULATION.index(ours)]
                found[name].append((_best(heard, mouth, times), _best(level_db, mouth, times)))
    return {
        name: {"encoder": float(np.median([a for a, _ in both])), "loudness": float(np.median([b for _, b in both]))}
        for name, both in found.items()
        if both
    }


def _heard(encoder: PhonemeEncoder, sound: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """Articulation (T, A) and level (T,) of 10 ms frames, the delay taken out."""
    late, frames = LOOK_AHEADS_MS[MAIN] // 40, len(sound) // MEL_HOP
    padded = np.zeros((-(-len(sound) // SPEECH_CHUNK) + late) * SPEECH_CHUNK, np.float32)
    padded[: len(sound)] = sound
    state, said, levels = encoder.initial_state(), [], []
    for chunk in padded.reshape(-1, 1, SPEECH_CHUNK):
        answer, state = encoder.step(chunk, state)
        said.append(answer.articulation[0, MAIN])
        levels.append(answer.level_db[0])
    return np.concatenate(said)[late * MEL_FRAMES :][:frames], np.maximum(np.concatenate(levels)[:frames], -60)


def _best(heard: NDArray, mouth: NDArray, times_s: NDArray) -> float:
    """The best correlation, either sign of loudness allowed, within the lag."""
    smooth = np.convolve(heard, np.ones(7) / 7, "same")
    at = times_s * SPEECH_RATE / MEL_HOP
    lags = range(-LAG_FRAMES, LAG_FRAMES + 1)
    shifted = (np.interp(at + lag, np.arange(len(smooth)), smooth) for lag in lags)
    return max(abs(float(np.corrcoef(x, mouth)[0, 1])) for x in shifted)
