"""How well faces are found and traced on people that the networks never saw.

Reads held-out pictures under DIR and the landmark teacher there; prints a table and writes JSON.
Errors are mean distances to the teacher's points, in per cent of the outer-eye distance; the baseline is the mean face
laid on the true outer eye corners.

    python -m bench.landmarks --data DIR [--out bench/results/landmarks.json]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Face, LandmarkModel
from models.training.avatars import on_eyes
from models.training.landmarks_augment import stylise
from models.training.landmarks_data import EYES, LIPS, Example, list_sources, load_examples
from models.training.landmarks_negatives import texture, wiped
from models.training.landmarks_teacher import label

Picture = NDArray[Any]
Setting = Callable[[Example, Generator], tuple[Picture, NDArray]]


def held_out(data: Path) -> list[Example]:
    """Held-out pictures as they are, with the teacher's points."""
    sources = [source for source in list_sources(data) if source.held_out]
    return load_examples(data, label(data / "face_landmarker.task", sources), face_px=math.inf)[0]


def moved(picture: Picture, points: NDArray, matrix: NDArray, size: tuple[int, int]) -> tuple[Picture, NDArray]:
    out = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return out, points @ matrix[:, :2].T + matrix[:, 2]


def as_is(example: Example, rng: Generator) -> tuple[Picture, NDArray]:
    return example.picture, example.points


def turned(example: Example, rng: Generator) -> tuple[Picture, NDArray]:
    """Rolled by up to 40 degrees either way."""
    height, width = example.picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-40, 40)), 0.8)
    return moved(example.picture, example.points, matrix, (width, height))


def small(example: Example, rng: Generator) -> tuple[Picture, NDArray]:
    """A face of 60 px somewhere in a picture of 1280 × 720."""
    scale = 60 / float(np.ptp(example.points, axis=0).max())
    shot = cv2.resize(example.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scene = cv2.resize(texture(256, rng), (1280, 720))
    left, top = int(rng.integers(0, 1280 - shot.shape[1])), int(rng.integers(0, 720 - shot.shape[0]))
    scene[top : top + shot.shape[0], left : left + shot.shape[1]] = shot
    return scene, example.points * scale + [left, top]


def painted(example: Example, rng: Generator) -> tuple[Picture, NDArray]:
    """Made to look like a painting or a drawing."""
    return stylise(example.picture, rng), example.points


SETTINGS: dict[str, Setting] = {"as is": as_is, "turned ±40°": turned, "small in 1280×720": small, "painted": painted}


def outer_eyes(points: NDArray) -> float:
    return float(np.hypot(*(points[LEFT_EYE_OUTER] - points[RIGHT_EYE_OUTER])))


def errors(said: NDArray, true: NDArray) -> tuple[float, float, float]:
    """Mean error over the whole face, the lips and the eyes, in per cent of the outer-eye distance."""
    distance = np.hypot(*(said - true).T) / outer_eyes(true) * 100
    return float(distance.mean()), float(distance[list(LIPS)].mean()), float(distance[list(EYES)].mean())


def baseline(examples: list[Example]) -> list[float]:
    """Mean errors of the mean face, laid on each face's true eye corners."""
    mean = np.mean([on_eyes(e.points) for e in examples], 0)
    return np.mean([errors(mean, on_eyes(e.points)) for e in examples], 0).tolist()


def right_one(faces: list[Face], true: NDArray) -> Face | None:
    """The found face whose middle lies within half an outer-eye distance of the true one."""
    for face in faces:
        if np.hypot(*(face.points.mean(0) - true.mean(0))) < 0.5 * outer_eyes(true):
            return face
    return None


def measure(model: LandmarkModel, examples: list[Example], setting: Setting) -> dict[str, float]:
    rng, found, extra = np.random.default_rng(7), [], 0
    for example in examples:
        picture, true = setting(example, rng)
        faces = model.find(picture)
        face = right_one(faces, true)
        extra += len(faces) - (face is not None)
        if face is not None:
            found.append(errors(face.points, true))
    mean = np.mean(found, 0) if found else np.full(3, math.nan)
    worst = float(np.percentile([f[0] for f in found], 95)) if found else math.nan
    return {
        "face_per_cent": float(mean[0]), "lips_per_cent": float(mean[1]), "eyes_per_cent": float(mean[2]),
        "face_p95_per_cent": worst, "found_per_cent": 100 * len(found) / len(examples),
        "extra_per_cent": 100 * extra / len(examples),
    }  # fmt: skip


def false_positives(model: LandmarkModel, examples: list[Example]) -> float:
    """Faces found per 100 pictures that have none: made-up textures, noise, pictures with the face wiped out."""
    rng, count = np.random.default_rng(8), 0
    pictures = [texture(512, rng) for _ in range(150)]
    pictures += [rng.integers(0, 256, (300, 400, 3), dtype=np.uint8) for _ in range(20)]
    pictures += [wiped(example, rng) for example in examples[:150]]
    for picture in pictures:
        count += len(model.find(picture))
    return 100 * count / len(pictures)


def processor_ms(model: LandmarkModel, picture: Picture, times: int = 15) -> float:
    """Least processor time of one `find`, which other work on the machine disturbs little."""
    taken = []
    for _ in range(times):
        start = time.thread_time()
        model.find(picture)
        taken.append(time.thread_time() - start)
    return min(taken) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    model, examples = LandmarkModel(), held_out(options.data)
    result: dict[str, object] = {"pictures": len(examples), "baseline_per_cent": baseline(examples)}
    print(f"{len(examples)} held-out pictures\n{'':20} face % lips % eyes %  p95 %  found % extra %")
    print(f"{'mean face on eyes':20}" + "".join(f"{v:7.2f}" for v in baseline(examples)))
    for name, setting in SETTINGS.items():
        row = measure(model, examples, setting)
        result[name] = row
        print(f"{name:20}" + "".join(f"{v:7.2f}" for v in row.values()))
    result["false_positives_per_100"] = false_positives(model, examples)
    photo = max(examples, key=lambda e: e.picture.size).picture
    result["processor_ms"] = processor_ms(model, photo)
    print(f"faces found per 100 pictures without one: {result['false_positives_per_100']:.2f}")
    print(f"{photo.shape[1]}×{photo.shape[0]}, one face, one thread: {result['processor_ms']:.1f} ms")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
