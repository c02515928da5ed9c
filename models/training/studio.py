"""Cuts a head out of its picture and paints a studio background behind it.

Pure: arrays in, arrays out. GrabCut seeded by landmarks and the recipe, a guided filter for the hair, and a background
that keeps the picture's own colours near the head.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.avatar_recipes import Recipe


def blur(picture: NDArray, sigma: float) -> NDArray:
    return cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma)


def guided(guide: NDArray, mask: NDArray, radius: int, tolerance: float) -> NDArray:
    """The mask drawn to the edges of a grey picture: the guided filter (He et al., 2013)."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(x: NDArray) -> NDArray:
        return cv2.blur(x, size)

    middle, level = mean(guide), mean(mask)
    slope = (mean(guide * mask) - middle * level) / (mean(guide * guide) - middle * middle + tolerance)
    return np.clip(mean(slope) * guide + mean(level - slope * middle), 0, 1)


def matte(picture: NDArray, points: NDArray, top_px: float, recipe: Recipe) -> NDArray:
    """(side, side, 1) 0..1 of a square picture: head, hair and shoulders.

    GrabCut (Rother et al., 2004) seeded by the landmarks and the recipe, then drawn to the edges of the hair.
    """
    side = picture.shape[0]
    small, scale = cv2.resize(picture, (side // 2, side // 2), interpolation=cv2.INTER_AREA), 0.5
    at = points * scale
    (x0, y0), (x1, y1) = at.min(0), at.max(0)
    width, height, centre = x1 - x0, y1 - y0, (x0 + x1) / 2
    seed = np.full(small.shape[:2], cv2.GC_PR_BGD, np.uint8)
    middle = (int(centre), int((y0 + y1) / 2 - 0.1 * height))
    cv2.ellipse(seed, middle, (int(width * 0.78), int(height * 0.88)), 0, 0, 360, cv2.GC_PR_FGD, -1)
    bottom = small.shape[0]
    shoulders = [(centre - width * 1.0, bottom), (centre - width * 0.4, y1), (centre + width * 0.4, y1)]
    shoulders.append((centre + width * 1.0, bottom))
    cv2.fillPoly(seed, [np.array(shoulders, np.int32)], cv2.GC_PR_FGD)
    seed[: int(max(top_px * scale, 2))] = cv2.GC_BGD
    seed[: int(y1 - 0.3 * height), : int(max(centre - width * 1.15, 2))] = cv2.GC_BGD
    seed[: int(y1 - 0.3 * height), int(min(centre + width * 1.15, bottom - 2)) :] = cv2.GC_BGD
    turn = np.linspace(np.pi, 2 * np.pi, 60)  # a superellipse: hair is squarer than an ellipse
    crown = np.sign([np.cos(turn), np.sin(turn)]) * np.abs([np.cos(turn), np.sin(turn)]) ** (2 / 2.6)
    radii = np.array([width * recipe.crown[1], height * (0.45 + recipe.crown[0])])
    crown_px = crown.T * radii + [centre, y0 + 0.45 * height]
    cv2.fillPoly(seed, [np.round(crown_px).astype(np.int32)], cv2.GC_FGD)
    cv2.fillPoly(seed, [cv2.convexHull(np.round(at).astype(np.int32))], cv2.GC_FGD)
    neck = [(centre - width * 0.25, y1 - 5), (centre + width * 0.25, y1 - 5)]
    neck += [(centre + width * 0.5, bottom), (centre - width * 0.5, bottom)]
    cv2.fillPoly(seed, [np.array(neck, np.int32)], cv2.GC_FGD)
    if recipe.body:
        outline = np.array(recipe.body) * [width, height] + [centre, y0]
        cv2.fillPoly(seed, [np.round(outline).astype(np.int32)], cv2.GC_FGD)
    cv2.setRNGSeed(1)
    behind, before = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, seed, (0, 0, 0, 0), behind, before, 6, cv2.GC_INIT_WITH_MASK)
    solid = ((seed == cv2.GC_FGD) | (seed == cv2.GC_PR_FGD)).astype(np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(solid)
    solid = (label == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    solid = 1 - cv2.morphologyEx(1 - solid, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    rough = cv2.resize(blur(solid, 1.5), (side, side), interpolation=cv2.INTER_CUBIC)
    guide = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255
    return blur(np.clip(guided(guide, rough, 10, 2e-4) * 1.15 - 0.05, 0, 1), 0.7)[:, :, None]


def backdrop(picture: NDArray, alpha: NDArray, reach: NDArray, colour: tuple[int, int, int], seed: int) -> NDArray:
    """A studio background: near the head the picture's own colours, so that single hairs fit; brush work beyond."""
    side = picture.shape[0]
    core = cv2.dilate(alpha, np.ones((31, 31), np.uint8))[:, :, None]
    outside = np.clip(1 - core - 0.02, 0, 1) ** 3 * reach
    total, weight = np.zeros((side, side, 3), np.float32), np.full((side, side, 1), 1e-6, np.float32)
    for sigma in (6, 14, 30, 70, 160):  # the nearest known colours win, the far ones fill what they do not reach
        share = 10.0 ** -(sigma / 14)
        total += blur(picture * outside, sigma) * share
        weight += blur(outside, sigma).reshape(side, side, 1) * share
    own = blur(total / weight, 9)
    rng = np.random.default_rng(seed)
    strokes = np.zeros((side, side), np.float32)
    for _ in range(500):
        x, y = rng.integers(0, side, 2)
        size = (int(rng.integers(30, 120)), int(rng.integers(10, 40)))
        stroke = np.zeros_like(strokes)
        angle = float(rng.normal(-35, 18))
        cv2.ellipse(stroke, (int(x), int(y)), size, angle, 0, 360, float(rng.normal(0, 1)), -1, cv2.LINE_AA)
        strokes += stroke
    strokes = blur(strokes, 7)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    glow = np.exp(-(((x - 0.5) / 0.5) ** 2 + ((y - 0.42) / 0.55) ** 2))[:, :, None]
    painted = np.array(colour, np.float32) * (0.55 + 0.65 * glow) + strokes[:, :, None] * 2.2
    distance = cv2.distanceTransform((alpha[:, :, 0] < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    far = np.clip(distance / 150, 0, 1)[:, :, None]
    return own * (1 - 0.8 * far) + painted * 0.8 * far
