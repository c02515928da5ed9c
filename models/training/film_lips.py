"""Measures the gap between the lips in the filmed clips: what `models.training.motion` learns lip opening from.

Training time only: reads `DATA/grid_s1/*.mp4` and `DATA/face_landmarker.task`, writes one array a clip: (frames,) the
mean gap of the inner-lip pairs over the distance of the outer eye corners, not a number where no face was found.

    python -m models.training.film_lips --data DIR --out .cache/motion/lips.npz
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from models.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Region
from models.training.landmarks_teacher import MARGIN, Teacher

INNER_UPPER, INNER_LOWER = (80, 81, 82, 13, 312, 311, 310), (88, 178, 87, 14, 317, 402, 318)
CLIPS = 420


def gap(points: NDArray[np.float32]) -> float:
    """Mean inner-lip gap of landmarks (478, 2), in outer-eye-corner distances."""
    eyes = float(np.linalg.norm(points[LEFT_EYE_OUTER] - points[RIGHT_EYE_OUTER]))
    return float(np.linalg.norm(points[list(INNER_UPPER)] - points[list(INNER_LOWER)], axis=1).mean()) / eyes


def measure(teacher: Teacher, clip: Path) -> NDArray[np.float32]:
    """(frames,) gaps of one film; the face is found in the first frame and followed."""
    gaps, region = [], None
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            region = region or teacher.detect(rgb)
            if region is None:
                gaps.append(float("nan"))
                continue
            points, _ = teacher.points(rgb, region)
            region = Region.around(points, MARGIN)
            gaps.append(gap(points))
    return np.array(gaps, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds grid_s1/ and face_landmarker.task")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    teacher = Teacher(options.data / "face_landmarker.task")
    clips = sorted((options.data / "grid_s1").glob("*.mp4"))
    random.Random(7).shuffle(clips)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    gaps: dict[str, Any] = {clip.stem: measure(teacher, clip) for clip in clips[:CLIPS]}
    np.savez(options.out, **gaps)


if __name__ == "__main__":
    main()
