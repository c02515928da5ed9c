"""Changes to a training picture that leave its landmarks true (or move them along).

Pure functions of a random generator; no files. `warp_crop` cuts a turned, shifted, gently deformed crop and moves
the points with it; `disguise` changes light, sharpness, compression and style, so that paintings look familiar.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture = NDArray[Any]
NO_MAP: Any = None
"""Second map of `cv2.remap` where the first holds x and y. (An empty array makes reflected borders very slow.)"""
BORDERS = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT)


def warp_crop(
    picture: Picture, points: NDArray, to_picture: NDArray, side: int, bend: float, rng: Generator
) -> tuple[Picture, NDArray]:
    """Crop of `side` px and its points in crop pixels.

    `to_picture` (2, 3) takes crop pixels to picture pixels; `bend` is the size of a smooth random displacement as a
    share of the crop (0: none).
    """
    turn, shift = to_picture[:, :2], to_picture[:, 2]
    border = int(rng.choice(BORDERS))
    colour = tuple(float(c) for c in rng.integers(0, 256, 3))
    if bend == 0:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(picture, to_picture, (side, side), flags=flags, borderMode=border, borderValue=colour)
        return crop, ((points - shift) @ np.linalg.inv(turn).T).astype(np.float32)
    coarse = rng.normal(0, bend * side, (4, 4, 2)).astype(np.float32)
    bent = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    sample = (np.stack([x, y], -1) + bent) @ turn.T.astype(np.float32) + shift.astype(np.float32)
    crop = cv2.remap(picture, sample, NO_MAP, cv2.INTER_LINEAR, borderMode=border, borderValue=colour)
    straight = ((points - shift) @ np.linalg.inv(turn).T).astype(np.float32)
    moved = straight
    for _ in range(4):  # moved + bent(moved) = straight, by fixed point: the bend is gentle
        at = np.ascontiguousarray(moved[None])
        moved = straight - cv2.remap(bent, at, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return crop, moved


def _tone(picture: Picture, rng: Generator) -> Picture:
    """Exposure, gamma and white balance, one table per channel."""
    ramp = np.linspace(0, 1, 256)
    gamma, gain, lift = np.exp(rng.normal(0, 0.35)), np.exp(rng.normal(0, 0.2)), rng.normal(0, 0.06)
    balance = np.exp(rng.normal(0, 0.12, 3))
    table = np.clip((ramp[:, None] ** gamma * gain * balance + lift) * 255, 0, 255).astype(np.uint8)
    return cv2.LUT(picture, np.ascontiguousarray(table.reshape(256, 1, 3)))


def _light(picture: Picture, rng: Generator) -> Picture:
    """Light from one side, or a vignette: a smooth gain field."""
    field = np.exp(rng.normal(0, 0.5, (2, 2, 1)) * np.ones((1, 1, 3)) + rng.normal(0, 0.1, (2, 2, 3)))
    gain = cv2.resize(field.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(picture * gain, 0, 255).astype(np.uint8)


def _soften(picture: Picture, rng: Generator) -> Picture:
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 2.2)))
    scale = rng.uniform(0.3, 0.8)
    small = cv2.resize(picture, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _compress(picture: Picture, rng: Generator) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 80))])
    compressed = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert compressed is not None
    return compressed


def _monochrome(picture: Picture, rng: Generator) -> Picture:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    if rng.random() < 0.6:
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    tint = rng.uniform(0.6, 1.1, 3).astype(np.float32)
    return np.clip(grey[:, :, None] * tint, 0, 255).astype(np.uint8)


def stylise(picture: Picture, rng: Generator) -> Picture:
    """A painting or drawing of the picture: flat colours, ink lines, brush strokes or a pencil sketch."""
    kind = rng.integers(0, 5)
    if kind == 0:
        return cv2.edgePreservingFilter(picture, flags=1, sigma_s=20, sigma_r=float(rng.uniform(0.3, 0.6)))
    if kind == 1:
        return cv2.stylization(picture, sigma_s=15, sigma_r=float(rng.uniform(0.3, 0.6)))
    smooth = cv2.medianBlur(picture, int(rng.choice([3, 5, 7])))
    levels = int(rng.integers(3, 8))
    flat = ((smooth.astype(np.uint16) * levels // 256) * 255 // max(levels - 1, 1)).astype(np.uint8)
    if kind == 2:
        return flat
    grey = cv2.cvtColor(smooth, cv2.COLOR_BGR2GRAY)
    method, block = cv2.ADAPTIVE_THRESH_MEAN_C, int(rng.choice([7, 9, 13]))
    ink = cv2.adaptiveThreshold(grey, 255, method, cv2.THRESH_BINARY, block, float(rng.uniform(2, 7)))
    if kind == 3:
        return cv2.bitwise_and(flat, cv2.cvtColor(ink, cv2.COLOR_GRAY2BGR))
    blurred = cv2.GaussianBlur(255 - grey, (0, 0), float(rng.uniform(2, 6)))
    return cv2.cvtColor(cv2.divide(grey, 255 - blurred + 1, scale=250), cv2.COLOR_GRAY2BGR)


def _occlude(picture: Picture, rng: Generator) -> Picture:
    """Something in front: a bar, a blob or a hand-sized patch of the picture itself."""
    out, side = picture.copy(), picture.shape[0]
    centre = rng.integers(0, side, 2)
    size = rng.integers(side // 12, side // 4, 2)
    if rng.random() < 0.5:
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.ellipse(out, tuple(map(int, centre)), tuple(map(int, size)), float(rng.uniform(0, 180)), 0, 360, colour, -1)
        return out
    x, y = np.minimum(centre, side - size)
    u, v = rng.integers(0, side - size + 1)
    out[y : y + size[1], x : x + size[0]] = picture[v : v + size[1], u : u + size[0]]
    return out


def disguise(picture: Picture, rng: Generator, occlusion: bool = True) -> Picture:
    """The same picture taken, kept or painted in another way. Same shape."""
    if rng.random() < 0.2:
        picture = stylise(picture, rng)
    if rng.random() < 0.2:
        picture = _light(picture, rng)
    if rng.random() < 0.8:
        picture = _tone(picture, rng)
    if rng.random() < 0.25:
        picture = _monochrome(picture, rng)
    if rng.random() < 0.3:
        picture = _soften(picture, rng)
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(3, 18), picture.shape)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        picture = _compress(picture, rng)
    if occlusion and rng.random() < 0.12:
        picture = _occlude(picture, rng)
    return np.ascontiguousarray(picture)
