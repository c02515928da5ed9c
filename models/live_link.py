"""A face's motion in the columns of Live Link Face, the recording format that animation programs read.

Values only. Times are `HH:MM:SS:FF.fff` at 25 frames a second; weights are 0..1; angles are radians about ARKit's axes
(x to the picture's right, y up, z to the viewer; right-handed): yaw is positive to the subject's left, pitch with the
nose down, roll counter-clockwise as the viewer sees it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_INDEX, ARKIT_NAMES, FaceMotion
from models.gaze import FULL_DOWN_DEG, FULL_SIDE_DEG, FULL_UP_DEG
from models.rates import FPS

ANGLES = (
    "HeadYaw", "HeadPitch", "HeadRoll",
    "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (
    "Timecode",
    "BlendShapeCount",
    *(name[0].upper() + name[1:] for name in ARKIT_NAMES),
    *ANGLES,
)
VALUES = len(COLUMNS) - 2
"""What `BlendShapeCount` says: the 52 weights and the nine angles."""


def row(index: int, motion: FaceMotion) -> list[str]:
    """Chunk `index` as texts under `COLUMNS`."""
    return [timecode(index), str(VALUES), *(f"{value:.6f}" for value in (*motion.weights, *angles(motion)))]


def timecode(index: int) -> str:
    """SMPTE time of chunk `index`, with the fraction of a frame that Live Link Face adds (here always 0)."""
    seconds, frame = divmod(index, FPS)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frame:02d}.000"


def angles(motion: FaceMotion) -> tuple[float, ...]:
    """The nine of `ANGLES`, radians. Eyes turn as far as their eyeLook weights say; they do not roll."""
    yaw, pitch, roll = motion.head[:3].tolist()
    return (yaw, -pitch, -roll, *_eye(motion.weights, "Left"), *_eye(motion.weights, "Right"))


def _eye(weights: NDArray[np.float32], side: str) -> tuple[float, float, float]:
    look = {way: float(weights[ARKIT_INDEX[f"eyeLook{way}{side}"]]) for way in ("In", "Out", "Up", "Down")}
    # An eye looks out to its own side; the subject's left is yaw's positive one.
    out = (look["Out"] - look["In"]) * (1 if side == "Left" else -1)
    down_deg = look["Down"] * FULL_DOWN_DEG - look["Up"] * FULL_UP_DEG
    return math.radians(out * FULL_SIDE_DEG), math.radians(down_deg), 0.0
