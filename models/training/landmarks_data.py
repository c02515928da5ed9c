"""Pictures that the landmark networks learn from, and which of them are held out.

Reads pictures and frames under the data directory; writes nothing. The split goes by identity: groups of
near-variants for the synthetic faces, the id for portraits, the clip for video; a hash decides, so it never moves.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]
LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS_BETWEEN = (
    76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16, 85, 180, 90, 77,
    62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96,
)  # fmt: skip
LIPS = tuple(sorted({*LIPS_OUTER, *LIPS_INNER, *LIPS_BETWEEN}))
EYES = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, *range(468, 478),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One picture with a face. `read` gives (H, W, 3) BGR."""

    key: str
    held_out: bool
    read: Callable[[], Picture]


def _held_out(identity: str, per_cent: int = 10) -> bool:
    return zlib.crc32(identity.encode()) % 100 < per_cent


def read_picture(path: Path) -> Picture:
    picture = cv2.imread(str(path))
    if picture is None:
        raise ValueError(f"{path} is not a picture that OpenCV reads")
    return picture


def _read_frame(path: Path, index: int) -> Picture:
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_POS_FRAMES, index)
    good, frame = video.read()
    if not good:
        raise ValueError(f"{path} has no frame {index}")
    return frame


def list_sources(data: Path, video_frames: int = 150) -> list[Source]:
    """All pictures under `data`, in a fixed order: synthetic faces, portraits, some frames of the speaker."""
    sources = []
    for key, entry in json.loads((data / "sfhq/index.json").read_text()).items():
        held_out = _held_out(f"sfhq group {entry['group']}")
        sources.append(Source(f"sfhq/{key}", held_out, partial(read_picture, data / f"sfhq/{key}.jpg")))
    for key in json.loads((data / "portraits/index.json").read_text()):
        sources.append(Source(f"portraits/{key}", _held_out(key), partial(read_picture, data / f"portraits/{key}.jpg")))
    clips = sorted((data / "grid_s1").glob("*.mp4"))
    for n, clip in enumerate(clips[:: max(1, len(clips) // video_frames)]):
        frame = 15 + (n * 7) % 45
        sources.append(Source(f"grid_s1/{clip.stem}", _held_out(clip.stem), partial(_read_frame, clip, frame)))
    return sources


@dataclass(frozen=True, slots=True)
class Example:
    """A decoded picture with the teacher's points (478, 2) in its pixels."""

    key: str
    held_out: bool
    picture: Picture
    points: NDArray[np.float32]


def read_labels(file: Path) -> dict[str, NDArray]:
    """The arrays that `landmarks_teacher.label` made, from the file where its command line put them."""
    with np.load(file) as stored:
        return dict(stored)


def load_examples(
    data: Path, labels: dict[str, NDArray], face_px: float = 200
) -> tuple[list[Example], NDArray[np.int64]]:
    """Examples, no face larger than `face_px`, and the (478,) order of the points of a mirrored picture."""
    points = dict(zip(labels["key"].tolist(), labels["points"], strict=True))
    examples = []
    for source in list_sources(data):
        if source.key not in points:
            continue
        picture, at = source.read(), points[source.key]
        scale = min(1.0, face_px / float((at.max(0) - at.min(0)).max()))
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        examples.append(Example(source.key, source.held_out, picture, (at * scale).astype(np.float32)))
    return examples, labels["mirror"]
