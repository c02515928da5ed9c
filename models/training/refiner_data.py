"""Pairs for a refiner of the mouth: a photo with parted lips, and the same mouth as this program draws it.

    python -m models.training.refiner_data --data DIR [--out .cache/refiner/pairs.npz]

Reads `DIR/sfhq` and `DIR/portraits`. Each photo is enrolled, which shuts its lips; then the weights are found that part
them as they were, and the drawn mouth is the guide, the photo the truth. Self-supervised: nothing is labelled by hand.
Kept back: every fifth person (for sfhq, group of near-variants).
"""

from __future__ import annotations

import argparse
import json
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from models.blendshapes import ARKIT_NAMES, HEAD_NAMES, FaceMotion
from models.compositor import polygon_alpha
from models.enroll import face_model, framed, framing
from models.fit import eye_distance
from models.generator import FrameGenerator
from models.identity_builder import OPEN_MOUTH, build_identity
from models.landmarks import LandmarkModel
from models.lips import LipLine, gap_px, lip_lines
from models.own_teeth import clear_of_teeth

SIZE_PX, CROP_PX = 256, 128
CROP_SIDE = 1.2
"""Side of the crop around the mouth, in eye distances."""

LEAST_GAP, MOST_TURN = 0.06, 0.35
LEAST_EYES_PX = 55
RIDGE, ROUNDS = 0.06, 4
MOUTH = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("mouth", "jaw")) and name != "mouthClose"]
HELD_OUT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """guide, rest, truth: (128, 128, 3) uint8 BGR, the mouth drawn open, shut, and as photographed; opening:
    (128, 128) uint8, where it is open in the guide."""

    person: str
    guide: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    opening: NDArray[np.uint8]


def held_out(person: str) -> bool:
    return zlib.crc32(person.encode()) % HELD_OUT_EVERY == 0


def pair_of(person: str, photo: NDArray[np.uint8], landmarks: LandmarkModel) -> Pair | None:
    """None for a photo without a face, with shut lips, or too small."""
    faces = landmarks.find(photo)
    if not faces:
        return None
    points = np.asarray(faces[0].points, np.float64)
    frame = framing(points, photo.shape[:2])
    if eye_distance(points) < LEAST_EYES_PX:
        return None
    picture = framed(photo, frame, SIZE_PX)
    points = (points + 0.5 - [frame.left, frame.top]) * (SIZE_PX / frame.side) - 0.5
    lips, unit = lip_lines(points), eye_distance(points)
    if gap_px(*lips).max() < max(LEAST_GAP, OPEN_MOUTH) * unit:
        return None
    lips = clear_of_teeth(picture, lips, unit)
    generator = FrameGenerator(build_identity(face_model(), picture, points))
    weights = parted(generator, lips)
    guide = generator.render(FaceMotion(weights, np.zeros(len(HEAD_NAMES), np.float32)))
    upper, lower = generator.lips(weights)
    opening = polygon_alpha(np.concatenate([upper, lower[::-1]]), picture.shape[:2])
    centre = (lips[0].points.mean(0) + lips[1].points.mean(0)) / 2
    pictures = guide, generator.identity.picture, picture, np.round(opening * 255).astype(np.uint8)
    guide, rest, truth, mask = (_crop(p, centre, CROP_SIDE * unit) for p in pictures)
    return Pair(person, guide, rest, truth, mask)


def parted(generator: FrameGenerator, lips: tuple[LipLine, LipLine]) -> NDArray[np.float32]:
    """(52,) weights that bring the lips of an enrolled face to where they were in its photo (ridge, none negative).

    Gauss-Newton: what the lips really do at the last weights is taken off what their shapes alone would do.
    """
    own = generator.identity
    moves = np.array([np.concatenate([own.upper_contour[i], own.lower_contour[i]]).ravel() for i in MOUTH]).T
    system = np.vstack([moves / own.unit_px, RIDGE * np.eye(len(MOUTH))])
    target = np.concatenate([lips[0].points, lips[1].points]).ravel()
    out = np.zeros(len(ARKIT_NAMES), np.float32)
    for _ in range(ROUNDS):
        reached = np.concatenate(generator.lips(out)).ravel()
        wanted = (target - reached + moves @ out[MOUTH]) / own.unit_px
        out[MOUTH] = np.clip(nnls(system, np.concatenate([wanted, np.zeros(len(MOUTH))]))[0], 0, 1)
    return out


def _crop(picture: NDArray[np.uint8], centre: NDArray[np.floating], side: float) -> NDArray[np.uint8]:
    scale = CROP_PX / side
    to_crop = np.array([[scale, 0, CROP_PX / 2 - scale * centre[0]], [0, scale, CROP_PX / 2 - scale * centre[1]]])
    return np.asarray(
        cv2.warpAffine(picture, to_crop, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def photos(data: Path) -> Iterator[tuple[str, Path]]:
    """(person, file) of every photo whose index says that the lips are parted."""
    for folder in ("sfhq", "portraits"):
        for name, entry in sorted(json.loads((data / folder / "index.json").read_text()).items()):
            if entry["lip_gap"] > 0.05:
                yield f"{folder}-{entry.get('group', name)}", data / folder / f"{name}.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds sfhq/ and portraits/")
    parser.add_argument("--out", type=Path, default=Path(".cache/refiner/pairs.npz"))
    parser.add_argument("--most", type=int, default=600)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    landmarks, pairs = LandmarkModel(), []
    order = sorted(photos(options.data), key=lambda item: zlib.crc32(item[1].name.encode()))
    for person, file in order:
        photo = cv2.imread(str(file))
        try:
            pair = None if photo is None else pair_of(person, np.asarray(photo, np.uint8), landmarks)
        except (ValueError, cv2.error) as error:
            logging.warning("%s is left out: %s", file.name, error)
            continue
        if pair is None:
            continue
        pairs.append(pair)
        if len(pairs) % 50 == 0:
            print(f"{len(pairs)} pairs", flush=True)
            save(pairs, options.out)
        if len(pairs) == options.most:
            break
    save(pairs, options.out)


def save(pairs: list[Pair], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.stack([getattr(p, name) for p in pairs]) for name in ("guide", "rest", "truth", "opening")}
    part = out.with_suffix(".part.npz")
    np.savez_compressed(part, person=[p.person for p in pairs], **arrays)  # type: ignore[arg-type]
    part.replace(out)


if __name__ == "__main__":
    main()
