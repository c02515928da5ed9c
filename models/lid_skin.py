"""The skin of a shut lid and its lowered lashes, made from the photo of an open eye.
Pure arithmetic on arrays; touches nothing.
All colour comes from the skin around the eye, so that the lid has no edge where it joins it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.curves import smoothstep

Array = NDArray[np.float32]

RIM = 0.035
"""Height of the upper rim with its lashes, in eye distances."""

UNDER = 0.02
"""Height of the lower rim with its lashes."""

HIDDEN_LEAST, HIDDEN_MOST, BESIDE = 0.018, 0.075, 0.06
"""How far liner and lashes reach above the upper rim, at least and at most, and beside the corners."""

LINER_DARK, SKIN_LIGHT = 0.6, 0.75
"""How light a liner is at most, of the skin beyond it, and that skin at least, of the lightest beside the rim."""

GLOSS_HEIGHT, GLOSS_LEAST = 0.03, (0.15, 0.27)
"""Height of the gloss on a lid, in eye distances, and how much darker the skin above it is from where it counts."""

MEMBRANE_ROUNDS = 24


def grid(shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(h, w) row and column of each pixel."""
    height, width = shape[:2]
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return rows.astype(np.float32), columns.astype(np.float32)


def blurred(line: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """(w, ...) smoothed along the first axis, its ends held."""
    flat = np.asarray(line, np.float32).reshape(len(line), -1).T.copy()
    soft = cv2.GaussianBlur(flat, (0, 0), sigmaX=max(sigma, 0.3), sigmaY=1e-3, borderType=cv2.BORDER_REPLICATE)
    return soft.T.reshape(line.shape).astype(np.float32)


def lid_skin(
    patch: NDArray[np.uint8], skin_from: Array, upper: Array, lower: Array, corners: Array, unit: float
) -> NDArray[np.uint8]:
    """(h, w, 3) the shut lid: a membrane of skin colours from all around the eye, rounded like the ball beneath."""
    rows, columns = grid(patch.shape)
    beside = np.maximum(corners[0] - columns, columns - corners[1])
    hidden = (rows > skin_from) & (rows < lightest(patch, lower, (UNDER, 0.055), unit)) & (beside < BESIDE * unit)
    lid = _membrane(patch, hidden, 0.012 * unit)
    first, last = skin_from, lower + 0.006 * unit
    down = ((rows - first) / np.maximum(last - first, 1)).clip(0, 1)
    along = ((columns - corners[0]) / (corners[1] - corners[0])).clip(0, 1)
    middle = np.sqrt(np.sin(np.pi * along).clip(0))
    # Rounded: lighter where the ball is nearest, darker under the fold, beside the ball and towards the lashes.
    light = 0.09 * middle * np.exp(-0.5 * ((down - 0.52) / 0.20) ** 2) - 0.05 * (1 - middle) * (down > 0)
    light -= 0.06 * middle * np.exp(-0.5 * ((rows - (upper - 0.35 * RIM * unit)) / (0.013 * unit)) ** 2)
    light -= 0.14 * np.exp(-0.5 * np.clip((last - rows) / (0.016 * unit), 0, None) ** 2) * (down > 0) * (down < 1)
    light *= np.clip(1 - beside / (BESIDE * unit), 0, 1) * smoothstep((rows - skin_from) / (0.04 * unit))
    lid *= 1 + light[..., None]
    # Grain of the skin below the eye, mirrored about the lower rim.
    mirrored = lower + UNDER * unit + np.abs(lower - rows) * 0.7
    grain_source = patch.astype(np.float32)
    grain_source -= cv2.GaussianBlur(grain_source, (0, 0), 0.02 * unit)
    grain = cv2.remap(
        grain_source, columns, mirrored.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.round(lid + 0.9 * grain.clip(-8, 8)).clip(0, 255).astype(np.uint8)


def lightest(patch: NDArray[np.uint8], rim: Array, between: tuple[float, float], unit: float) -> Array:
    """(w,) rows where the skin beside a rim is lightest, at distances `between` (eye distances, down is positive).

    Liner, lashes and their shadow are dark; what is near counts for more. What is lighter on this side of a liner is
    not skin but the white of the eye: in drawings rims lie far from their landmarks.
    """
    offsets = np.linspace(*between, 14) * unit
    light = cv2.GaussianBlur(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 0.01 * unit)
    at = (rim[None] + offsets[:, None]).astype(np.float32)
    column = np.broadcast_to(np.arange(len(rim), dtype=np.float32), at.shape).copy()
    seen = cv2.remap(light, column, at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    score = seen - 0.12 * seen.std() * np.abs(offsets / unit / RIM)[:, None]
    index, darkest = np.arange(len(offsets))[:, None], seen.argmin(0)
    beyond = np.where(index >= darkest, seen, 0).max(0)
    liner = (seen.min(0) < LINER_DARK * beyond) & (beyond > SKIN_LIGHT * seen.max(0))
    best = offsets[np.where(liner & (index < darkest), -np.inf, score).argmax(0)]
    return rim + blurred(best.astype(np.float32), 0.03 * unit)


def above_gloss(patch: NDArray[np.uint8], skin_from: Array, unit: float) -> Array:
    """(w,) rows of the skin above the lashes, moved up past a lid's gloss, where it has some: it must not stay behind
    as a bright ring when the lid comes down."""
    light = cv2.GaussianBlur(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 0.01 * unit)
    rows = np.stack([skin_from, skin_from - GLOSS_HEIGHT * unit]).astype(np.float32)
    column = np.broadcast_to(np.arange(len(skin_from), dtype=np.float32), rows.shape).copy()
    gloss, above = cv2.remap(light, column, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    darker = 1 - above / np.maximum(gloss, 1)
    share = smoothstep((darker - GLOSS_LEAST[0]) / (GLOSS_LEAST[1] - GLOSS_LEAST[0])).astype(np.float32)
    return skin_from - GLOSS_HEIGHT * unit * blurred(share, 0.03 * unit)


def _membrane(patch: NDArray[np.uint8], hidden: NDArray[np.bool_], soft: float) -> Array:
    """(h, w, 3) the patch with `hidden` filled by the smoothest surface that joins what is around it (Laplace)."""
    known = (~hidden).astype(np.float32)[..., None]
    weight = cv2.GaussianBlur(known[..., 0], (0, 0), soft)[..., None]
    filled = cv2.GaussianBlur(patch * known, (0, 0), soft) / np.maximum(weight, 1e-3)
    levels = [(filled, known)]
    while min(levels[-1][0].shape[:2]) > 8:
        values, share = levels[-1]
        less = cv2.resize(share[..., 0], (0, 0), fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)[..., None]
        small = cv2.resize(values * share, (0, 0), fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        levels.append((small / np.maximum(less, 1e-3), np.asarray(less > 0.5, np.float32)))
    out: Array = np.asarray(levels[-1][0], np.float32)
    for values, share in reversed(levels):
        out = np.asarray(cv2.resize(out, values.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        for _ in range(MEMBRANE_ROUNDS):
            out = np.asarray(values * share + cv2.blur(out, (3, 3)) * (1 - share), np.float32)
    return np.asarray(patch * known + out * (1 - known), np.float32)


def lowered_lashes(
    patch: NDArray[np.uint8],
    lid: NDArray[np.uint8],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    closing: NDArray[np.float32],
    corners: NDArray[np.float32],
    unit: float,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Coverage (h, w) of the line between shut lids and its lashes, and their colour, that of the photo's own rim."""
    rows, columns = grid(patch.shape)
    rim = (np.abs(rows - upper + 0.02 * unit) < 0.028 * unit) & (columns > corners[0]) & (columns < corners[1])
    dark = patch[rim].astype(np.float32) if rim.any() else np.full((1, 3), 60, np.float32)
    colour = dark[dark.sum(1) <= np.quantile(dark.sum(1), 0.12)].mean(0)
    skin = lid[rim].astype(np.float32).mean(0) if rim.any() else np.full(3, 120, np.float32)
    strength = float(np.clip(1.3 * (1 - colour.mean() / max(float(skin.mean()), 1)), 0.35, 0.66))
    scale = 4
    fine = np.zeros((patch.shape[0] * scale, patch.shape[1] * scale), np.uint8)
    span = corners[1] - corners[0]
    random = np.random.default_rng(7)
    for place in np.linspace(0.06, 0.97, 34):
        x = corners[0] + place * span + random.normal(0, 0.004) * unit
        y = float(np.interp(x, columns[0], closing))
        side = 2 * place - 1
        length = (0.016 + 0.022 * np.sin(np.pi * place) + 0.004 * random.random()) * unit
        tip = x + (0.55 * side + 0.1 * random.normal()) * length, y + length * (1 - 0.25 * abs(side))
        start, end = ((np.array(p) + 0.5) * scale * 16 for p in ((x, y), tip))
        cv2.line(
            fine,
            start.astype(int).tolist(),
            end.astype(int).tolist(),
            150,
            max(1, round(0.004 * unit * scale)),
            cv2.LINE_AA,
            4,
        )
    strokes = cv2.resize(fine, patch.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    soft = cv2.GaussianBlur(strokes, (0, 0), 0.004 * unit)
    inner = np.minimum(columns - corners[0], corners[1] - columns) / (0.25 * span)
    thickness = 0.0032 * unit * (1 + np.clip(inner, 0, 1))
    line = np.exp(-0.5 * ((rows - closing) / thickness) ** 2) * np.clip(inner * 3 + 0.25, 0, 1)
    alpha = strength * np.clip(line + 0.55 * soft, 0, 1)
    return np.round(255 * alpha).astype(np.uint8), colour.astype(np.float32)
