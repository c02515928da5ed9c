"""The opening between the lips: where their edges are, and how closings shape the gap.
Pure arithmetic on arrays; touches nothing.
Lips part like an ellipse, rounded ones most; the 3D face opens to a wedge at the corners. Closings make up for that,
and for seals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES
from models.identity import Identity
from models.mouth import FULLY_ROUND, ROUNDING

Array = NDArray[np.float32]

MOUTH_CLOSE = ARKIT_INDEX["mouthClose"]
LOWER_SHARE = 0.65
"""How much of a closing the lower lip does; the rest is the upper lip's."""

SEALED, CLOSING_ROUNDS = 0.94, 2
"""`mouthClose` from which lips touch; rounds in which the closings, each smooth along the lip, are made to add up."""

PRESSED = 0.013
"""How far sealed lips are pressed into each other, in eye distances: the shadow between lips at rest gets thinner."""

ALWAYS_ROUND = 0.35
"""How far the opening is an ellipse when lips are not rounded at all."""


class Opening:
    """The lips of one identity.

    lines: (2, n, 2) px, edges of upper and lower lip at rest; contours: (W, 2 * n * 2) px per unit of weight. gap: (n,)
    px between them, gaps: (W, n) per unit of weight; close: (n, C) closings for each px that the gap is too wide.
    ellipse: (n,) its height along the lip; pressed_px: (n,) how far a seal presses lips into each other.
    """

    def __init__(self, identity: Identity) -> None:
        self.lines = np.stack([identity.upper_line, identity.lower_line])
        contours = np.stack([identity.upper_contour, identity.lower_contour], 1)
        self.contours = contours.reshape(len(contours), -1)
        along = np.linspace(0, np.pi, len(identity.upper_line), dtype=np.float32)
        self.ellipse = np.sqrt(np.clip(np.sin(along), 0, 1))
        self.pressed_px = PRESSED * identity.unit_px * self.ellipse
        # The gap is linear in the weights, and so are the closings that take away what is too much of it.
        self.gap = (identity.lower_line - identity.upper_line) @ identity.lip_down
        self.gaps = (identity.lower_contour - identity.upper_contour) @ identity.lip_down
        self.close = closing_rounds(identity.closing, self.gaps[len(ARKIT_NAMES) :])

    def with_closings(self, weights: Array) -> Array:
        """(W,) the 52 weights and the closings that leave the gap which `mouthClose` and rounding ask for."""
        gap = self.gap + weights @ self.gaps[: len(weights)]
        rounding = min(1.0, max(0.0, ALWAYS_ROUND + (1 - ALWAYS_ROUND) * float(weights[ROUNDING].sum()) / FULLY_ROUND))
        ellipse = np.maximum(gap, gap.max() * self.ellipse)
        close = float(weights[MOUTH_CLOSE])
        wanted = np.maximum(gap + rounding * (ellipse - gap), 0) * max(0.0, 1 - close / SEALED)
        wanted -= self.pressed_px * max(0.0, (close - SEALED) / (1 - SEALED))
        return np.concatenate([weights, (gap - wanted) @ self.close]).astype(np.float32)

    def edges(self, weights: Array) -> tuple[Array, Array]:
        """Inner edges (n, 2) px of the upper and of the lower lip at weights and closings (W,), head unmoved."""
        upper, lower = self.lines + (weights @ self.contours).reshape(self.lines.shape)
        return upper, lower


def closing_rounds(closing: NDArray[np.floating], gaps: NDArray[np.floating]) -> Array:
    """(n, C) the closings that shut a gap of 1 px in each column, each round shutting what the one before left.

    closing: (C, n), of one round. gaps: (C, n), how far each closing opens the gap.
    """
    half = len(closing) // 2
    share = np.repeat([-LOWER_SHARE, 1 - LOWER_SHARE], half)
    once = (share[:, None] * closing.astype(np.float64)).T
    left, total = np.eye(len(once)), np.zeros_like(once)
    for _ in range(CLOSING_ROUNDS):
        total += left @ once
        left = left + left @ once @ gaps
    return total.astype(np.float32)
