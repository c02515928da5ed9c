"""The light and the colours of one photo, as the inside of its mouth must have them.
Pure arithmetic on arrays; touches nothing.
Teeth go by the whites of the eyes and the skin, flesh by the lips; black, softness and side of the light by the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face_model import FaceModel
from models.fit import FaceFit
from models.own_teeth import OwnTeeth

LUMA = np.array([0.114, 0.587, 0.299], np.float32)
"""Share of blue, green and red in brightness."""

SIDE_IGNORED, SIDE_MOST = 0.2, 1.2
"""Differences of light (logarithms) between the sides of the mouth that are skin's own, and the most believed."""

BLACK_MOST = 0.35
"""The photo's black, at most, as a share of the skin's brightness."""

LEAST_OF_WHITES, LEAST_LUMA = 1.2, (120, 150)
"""Teeth in full light are never darker than this: by the brightest of the whites of the eyes, within limits."""

RED_ON_PLATE = 0.6
"""How bright flesh is on a photograph in one tint, against one in colours: old plates hardly see red."""

SHARP_PX, SOFT_MOST_PX, SOFT_SLOPE, SOFT_LESS = 0.6, 2.4, 1.6, 0.4
"""Softness of edges as they are drawn, and the most that a photo is given; on soft photos too little is measured."""

GRAIN_WINDOW, GRAIN_SMOOTHEST = 15, 0.15
"""Side in pixels of the patches in which grain is measured, and the share of the face that is smooth enough for it."""

FEATURES = (70, 300, 61, 291, 17)
AROUND_MOUTH = (57, 287, 2, 18)
"""Landmarks whose bounding box holds the face, and the mouth."""

_BESIDE_MOUTH = ((207, 212, 202), (427, 432, 422))
_CHEEKS = (50, 280, 205, 425, 117, 346)
_LIPS = (16, 86, 316, 11, 72, 302)
_EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))


@dataclass(frozen=True, slots=True)
class Tones:
    """Colours (3,) BGR 0..255 in the photo's light: of a tooth in full light, of gums and tongue, of the inside of the
    cheeks where light falls on it, of the throat; and of the photo's black, which is laid over all of them.

    side: how much brighter the picture's right is than its left, as a logarithm for each centimetre across.
    """

    tooth: NDArray[np.float32]
    gum: NDArray[np.float32]
    tongue: NDArray[np.float32]
    wall: NDArray[np.float32]
    cavity: NDArray[np.float32]
    black: NDArray[np.float32]
    side: float


def landmark_px(model: FaceModel, fit: FaceFit, landmarks: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, 2) places of landmarks in the photo, as the fit has them."""
    row = {int(index): k for k, index in enumerate(model.landmark_index)}
    rows = [row[index] for index in landmarks]
    at = model.landmark_vertex[rows]
    head = model.vertices(fit.identity, fit.expression)[at] + model.landmark_offset[rows]
    return model.project(head, fit.pose)[0] + fit.snap_px[at]


def measure_tones(model: FaceModel, fit: FaceFit, photo_bgr: NDArray[np.uint8], own: OwnTeeth | None) -> Tones:
    """Teeth are as the photo shows them, else as bright as the whites of the eyes or the skin, whichever is brighter.

    The rest goes by the lips.
    """
    skin = _patch_median(photo_bgr, landmark_px(model, fit, _CHEEKS), 0.25 * fit.pose.scale_px)
    whites = [_eye_white(photo_bgr, landmark_px(model, fit, eye)) for eye in _EYES]
    white = max(whites, key=luma_of)
    brightest = max(luma_of(_eye_white(photo_bgr, landmark_px(model, fit, eye), (0.88, 0.97))) for eye in _EYES)
    least = np.clip(LEAST_OF_WHITES * brightest, *LEAST_LUMA)
    luma = float(np.clip(max(1.15 * luma_of(white), 1.12 * luma_of(skin)), least, max(brightest, 172)))
    colourful = _colourful(photo_bgr)
    tint = skin / max(luma_of(skin), 1)
    cast = np.clip(0.75 + 0.25 * white / max(luma_of(white), 1), 0.95, 1.05)
    lips = _patch_median(photo_bgr, landmark_px(model, fit, _LIPS), 0.15 * fit.pose.scale_px)

    flesh = RED_ON_PLATE + (1 - RED_ON_PLATE) * colourful

    black = black_point(photo_bgr, landmark_px(model, fit, FEATURES), BLACK_MOST * luma_of(skin))
    over = np.asarray(1 / (1 - black / 255), np.float32)
    luma = (luma - luma_of(black)) / (1 - luma_of(black) / 255)

    def tone(hue: tuple[float, float, float], strength: float, of_lips: float) -> NDArray[np.float32]:
        shade = np.array(hue, np.float32) / luma_of(np.array(hue))
        shade = (1 - of_lips) * shade + of_lips * lips / max(luma_of(lips), 1)
        shade = tint + (cast * shade - tint) * colourful
        return (luma * strength * shade / luma_of(shade)).astype(np.float32)

    return Tones(
        # A little of the lips' red is thrown on the teeth.
        tooth=tone((0.89, 0.95, 1.0), 1.0, 0.04) if own is None else np.float32(own.colour - black).clip(1) * over,
        gum=tone((0.55, 0.52, 0.88), 0.56 * flesh, 0.4),
        tongue=tone((0.50, 0.47, 0.86), 0.64 * flesh, 0.35),
        wall=tone((0.40, 0.36, 0.82), 0.30, 0.3),
        cavity=tone((0.42, 0.38, 0.80), 0.055, 0.3),
        black=black,
        side=_side_light(model, fit, photo_bgr),
    )


def black_point(photo: NDArray[np.uint8], features: NDArray[np.float32], most: float) -> NDArray[np.float32]:
    """(3,) the darkest colour near eyes, nose and mouth (n, 2) px: haze and old prints have no black. Up to `most`."""
    low, high = np.floor(features.min(0)).astype(int), np.ceil(features.max(0)).astype(int)
    inside = photo[max(low[1], 0) : high[1], max(low[0], 0) : high[0]].reshape(-1, 3).astype(np.float32)
    if len(inside) < 50:
        return np.zeros(3, np.float32)
    light = inside @ LUMA
    dark = inside[light <= np.quantile(light, 0.005)].mean(0)
    return np.asarray(dark * min(1.0, most / max(luma_of(dark), 1)), np.float32)


def softness_px(photo: NDArray[np.uint8], features: NDArray[np.float32]) -> float:
    """How blurred the edges around eyes and mouth (n, 2) px are, as the sigma of a Gaussian.

    By blurring them once more: the energy of an edge's gradient falls with its width (after Hu & de Haan, 2006).
    """
    low, high = np.floor(features.min(0)).astype(int), np.ceil(features.max(0)).astype(int)
    grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]
    if min(grey.shape) < 8:
        return SHARP_PX
    energy = [
        np.square(np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)))
        for g in (grey, cv2.GaussianBlur(grey, (0, 0), 1.0))
    ]
    edges = energy[0] >= np.quantile(energy[0], 0.92)
    kept = float(energy[1][edges].mean() / max(float(energy[0][edges].mean()), 1.0))
    sigma = kept / np.sqrt(max(1 - kept**2, 0.02))
    return float(np.clip(SOFT_SLOPE * sigma - SOFT_LESS, SHARP_PX, SOFT_MOST_PX))


def grain_of(photo: NDArray[np.uint8], features: NDArray[np.float32]) -> float:
    """Standard deviation (of 255) of the finest detail between features (n, 2) px where the photo is smoothest: the
    noise of its film, sensor or canvas."""
    low, high = np.floor(features.min(0)).astype(int), np.ceil(features.max(0)).astype(int)
    grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]
    if min(grey.shape) < GRAIN_WINDOW:
        return 0.0
    fine = finest(grey.astype(np.float32), 1.0)
    power = cv2.blur(fine * fine, (GRAIN_WINDOW, GRAIN_WINDOW))
    return float(np.sqrt(np.quantile(power, GRAIN_SMOOTHEST)))


def finest(values: NDArray[np.float32], px: float) -> NDArray[np.float32]:
    """(h, w) what is left of values without everything coarser than about a pixel, which is `px` of them wide."""
    return values - np.asarray(cv2.GaussianBlur(values, (0, 0), 1.2 * px), np.float32)


def _side_light(model: FaceModel, fit: FaceFit, photo: NDArray[np.uint8]) -> float:
    """Logarithm of light from left to right in the picture, for each centimetre, by the skin beside the mouth."""
    radius, ends = 0.3 * fit.pose.scale_px, []
    for side in _BESIDE_MOUTH:
        at = landmark_px(model, fit, side)
        ends.append((float(at[:, 0].mean()), np.log(luma_of(_patch_median(photo, at, radius)) + 8)))
    (left, dark), (right, bright) = sorted(ends)
    across_cm = max((right - left) / fit.pose.scale_px, 1.0)
    difference = float(bright - dark)
    return float(np.sign(difference) * np.clip(abs(difference) - SIDE_IGNORED, 0, SIDE_MOST)) / across_cm


def _colourful(photo_bgr: NDArray[np.uint8]) -> float:
    """0 for a photograph in one tint (grey, sepia) to 1 for one in colours, by the spread of its hues."""
    small = cv2.resize(photo_bgr, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) + 8
    low, high = np.quantile(small[..., 2] / small[..., 1], [0.1, 0.9])
    return float(np.clip((high - low - 0.14) / 0.1, 0, 1))


def luma_of(colour: NDArray[np.floating]) -> float:
    return float(np.asarray(colour, np.float32) @ LUMA)


def _patch_median(picture: NDArray[np.uint8], centres: NDArray[np.float32], radius_px: float) -> NDArray[np.float32]:
    mask = np.zeros(picture.shape[:2], np.uint8)
    for x, y in centres:
        cv2.circle(mask, (round(float(x)), round(float(y))), max(1, round(radius_px)), 1, -1)
    inside = picture[mask > 0]
    return np.median(inside, axis=0).astype(np.float32) if len(inside) else np.full(3, 128, np.float32)


def _eye_white(
    picture: NDArray[np.uint8], eye: NDArray[np.float32], between: tuple[float, float] = (0.75, 0.96)
) -> NDArray[np.float32]:
    """Mean of the brighter, less coloured pixels between the lids: those between two quantiles, highlights left out."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(eye).astype(np.int32)], 1)
    inside = picture[mask > 0].astype(np.float32)
    if len(inside) < 8:
        return np.zeros(3, np.float32)
    white = inside.min(1)
    low, high = np.quantile(white, between)
    return inside[(white >= low) & (white <= high)].mean(0)
