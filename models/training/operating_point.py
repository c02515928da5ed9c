"""How sure the network must be before lips close: a bias on PP and FF, chosen on the dev voices.

Pure functions of what the network said. Both are rare, so the likeliest viseme finds too few of them; what a spectator
sees is a lip that did not close.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from models.visemes import VISEME_INDEX, VISEMES

TRIED = np.arange(-4, 13) / 10
"""Biases tried: nepers added to the logarithm of the probability."""

PRICE = 0.001
"""Accuracy that may be lost for it."""


def lip_bias(said: NDArray[np.float32], true: NDArray[np.integer]) -> NDArray[np.float32]:
    """(15,) biases: the best mean F1 of PP and FF among those that cost no more accuracy than `PRICE`.

    said: (T, 15) probabilities; true: (T,) visemes.
    """
    places = [VISEME_INDEX["PP"], VISEME_INDEX["FF"]]
    logs = np.log(np.maximum(said, 1e-9))
    plain = float(np.mean(logs.argmax(1) == true))
    best, chosen = -1.0, np.zeros(len(VISEMES), np.float32)
    for pair in product(TRIED, repeat=2):
        bias = np.zeros(len(VISEMES), np.float32)
        bias[places] = pair
        heard = (logs + bias).argmax(1)
        score = float(np.mean([_f1(heard == place, true == place) for place in places]))
        if np.mean(heard == true) >= plain - PRICE and score > best:
            best, chosen = score, bias
    return chosen


def _f1(heard: NDArray[np.bool_], is_so: NDArray[np.bool_]) -> float:
    return 2 * int(np.sum(heard & is_so)) / max(1, int(np.sum(heard)) + int(np.sum(is_so)))
