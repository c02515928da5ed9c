"""Pictures without a face, for both networks to learn what a face is not.

Pure but for `mistakes`, which runs the trained detector. Made-up textures, portraits whose face was wiped out, crops
beside, inside and around a face, and whatever the detector took for one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.landmarks import CROP_MARGIN, CROP_SIDE, LandmarkModel, Region
from models.training.landmarks_augment import disguise, warp_crop
from models.training.landmarks_data import Example


def texture(side: int, rng: Generator) -> NDArray:
    """Something that is not a face: cloudy noise, stripes, shapes or a plain colour."""
    base = rng.integers(0, 256, 3)
    out = np.empty((side, side, 3), np.uint8)
    out[:] = base
    kind = rng.integers(0, 4)
    if kind == 1:
        total = np.zeros((side, side, 3), np.float32)
        for octave in range(1, 7):
            grain = rng.normal(0, 1, (2**octave, 2**octave, 3)).astype(np.float32)
            grain = grain.mean(2, keepdims=True).repeat(3, 2) * 1.5 + grain * 0.5
            total += cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC) / octave ** rng.uniform(0.3, 1.5)
        out = np.clip(base + total * rng.uniform(20, 70), 0, 255).astype(np.uint8)
    elif kind == 2:
        y, x = np.mgrid[0:side, 0:side]
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, 50)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)[:, :, None]
        out = np.clip(base + wave * rng.normal(0, 50, 3), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 25)) if kind != 0 or rng.random() < 0.5 else 0):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        a, b = (tuple(int(v) for v in rng.integers(0, side, 2)) for _ in range(2))
        shape = rng.integers(0, 4)
        if shape == 0:
            cv2.circle(out, a, int(rng.integers(2, side // 4)), colour, int(rng.choice([-1, 1, 3])), cv2.LINE_AA)
        elif shape == 1:
            cv2.line(out, a, b, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
        elif shape == 2:
            cv2.rectangle(out, a, b, colour, int(rng.choice([-1, 2])))
        else:
            axes = tuple(int(v) for v in rng.integers(2, side // 3, 2))
            cv2.ellipse(out, a, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return out


def wiped(example: Example, rng: Generator) -> NDArray:
    """The picture without its face: blurred away, painted over or covered by another part of it."""
    face = Region.around(example.points, 1.0)
    (x, y), radius = (int(v) for v in face.centre), int(face.size_px * 0.62)
    picture = example.picture
    mask = cv2.circle(np.zeros(picture.shape[:2], np.uint8), (x, y), radius, 255, -1)
    kind = rng.integers(0, 3)
    if kind == 0:
        coarse = tuple(max(2, int(n / face.size_px * rng.uniform(2, 5))) for n in picture.shape[1::-1])
        small = cv2.resize(picture, coarse, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    elif kind == 1:
        cover = texture(max(picture.shape[:2]), rng)[: picture.shape[0], : picture.shape[1]]
    else:
        cover = np.roll(picture, (int(face.size_px * 1.2), int(face.size_px * rng.uniform(-1, 1))), (0, 1))
    return np.where(mask[:, :, None] > 0, cover, picture)


def mistakes(examples: list[Example], rng: Generator) -> list[tuple[Example, Region]]:
    """What the detector took for a face, beside the true one and in pictures whose face is gone (hard negatives)."""
    model, found = LandmarkModel(), []
    for example in examples:
        true = Region.around(example.points, 1.0)
        for _, region in model.detect(example.picture):
            away = np.hypot(*(region.centre - true.centre)) / max(region.size_px, true.size_px)
            if away > 0.45 or not 0.4 < region.size_px / true.size_px < 2.5:
                found.append((example, region))
        empty = Example(example.key, example.held_out, wiped(example, rng), example.points)
        found += [(empty, region) for _, region in model.detect(empty.picture)]
    return found


def mistaken_crop(example: Example, region: Region, rng: Generator) -> NDArray:
    """A crop around something that the detector took for a face."""
    size = region.size_px * CROP_MARGIN * float(np.exp(rng.normal(0, 0.15)))
    centre = region.centre + rng.normal(0, 0.08, 2) * size
    to_picture = Region(centre, size, region.roll + float(rng.normal(0, 0.3))).to_picture(CROP_SIDE)
    crop, _ = warp_crop(example.picture, example.points, to_picture, CROP_SIDE, 0.0, rng)
    return disguise(crop, rng)


def empty_crop(example: Example, rng: Generator) -> NDArray:
    """A crop that shows no whole face: beside one, inside one at a wrong scale, upside down, face gone, or texture."""
    face = Region.around(example.points, CROP_MARGIN)
    kind = rng.integers(0, 6)
    if kind == 4:
        return disguise(texture(CROP_SIDE, rng), rng)
    picture, centre, size, roll = example.picture, face.centre, face.size_px, face.roll
    if kind == 0:
        angle = rng.uniform(0, 2 * np.pi)
        centre = centre + np.array([np.cos(angle), np.sin(angle)]) * size * rng.uniform(0.45, 0.8)
    elif kind == 1:
        size *= float(rng.choice([rng.uniform(0.15, 0.45), rng.uniform(2.5, 4)]))
    elif kind == 2:
        roll += np.pi + rng.normal(0, 0.4)
    elif kind == 5:
        picture = wiped(example, rng)
    else:
        picture = picture.copy()
        x, y = map(int, centre)
        axes = (int(size * 0.36), int(size * 0.42))
        colour = tuple(int(c) for c in picture[rng.integers(0, picture.shape[0]), rng.integers(0, picture.shape[1])])
        cv2.ellipse(picture, (x, y), axes, 0, 0, 360, colour, -1)
        roll = float(rng.uniform(-3, 3))
    crop, _ = warp_crop(picture, example.points, Region(centre, size, roll).to_picture(CROP_SIDE), CROP_SIDE, 0.0, rng)
    return disguise(crop, rng)
