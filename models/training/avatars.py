"""Makes the avatars that ship: new faces morphed from several synthetic ones, and one drawn illustration.

Reads synthetic faces and the landmark teacher under DIR; writes models/avatars/NAME/{photo.jpg, avatar.json}.
The shape of a face is the mean of several; its fine detail comes from one of them alone, so that it stays sharp; hair
and shoulders come from the first, warped to fit, before a background painted from that picture's own colours.

    python -m models.training.avatars --data DIR
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from models.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from models.training import illustration
from models.training.avatar_recipes import RECIPES, Recipe
from models.training.landmarks_augment import NO_MAP
from models.training.landmarks_data import list_sources, read_picture
from models.training.landmarks_teacher import Teacher, label
from models.training.studio import backdrop, blur, matte

AVATARS = Path(__file__).resolve().parent.parent / "avatars"
SIDE = 768
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
RIGID = (33, 133, 362, 263, 1, 4, 5, 6, 168, 197, 195, 98, 327)
Picture = NDArray[Any]
Points = NDArray[Any]


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """(2, 3) rotation, scale and shift that takes `source` nearest to `target` (Umeyama, 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1.0, np.sign(np.linalg.det(u @ vt))])
    turn = u @ flip @ vt * float((s * np.diag(flip)).sum() / np.square(a).sum())
    return np.hstack([turn, (target.mean(0) - turn @ source.mean(0))[:, None]])


def smooth(shift: Points, at: Points, radius_px: float) -> Points:
    """Shifts (N, 2) of the points `at`, averaged over their neighbours: a warp without ripples."""
    apart = np.hypot(at[:, None, 0] - at[None, :, 0], at[:, None, 1] - at[None, :, 1])
    near = np.exp(-0.5 * np.square(apart / radius_px))
    return near @ shift / near.sum(1, keepdims=True)


def warp(
    picture: Picture,
    source: Points,
    target: Points,
    anchors: Points | None = None,
    slope: tuple[float, float] = (0.0, 0.0),
) -> tuple[Picture, NDArray]:
    """`picture` bent so that its points `source` come to lie at `target` (SIDE, SIDE, 3); where it reaches (…, 1).

    Thin-plate splines from the finished picture back to the source, on a grid of 8 px. `anchors` (N, 2, 2) are further
    (target, source) pairs far from the face. Beside the source it is mirrored and sheared, so that a shoulder of
    `slope` goes on.
    """
    to, back = target, source
    if anchors is not None:
        to, back = np.vstack([to, anchors[:, 0]]), np.vstack([back, anchors[:, 1]])
    spline = RBFInterpolator(to, back, kernel="thin_plate_spline", smoothing=4.0)
    step = np.arange(-8, SIDE + 16, 8.0)
    grid = np.stack(np.meshgrid(step, step), -1)
    coarse = spline(grid.reshape(-1, 2)).reshape(*grid.shape).astype(np.float32)
    place = ((np.arange(SIDE) + 8) / 8).astype(np.float32)
    at = np.stack(np.meshgrid(place, place), -1)
    sample = cv2.remap(coarse, at, NO_MAP, cv2.INTER_CUBIC)
    height, width = picture.shape[:2]
    left, right = np.maximum(0, -sample[:, :, 0]), np.maximum(0, sample[:, :, 0] - (width - 1))
    reach = ((left + right == 0) & (sample[:, :, 1] >= 0) & (sample[:, :, 1] <= height - 1)).astype(np.float32)
    sample[:, :, 1] -= 2 * (slope[0] * left + slope[1] * right)
    return cv2.remap(picture, sample, NO_MAP, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT), reach[:, :, None]


def face_mask(points: Points, shrink_px: float, soft_px: float) -> NDArray:
    """(SIDE, SIDE, 1) 0..1: inside the oval of the face, pulled in and feathered."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(points[list(OVAL)]).astype(np.int32)], 255)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    step = np.clip((inside - shrink_px) / soft_px, 0, 1)
    return (step * step * (3 - 2 * step)).astype(np.float32)[:, :, None]


def make(recipe: Recipe, data: Path, teacher: Teacher) -> Picture:
    """The finished portrait (SIDE, SIDE, 3)."""
    pictures = [read_picture(data / f"sfhq/{name}.jpg") for name in recipe.faces]
    found = [teacher.find(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)) for picture in pictures]
    faces = [points.astype(np.float64) for points in found if points is not None]
    if len(faces) < len(pictures):
        raise ValueError(f"no face in one of {recipe.faces}")
    height, width = pictures[0].shape[:2]
    if recipe.mend:
        x0, y0, x1, y1 = np.round(np.array(recipe.mend) * [width, height, width, height]).astype(int)
        hole = np.zeros((height, width), np.uint8)
        hole[y0:y1, x0:x1] = 1
        pictures[0] = cv2.inpaint(pictures[0], hole, 5, cv2.INPAINT_TELEA)
    scale = recipe.share * SIDE / width
    left, top = (1 - recipe.share) / 2 * SIDE, (1 - recipe.share) * SIDE
    base = faces[0] * scale + [left, top]
    rigid = list(RIGID)
    placed = []
    for points in faces:
        moved = similarity(points[rigid], base[rigid])
        placed.append(points @ moved[:, :2].T + moved[:, 2])
    bend = sum(w * points for w, points in zip(recipe.shape, placed, strict=True)) - base
    bend[list(OVAL)] *= 0.35  # hair lies there: let it follow gently, or it folds
    target = base + smooth(bend, base, 0.08 * float(np.ptp(base[:, 0])))
    edge = np.array([(x, y) for x in np.linspace(0, SIDE, 7) for y in np.linspace(0, SIDE, 7)
                     if x in (0, SIDE) or y in (0, SIDE)])  # fmt: skip
    anchors = np.stack([edge, (edge - [left, top]) / scale], 1)
    body, reach = warp(pictures[0], faces[0], target, anchors, recipe.slope)
    layers = [body] + [warp(p, f, target)[0] for p, f in zip(pictures[1:], faces[1:], strict=True)]
    face_px = float(np.ptp(target[:, 0]))
    inner = face_mask(target, 0.03 * face_px, 0.14 * face_px)
    broad = 0.045 * face_px
    core = inner[:, :, 0] > 0.6
    low = [blur(layer, broad) for layer in layers]
    level = [np.array([np.median(x[core][:, c]) for c in range(3)], np.float32) for x in low]
    tone = sum(w * (x * (level[0] / lv)) for w, x, lv in zip(recipe.tone, low, level, strict=True))
    detail = layers[recipe.detail].astype(np.float32) - low[recipe.detail]
    face = np.clip(tone + detail, 0, 255)
    person = body * (1 - inner) + face * inner
    alpha = matte(np.clip(person, 0, 255).astype(np.uint8), target, top, recipe)
    seed = int.from_bytes(recipe.name.encode()[:4], "little")
    out = person * alpha + backdrop(person, alpha, reach, recipe.backdrop, seed) * (1 - alpha)
    return np.clip(out, 0, 255).astype(np.uint8)


def mean_face(data: Path) -> Points:
    """(478, 2): the mean of the frontal synthetic faces with shut lips, made symmetric, in outer-eye distances."""
    index = json.loads((data / "sfhq/index.json").read_text())
    keys = [
        key for key, e in index.items()
        if abs(e["yaw_deg"]) < 4 and e["lip_gap"] < 0.01 and 4 < e["pitch_deg"] < 14
    ]  # fmt: skip
    wanted = {f"sfhq/{key}" for key in keys}
    labels = label(data / "face_landmarker.task", [s for s in list_sources(data) if s.key in wanted])
    mean = np.mean([on_eyes(points.astype(np.float64)) for points in labels["points"]], 0)
    return (mean + mean[labels["mirror"]] * [-1, 1]) / 2


def on_eyes(points: Points) -> Points:
    """Points turned, scaled and shifted so that the outer eye corners are at ∓1/2, 0."""
    a, b = points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER]
    (dx, dy), middle = b - a, (a + b) / 2
    return (points - middle) @ np.array([[dx, -dy], [dy, dx]]) / (dx * dx + dy * dy)


def store(name: str, title: str, picture: Picture, origin: str, licence: str) -> None:
    folder = AVATARS / name
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "photo.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    about = {"title": title, "origin": origin, "licence": licence}
    (folder / "avatar.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", help="make just this one")
    options = parser.parse_args()
    teacher = Teacher(options.data / "face_landmarker.task")
    for recipe in RECIPES:
        if options.only in (None, recipe.name):
            origin = (
                f"Nobody real: morphed from {len(recipe.faces)} synthetic faces of the SFHQ set (David Beniaguev) "
                "by models/training/avatars.py"
            )
            store(recipe.name, recipe.title, make(recipe, options.data, teacher), origin, "MIT (see LICENSE-SFHQ)")
    if options.only in (None, "iris"):
        drawn = illustration.draw(mean_face(options.data) * 190 + [384, 350], SIDE)
        origin = "Nobody real: drawn by models/training/illustration.py on the proportions of a mean face"
        store("iris", "Iris, drawn", drawn, origin, "MIT")
    shutil.copyfile(options.data / "sfhq/LICENSE-SFHQ", AVATARS / "LICENSE-SFHQ")


if __name__ == "__main__":
    main()
