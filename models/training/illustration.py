"""Draws a portrait by code alone: smooth shapes and airbrush, on the proportions of a mean face.

Pure: landmarks in, picture out; no files. Features lie exactly on the (stylised) landmarks and are lit from the upper
left, which is what makes the drawing animate like a photo.
"""

# ruff: noqa: RUF005 (sums of arrays and lists of two numbers, not concatenations)
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.training.pen import Canvas, curve, ellipse, taper

OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133), 468),
    ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362), 473),
)
BROWS = (((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)), ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285)))

SKIN, SKIN_SHADE, SKIN_LIGHT, BLUSH = (158, 192, 236), (112, 146, 205), (192, 220, 250), (122, 132, 232)
HAIR, HAIR_DARK, HAIR_LIGHT = (52, 44, 66), (34, 27, 42), (104, 92, 132)
LIP_UPPER, LIP_LOWER, LIP_LINE, LIP_LIGHT = (92, 84, 186), (116, 108, 212), (52, 42, 112), (196, 196, 246)
IRIS, IRIS_DARK, INK, WHITE = (104, 148, 92), (52, 72, 40), (34, 24, 38), (240, 244, 246)
SWEATER, SWEATER_SHADE, SWEATER_LIGHT = (136, 122, 44), (104, 90, 26), (164, 150, 70)
PAPER, PAPER_LIGHT = (168, 190, 226), (206, 222, 244)


def stylised(points: NDArray) -> NDArray[np.float64]:
    """The landmarks with larger eyes, a finer nose and chin, fuller lips on a closed line."""
    out = points.astype(float).copy()
    for upper, lower, iris in EYES:
        ring = [*upper, *lower[1:-1], *range(iris, iris + 5)]
        out[ring] = out[iris] + (points[ring] - points[iris]) * [1.2, 1.42]
    line = (out[list(UPPER_INNER)] + out[list(LOWER_INNER)]) / 2
    out[list(UPPER_INNER)] = out[list(LOWER_INNER)] = line
    unit, mouth, middle = points[263, 0] - points[33, 0], line.mean(0), points[168]
    for above, below in BROWS:
        out[[*above, *below]] -= [0, 0.045 * unit]
    low = np.clip((out[list(OVAL), 1] - middle[1]) / (points[152, 1] - middle[1]), 0, 1)
    out[list(OVAL), 0] = middle[0] + (out[list(OVAL), 0] - middle[0]) * (0.96 - 0.08 * low)
    for rim in (UPPER_OUTER, LOWER_OUTER):
        out[list(rim)] = mouth + (out[list(rim)] - mouth) * [1.06, 1.12]
    for bent in (UPPER_OUTER, LOWER_OUTER[1:-1], UPPER_INNER):  # corners a little up: a friendly face at rest
        out[list(bent), 1] -= 0.3 / unit * np.square(out[list(bent), 0] - mouth[0])
    out[list(LOWER_INNER)] = out[list(UPPER_INNER)]
    return out


def backdrop(canvas: Canvas, centre: NDArray, unit: float) -> None:
    canvas.pixels[:] = PAPER
    canvas.fill(ellipse(centre - [0, 0.1 * unit], (1.55 * unit, 1.6 * unit)), PAPER_LIGHT, 1.0)
    canvas.fill(ellipse(centre - [0, 0.1 * unit], (1.38 * unit, 1.43 * unit)), (222, 234, 250), 1.0)


def hair_behind(canvas: Canvas, p: NDArray, unit: float) -> None:
    middle, top, chin = p[168][0], p[10][1], p[152][1]
    right = [(0, top - 0.42 * unit), (0.5, 0), (0.86, 0), (1.02, 0), (1.06, 0), (0.98, 0), (0.7, 0)]
    heights = [top - 0.42 * unit, top - 0.33 * unit, top + 0.05 * unit, top + 0.65 * unit, chin - 0.5 * unit,
               chin + 0.12 * unit, chin + 0.2 * unit]  # fmt: skip
    half = np.array([(x * unit, y) for (x, _), y in zip(right, heights, strict=True)])
    outline = np.vstack([half, (half * [-1, 1])[::-1]]) + [middle, 0]
    canvas.fill(curve(outline, 400, closed=True), HAIR_DARK)
    for side in (-1, 1):
        for k in range(9):
            x = side * (0.62 + 0.045 * k) * unit
            strand = np.array(
                [(x * 0.9, top + 0.1 * unit), (x * 1.08, chin - 0.7 * unit), (x * 1.02, chin + 0.1 * unit)]
            )
            canvas.stroke(curve(strand + [middle, 0]), taper(160, 0.02 * unit), HAIR, 0.8)


def body(canvas: Canvas, p: NDArray, unit: float) -> None:
    middle, chin, bottom = p[168][0], p[152][1], canvas.side + 20.0
    neck = np.array([(-0.4, -0.5), (-0.38, 0.1), (-0.46, 0.36), (-0.9, 0.52), (-0.9, 1.2), (0.9, 1.2), (0.9, 0.52),
                     (0.46, 0.36), (0.38, 0.1), (0.4, -0.5)]) * unit + [middle, chin]  # fmt: skip
    inside = canvas.mask(curve(neck, 300, closed=True))
    canvas.lay(inside, SKIN)
    shade = p[list(OVAL)] * [0.86, 1] + [0.14 * middle, 0.2 * unit]
    canvas.fill(curve(shade, 300, closed=True), SKIN_SHADE, 0.85, 0.05 * unit, inside)
    for side in (-1, 1):
        bone = np.array([(0.08, 0.5), (0.3, 0.47), (0.6, 0.42)]) * [side * unit, unit] + [middle, chin]
        canvas.stroke(curve(bone), taper(160, 0.022 * unit), SKIN_SHADE, 0.7, 1.0)
    half = np.array([(0.0, 0.66), (0.22, 0.63), (0.44, 0.47), (0.52, 0.38), (0.8, 0.44), (1.2, 0.58), (1.55, 0.82),
                     (1.75, 1.3)]) * unit  # fmt: skip
    edge = curve(np.vstack([half, [(1.8 * unit, bottom)]]), 200)
    outline = np.vstack([edge, (edge * [-1, 1])[::-1]]) + [middle, chin]
    cloth = canvas.mask(outline)
    canvas.lay(cloth, SWEATER)
    canvas.fill(ellipse(np.array([middle - 1.1 * unit, chin + 1.2 * unit]), (0.7 * unit, 0.9 * unit)), SWEATER_SHADE,
                0.7, 0.2 * unit, cloth)  # fmt: skip
    canvas.fill(ellipse(np.array([middle + 0.75 * unit, chin + 0.62 * unit]), (0.5 * unit, 0.2 * unit), 0.4),
                SWEATER_LIGHT, 0.6, 0.12 * unit, cloth)  # fmt: skip
    collar = np.vstack([half[:4], (half[:4] * [-1, 1])[::-1][:-1]])
    order = np.argsort(collar[:, 0])
    rim = curve(collar[order], 200) + [middle, chin]
    canvas.stroke(rim + [0, 0.045 * unit], np.full(200, 0.1 * unit), SWEATER_LIGHT, 1.0, 0.0)
    canvas.stroke(rim + [0, 0.1 * unit], np.full(200, 0.012 * unit), SWEATER_SHADE)


def skin(canvas: Canvas, p: NDArray, unit: float) -> NDArray[np.float32]:
    """The face itself with its light from the upper left; gives its mask."""
    face = canvas.mask(curve(p[list(OVAL)], 400, closed=True))
    canvas.lay(face, SKIN)
    middle = p[168][0]
    canvas.fill(
        ellipse(p[10] + [-0.12 * unit, 0.3 * unit], (0.42 * unit, 0.26 * unit)), SKIN_LIGHT, 0.7, 0.16 * unit, face
    )
    rim = canvas.mask(
        curve((p[list(OVAL)] - p[4]) * [0.86, 0.93] + p[4] - [0.05 * unit, 0], 300, closed=True), 0.09 * unit
    )
    canvas.lay(face * (1 - rim), SKIN_SHADE, 0.75)
    for cheek, share in ((p[50], 0.42), (p[280], 0.5)):
        canvas.fill(ellipse(cheek + [0, 0.03 * unit], (0.17 * unit, 0.1 * unit)), BLUSH, share, 0.08 * unit, face)
        toward = np.array([np.sign(middle - cheek[0]) * 0.06 * unit, -0.09 * unit])
        canvas.fill(ellipse(cheek + toward, (0.11 * unit, 0.05 * unit)), SKIN_LIGHT, 0.5, 0.05 * unit, face)
    canvas.fill(
        ellipse(p[152] - [0.02 * unit, 0.13 * unit], (0.13 * unit, 0.07 * unit)), SKIN_LIGHT, 0.55, 0.05 * unit, face
    )
    return face


def nose(canvas: Canvas, p: NDArray, unit: float) -> None:
    bridge = curve(np.stack([p[168], p[197], p[5], p[4]]))
    canvas.stroke(bridge + [0.07 * unit, 0], np.linspace(0.05, 0.09, 160) * unit, SKIN_SHADE, 0.5, 0.03 * unit)
    canvas.stroke(bridge - [0.015 * unit, 0], taper(160, 0.06 * unit, 0.2, 0.6), SKIN_LIGHT, 0.85, 0.022 * unit)
    canvas.fill(ellipse(p[4] - [0.02 * unit, 0.01 * unit], (0.055 * unit, 0.04 * unit)), SKIN_LIGHT, 0.9, 0.018 * unit)
    under = np.stack([p[129], p[98], p[2], p[327], p[358]]) + [0, 0.005 * unit]
    canvas.stroke(curve(under) + [0, 0.03 * unit], taper(160, 0.075 * unit, 0.15, 0.15), SKIN_SHADE, 0.8, 0.025 * unit)
    for wing, nostril, base in ((129, 98, 97), (358, 327, 326)):
        hole = (p[nostril] + p[base]) / 2
        side = np.sign(p[wing][0] - p[4][0])
        canvas.fill(
            ellipse(hole - [0, 0.012 * unit], (0.05 * unit, 0.02 * unit), side * 0.25), (66, 74, 140), 0.85, 0.7
        )
        arc = curve(
            np.stack([p[wing] + [0, -0.07 * unit], p[wing] + [side * 0.012 * unit, 0], p[nostril] + [0, 0.012 * unit]])
        )
        canvas.stroke(arc, taper(160, 0.02 * unit), (88, 112, 178), 0.9, 0.8)


def eye(canvas: Canvas, p: NDArray, unit: float, upper: tuple, lower: tuple, iris: int) -> None:
    top, bottom = curve(p[list(upper)]), curve(p[list(lower)])
    outward = np.sign(top[0][0] - top[-1][0])
    opening = np.vstack([top, bottom[::-1]])
    socket = ellipse(p[iris] - [0, 0.07 * unit], (0.26 * unit, 0.13 * unit))
    canvas.fill(socket, SKIN_SHADE, 0.5, 0.06 * unit)
    inside = canvas.mask(opening)
    canvas.lay(inside, WHITE)
    centre, radius = p[iris] - [0, 0.006 * unit], 0.098 * unit
    canvas.fill(ellipse(centre, (radius, radius)), IRIS_DARK, 1.0, 0.0, inside)
    canvas.fill(ellipse(centre, (radius * 0.88, radius * 0.88)), IRIS, 1.0, 1.2, inside)
    canvas.fill(ellipse(centre + [0, radius * 0.4], (radius * 0.6, radius * 0.42)), (150, 204, 150), 0.75, 3.0, inside)
    canvas.fill(ellipse(centre, (radius * 0.44, radius * 0.44)), INK, 1.0, 0.5, inside)
    canvas.stroke(top + [0, 0.03 * unit], np.full(len(top), 0.07 * unit), (96, 84, 92), 0.55, 0.014 * unit, inside)
    canvas.fill(ellipse(centre + [-0.034 * unit, -0.036 * unit], (0.026 * unit, 0.024 * unit)), (255, 255, 255))
    canvas.fill(ellipse(centre + [0.036 * unit, 0.04 * unit], (0.013 * unit, 0.012 * unit)), (255, 255, 255), 0.8)
    canvas.fill(
        ellipse(p[upper[-1]] + [outward * 0.012 * unit, 0.004 * unit], (0.02 * unit, 0.014 * unit)),
        (150, 158, 224),
        0.9,
        1.0,
    )
    tip = top[0] + [outward * 0.05 * unit, -0.032 * unit]
    lash = curve(np.vstack([tip, top[10::15], top[-1]]))
    canvas.stroke(lash - [0, 0.008 * unit], np.linspace(0.046, 0.014, 160) * np.linspace(0, 1, 160) ** 0.25 * unit, INK)
    canvas.stroke(bottom[8:-20] + [0, 0.004 * unit], taper(len(bottom) - 28, 0.012 * unit), (84, 84, 132), 0.8, 0.5)
    crease = curve(p[list(upper)] - [0, 0.062 * unit])[10:-14]
    canvas.stroke(crease, taper(len(crease), 0.016 * unit), (86, 104, 168), 0.85, 0.7)


def brow(canvas: Canvas, p: NDArray, unit: float, upper: tuple, lower: tuple) -> None:
    top, bottom = curve(p[list(upper)], 100), curve(p[list(lower)], 100)
    middle = (top + bottom) / 2
    at = np.linspace(0, 1, 100)
    width = 0.062 * unit * np.minimum(1, at / 0.75) ** 0.7 * np.sqrt(np.clip((1 - at) / 0.08, 0.05, 1))
    canvas.stroke(middle, width, HAIR, 0.9, 1.3)
    canvas.stroke(middle[10:90], width[10:90] * 0.55, HAIR_DARK, 0.6, 1.6)


def lips(canvas: Canvas, p: NDArray, unit: float) -> None:
    line = curve(p[list(UPPER_INNER)])
    for outer, colour in ((UPPER_OUTER, LIP_UPPER), (LOWER_OUTER, LIP_LOWER)):
        rim = curve(p[list(outer)])
        corners = np.vstack([p[61][None], line, p[291][None]])
        canvas.fill(np.vstack([rim, corners[::-1]]), colour, 1.0, 0.6)
    lower = canvas.mask(np.vstack([curve(p[list(LOWER_OUTER)]), line[::-1]]))
    shine = (p[14] + p[17]) / 2
    canvas.fill(
        ellipse(shine - [0.04 * unit, 0.005 * unit], (0.09 * unit, 0.022 * unit)), LIP_LIGHT, 0.75, 0.014 * unit, lower
    )
    canvas.stroke(
        curve(p[list(UPPER_OUTER)])[55:105] - [0, 0.008 * unit], taper(50, 0.014 * unit), SKIN_LIGHT, 0.8, 1.0
    )
    mouth = curve(np.vstack([p[61], line[::20], p[291]]))
    canvas.stroke(mouth, taper(160, 0.018 * unit, 0.5, 0.5), LIP_LINE, 0.95, 0.5)
    for corner in (p[61], p[291]):
        canvas.fill(ellipse(corner, (0.02 * unit, 0.016 * unit)), (92, 108, 178), 0.7, 2.0)
    under = ellipse(p[17] + [0, 0.075 * unit], (0.13 * unit, 0.025 * unit))
    canvas.fill(under, SKIN_SHADE, 0.75, 0.02 * unit)


def hair_in_front(canvas: Canvas, p: NDArray, unit: float) -> None:
    """A side parting: two locks that frame the face."""
    middle, top, chin = p[168][0], p[10][1], p[152][1]
    wide = float(p[454][0] - middle)
    part = np.array([(-0.2, -0.395), (-0.215, -0.17), (-0.2, 0.06)]) * unit + [middle, top]
    right = [*part[::-1], (middle + 0.08 * unit, top - 0.418 * unit),
             (middle + 0.34 * unit, top - 0.365 * unit), (middle + 0.62 * unit, top - 0.2 * unit),
             (middle + wide + 0.2 * unit, top + 0.5 * unit), (middle + wide + 0.24 * unit, chin - 0.5 * unit),
             (middle + wide + 0.1 * unit, chin + 0.06 * unit), (middle + wide - 0.1 * unit, chin + 0.0 * unit),
             (middle + wide + 0.0 * unit, chin - 0.55 * unit), (middle + wide - 0.06 * unit, top + 0.62 * unit),
             (middle + 0.4 * unit, top + 0.3 * unit)]  # fmt: skip
    left = [*part[::-1], (middle - 0.45 * unit, top - 0.3 * unit), (middle - 0.76 * unit, top + 0.02 * unit),
            (middle - wide - 0.2 * unit, top + 0.6 * unit), (middle - wide - 0.22 * unit, chin - 0.5 * unit),
            (middle - wide - 0.1 * unit, chin + 0.06 * unit), (middle - wide + 0.1 * unit, chin + 0.0 * unit),
            (middle - wide - 0.0 * unit, chin - 0.55 * unit), (middle - wide + 0.05 * unit, top + 0.6 * unit),
            (middle - 0.48 * unit, top + 0.24 * unit)]  # fmt: skip
    for lock in (left, right):
        outline = curve(np.array(lock), 400, closed=True)
        mask = canvas.mask(outline)
        shadow = canvas.mask(outline + [0.01 * unit, 0.05 * unit], 0.03 * unit)
        face = canvas.mask(curve(p[list(OVAL)], 300, closed=True))
        canvas.lay(shadow * face * (1 - mask), SKIN_SHADE, 0.8)
        canvas.lay(mask, HAIR)
        outer, inner = outline[75:255], outline[:255:-1]
        for share, colour, strength, width in (
            (0.12, HAIR_DARK, 0.6, 0.03), (0.25, HAIR_LIGHT, 0.35, 0.03), (0.36, HAIR_LIGHT, 0.55, 0.045),
            (0.5, HAIR_DARK, 0.5, 0.03), (0.62, HAIR_LIGHT, 0.3, 0.025), (0.75, HAIR_DARK, 0.6, 0.03),
            (0.88, HAIR_LIGHT, 0.25, 0.02),
        ):  # fmt: skip
            count = min(len(outer), len(inner))
            strand = curve(outer[:count:12] * (1 - share) + inner[:count:12] * share)
            canvas.stroke(strand, taper(160, width * unit), colour, strength, 1.2, mask)


def draw(points: NDArray, side: int = 768) -> NDArray:
    """A portrait (side, side, 3) of a face whose landmarks (478, 2) are `points`, in px of the picture."""
    p = stylised(points)
    unit = float(np.hypot(*(points[263] - points[33])))
    canvas = Canvas(side)
    backdrop(canvas, p[168], unit)
    hair_behind(canvas, p, unit)
    body(canvas, p, unit)
    skin(canvas, p, unit)
    nose(canvas, p, unit)
    for upper, lower, iris in EYES:
        eye(canvas, p, unit, upper, lower, iris)
    for above, below in BROWS:
        brow(canvas, p, unit, above, below)
    lips(canvas, p, unit)
    hair_in_front(canvas, p, unit)
    return canvas.finished()
