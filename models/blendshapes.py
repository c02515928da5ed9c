"""The 52 ARKit blendshape names, and the values that describe a face at one instant.

Left and right are the subject's own. Names and order are those of Apple's
`ARFaceAnchor.BlendShapeLocation`, in the column order of Live Link Face.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip

ARKIT_INDEX: dict[str, int] = {name: i for i, name in enumerate(ARKIT_NAMES)}

HEAD_NAMES: tuple[str, ...] = ("yaw", "pitch", "roll", "shift_x", "shift_y", "zoom")

BODY_NAMES: tuple[str, ...] = ("shift_x", "rise")


def _still() -> NDArray[np.float32]:
    return np.zeros(len(BODY_NAMES), np.float32)


@dataclass(frozen=True, slots=True)
class FaceMotion:
    """A face at one chunk, relative to the photo (all zeros is the photo itself, mouth shut).

    weights: (52,) float32 in 0..1, in the order of `ARKIT_NAMES`.
    head: (6,) float32, in the order of `HEAD_NAMES`. Yaw is positive with the nose towards the right
        edge of the picture, pitch with the nose up, roll clockwise as the viewer sees it, in
        radians; shifts are in outer-eye-corner distances, right and down; zoom is log scale.
    body: (2,) float32, in the order of `BODY_NAMES`: chest and shoulders to the right and up, in the same distances.
    """

    weights: NDArray[np.float32]
    head: NDArray[np.float32]
    body: NDArray[np.float32] = field(default_factory=_still)

    @property
    def is_rest(self) -> bool:
        return not (self.weights.any() or self.head.any() or self.body.any())

    @staticmethod
    def rest() -> FaceMotion:
        return FaceMotion(np.zeros(len(ARKIT_NAMES), np.float32), np.zeros(len(HEAD_NAMES), np.float32))
