"""Portraits that are hard to animate, nobody real, for benches and docs: made as the shipped avatars are, then spoilt.

Reads synthetic faces and the landmark teacher under DIR, and models/avatars; writes bench/faces/NAME.jpg.
An old print, harsh light and a painting are made from shipped avatars by arithmetic, the rest is morphed.

    python -m models.training.hard_faces --data DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.avatar_recipes import HARD_RECIPES
from models.training.avatars import AVATARS, make
from models.training.landmarks_teacher import Teacher

FACES = Path(__file__).resolve().parents[2] / "bench" / "faces"
SIDE = 512
Picture = NDArray[np.uint8]


def old_print(picture: Picture) -> Picture:
    """A photograph of about 1900: one tint, soft, faded to the rims, grainy, scratched."""
    random = np.random.default_rng(9)
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (0, 0), 1.3).astype(np.float32)
    rows, columns = np.indices(grey.shape) / (SIDE / 2) - 1
    grey = 45 + 0.74 * grey + 35 * np.clip(np.hypot(rows, columns) - 0.6, 0, 1)
    grey += cv2.GaussianBlur(14 * random.standard_normal((SIDE, SIDE), np.float32), (0, 0), 0.8)
    for x in random.integers(0, SIDE, 6):
        top, bottom = sorted(random.integers(0, SIDE, 2).tolist())
        cv2.line(grey, (int(x), top), (int(x) + int(random.integers(-6, 6)), bottom), 205, 1, cv2.LINE_AA)
    sepia = grey[..., None] * np.array([0.80, 0.95, 1.06], np.float32)
    return sepia.clip(0, 255).astype(np.uint8)


def side_light(picture: Picture) -> Picture:
    """One lamp from the side, nothing else."""
    across = np.linspace(0, 1, SIDE, dtype=np.float32)
    light = 0.16 + 1.05 / (1 + np.exp(-(across - 0.50) * 14))
    lit = 255 * (picture / np.float32(255)) ** 1.15 * light[None, :, None]
    return lit.clip(0, 255).astype(np.uint8)


def painting(picture: Picture) -> Picture:
    """Brush strokes along the edges of what is painted (line integrals of noise), few colours, canvas."""
    random = np.random.default_rng(3)
    soft = cv2.edgePreservingFilter(picture, flags=1, sigma_s=12, sigma_r=0.35)
    grey = cv2.GaussianBlur(cv2.cvtColor(soft, cv2.COLOR_BGR2GRAY), (0, 0), 4).astype(np.float32)
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=5), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=5)
    angle = cv2.GaussianBlur(np.arctan2(dx, -dy + 1e-3), (0, 0), 2)
    at = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).astype(np.float32)
    bristles: NDArray[Any] = cv2.GaussianBlur(random.standard_normal((SIDE, SIDE), np.float32), (0, 0), 0.9)
    strokes, smeared = np.zeros_like(grey), np.zeros(picture.shape, np.float32)
    steps = np.arange(-7, 8)
    for step in steps.tolist():
        along = at + step * np.stack([np.cos(angle), np.sin(angle)], -1)
        strokes += cv2.remap(bristles, along, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)  # type: ignore[call-overload]
        smeared += cv2.remap(soft, along, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)  # type: ignore[call-overload]
    paint = 0.35 * soft + 0.65 * smeared / len(steps)
    warm = np.asarray(paint, np.float32) * np.array([0.86, 0.97, 1.04], np.float32) + 6
    canvas = 2.5 * np.sin(at[..., 0] * 2.1) * np.sin(at[..., 1] * 2.1)
    return (warm + (3.0 * strokes + canvas)[..., None]).clip(0, 255).astype(np.uint8)


SPOILT = {"old_photograph": ("elias", old_print), "side_light": ("freya", side_light), "painting": ("mei", painting)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", help="make just this one")
    options = parser.parse_args()
    FACES.mkdir(exist_ok=True)

    def keep(name: str, picture: Picture) -> None:
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(FACES / f"{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 82])

    teacher = Teacher(options.data / "face_landmarker.task")
    for recipe in HARD_RECIPES:
        if options.only in (None, recipe.name):
            keep(recipe.name, make(recipe, options.data, teacher))
    for name, (avatar, spoil) in SPOILT.items():
        if options.only in (None, name):
            photo = np.asarray(cv2.imread(str(AVATARS / avatar / "photo.jpg")), np.uint8)
            small = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            keep(name, spoil(np.asarray(small, np.uint8)))


if __name__ == "__main__":
    main()
