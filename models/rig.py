"""Lips, jaw and tongue to the 52 ARKit weights.

Pure values. `Gestures` is what a mouth does; `weights_of` is the one place that knows how strongly each ARKit shape
must be set for that to look right on a warped photograph. Amplitudes were found by looking at rendered faces: far below
1, because an ARKit shape at 1 is an extreme, and speech is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES

JAW_SPEECH = 0.42
"""jawOpen of the widest vowel at the usual loudness (0.55 is a shout): lips as far apart as those of people on film."""

JAW_MOST = 0.55
JAW_SEALED, JAW_RISES = 0.25, 0.65
"""Lips that meet bring the jaw up: of what it is open beyond the first, a seal takes the second share."""

LIPS_SPEECH = 0.16
"""Gap between the lips, in eye distances, at lip_open 1: as on film, sound by sound."""

GAP_OF_JAW, GAP_OF_FUNNEL, GAP_OF_LOWER, GAP_OF_UPPER = 0.39, 0.13, 0.063, 0.080
"""Gaps that jawOpen, mouthFunnel, mouthLowerDown and mouthUpperUp (both sides) make by themselves at 1."""

LOWER_SHOWN, UPPER_SHOWN, MOST_SHOWN = 0.34, 0.22, 1.1
"""How much the lower and the upper lip move to part further than the jaw parts them, and the most of that."""

TEETH_SHOWN, TEETH_BARED = 0.023, 0.016
"""Gaps of an F, and of its raised upper lip alone."""

LIPS_DRAWN, DRAWN_FROM = 0.9, 0.01
"""mouthClose of lips that an open jaw does not part (1 is a seal, which is for P, B and M alone), and the gap from
which they are drawn together."""


@dataclass(frozen=True, slots=True)
class Gestures:
    """What the mouth does, each 0..1 (jaw and lip_open may go to 1.5 in loud speech).

    jaw, lip_open, rounding, spread: as `visemes.ARTICULATION`. closure: lips sealed. labiodental: lower lip at the
    upper teeth. flare: lips pushed forward and apart, as in "sh". tongue: tip on the upper teeth
    from a half on, between the rows at 1.
    """

    jaw: float = 0.0
    lip_open: float = 0.0
    rounding: float = 0.0
    spread: float = 0.0
    closure: float = 0.0
    labiodental: float = 0.0
    flare: float = 0.0
    tongue: float = 0.0


def weights_of(g: Gestures, strength: float = 1.0) -> NDArray[np.float32]:
    """(52,) weights of `g`. `strength` scales all but the closures, which are all or nothing."""
    apart = 1 - g.closure
    held = (1 - g.closure) * (1 - g.labiodental)  # what is left to lips that neither seal nor touch the teeth
    narrow = g.rounding * float(np.clip(1.25 - 1.5 * g.lip_open, 0.25, 1.0))
    wide = g.rounding * float(np.clip(1.6 * g.lip_open, 0.0, 1.0))
    tip = min(g.tongue, 1.0)
    jaw = g.jaw - JAW_RISES * g.closure * max(0.0, g.jaw - JAW_SEALED)
    jaw_open = min(JAW_MOST, strength * (JAW_SPEECH * jaw + 0.04 * tip * held))
    funnel = strength * (0.40 * wide + 0.34 * g.flare) * held
    lower_tip = strength * 0.16 * tip * held

    # Jaw and lips part ways: lips wider than the jaw show teeth (s, e), lips narrower close over an open jaw (w, u).
    wanted = strength * LIPS_SPEECH * g.lip_open
    made = GAP_OF_JAW * jaw_open + GAP_OF_FUNNEL * funnel + GAP_OF_LOWER * lower_tip
    by_lips = GAP_OF_LOWER * LOWER_SHOWN + GAP_OF_UPPER * UPPER_SHOWN
    parted = min(MOST_SHOWN, max(0.0, wanted - made) / by_lips)
    drawn = LIPS_DRAWN * max(0.0, 1 - wanted / max(made, DRAWN_FROM)) * min(1.0, made / DRAWN_FROM)
    out = np.zeros(len(ARKIT_NAMES), np.float32)

    def put(name: str, value: float) -> None:
        out[ARKIT_INDEX[name]] += value

    def put_both(name: str, value: float) -> None:
        put(name + "Left", value)
        put(name + "Right", value)

    put("jawOpen", jaw_open)
    put("mouthPucker", strength * (0.62 * narrow + 0.14 * wide) * (1 - 0.5 * g.labiodental))
    put("mouthFunnel", funnel)
    put("mouthRollLower", strength * 0.13 * narrow * held)
    put_both("mouthSmile", strength * 0.20 * g.spread * (1 - 0.4 * g.closure))
    put_both("mouthStretch", strength * 0.22 * g.spread * held)
    put_both("mouthLowerDown", LOWER_SHOWN * parted * held + lower_tip)
    put_both("mouthUpperUp", UPPER_SHOWN * parted * held)
    put("tongueOut", strength * 0.3 * g.tongue * apart)

    # The lower lip comes up to the edge of the upper teeth, however far the jaw is open.
    at_teeth = 1 - TEETH_SHOWN / (TEETH_BARED + GAP_OF_JAW * jaw_open)
    put("mouthClose", max(g.closure, drawn * (1 - g.labiodental), g.labiodental * max(0.0, at_teeth)))
    put_both("mouthPress", 0.08 * g.closure)
    put("mouthRollLower", 0.10 * g.closure)
    put("mouthRollUpper", 0.10 * g.closure)

    put("mouthRollLower", 0.32 * g.labiodental * apart)
    put_both("mouthUpperUp", 0.52 * g.labiodental * apart)
    put("mouthShrugLower", 0.30 * g.labiodental * apart)
    return np.clip(out, 0.0, 1.0)
