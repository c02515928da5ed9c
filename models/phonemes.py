"""The streaming phoneme encoder: what is being said, from sound, causally, at several look-aheads at once.

Touches no clock and no file but its weights. Batch rows are sessions; state goes in and comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SpeechFrames:
    """What one step of the encoder says; chunk `i` is the one that came in.

    Axis 1 of the first three is the delay `d`, in the order of `rates.LOOK_AHEADS_MS`: those rows speak of chunk `i - d`.
    Axis 2 is the four 10 ms frames of that chunk.

    viseme: (B, 4, 4, 15) probabilities, in the order of `visemes.VISEMES`.
    phoneme: (B, 4, 4, P) probabilities, in the order of `visemes.PHONEMES`.
    articulation: (B, 4, 4, A) in 0..1, in the order of `visemes.ARTICULATION`.
    level_db: (B, 4) loudness of the frames of chunk `i`, dB full scale, at least -100.
    voicing: (B, 4) in 0..1, chunk `i`.
    pitch_hz: (B, 4), chunk `i`; 0 where unvoiced.
    """

    viseme: NDArray[np.float32]
    phoneme: NDArray[np.float32]
    articulation: NDArray[np.float32]
    level_db: NDArray[np.float32]
    voicing: NDArray[np.float32]
    pitch_hz: NDArray[np.float32]
