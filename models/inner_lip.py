"""The inside of a lip, which comes to light when the mouth opens, and the ends of the lower one, which then turn in.
Pure arithmetic on arrays; touches nothing.
A photo of shut lips shows neither; both are made of the lip's own colours, never of the skin beyond its border.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.curves import smoothstep
from models.lips import COLUMNS, LipLine
from models.mouth_tones import LUMA
from models.warp import remap

OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
"""Landmarks along the border of the red."""

MIRRORED, MIRRORED_MOST = 0.7, 0.75
"""How far outside a lip's edge its inside is taken from, by its depth, and at most, as a share of the lip's height."""

DARKER, REDDER = 0.65, 0.35
"""Loss of light at the depth of the strip, and how much stronger the lip's own hue is there: it is wet, and not dry
skin. A lip without a hue, as on old plates, gets none."""

STRIP_ENDS = 0.15
"""Distance from a corner, in widths of the mouth, from which the strip has its height."""

ENDS, CORNER = (0.12, 0.34), 0.05
"""Distance from a corner, in widths of the mouth, up to which the lower lip has turned in and from which it has not;
and over which it joins the corner itself."""

TURNED_IN = 0.06
"""How far below the edge of the lip it has turned in at most, in eye distances."""

ENDS_LIGHT, ENDS_HUE, ENDS_GLOSS = 0.75, 0.6, 0.35
"""Most light at those ends, of the middle's; how far they take its hue; the share of their fine detail that stays."""

MIDDLE = (0.32, 0.68)
"""Where the colour of the lower lip is taken from, along it."""


def lip_height_px(points: NDArray[np.floating], line: LipLine, upper: bool) -> NDArray[np.float32]:
    """(38,) height of the red of one lip above or below its inner edge `line`, evenly from corner to corner.

    points: landmarks (478, 2) px.
    """
    border = np.asarray(points, np.float32)[list(OUTER_UPPER if upper else OUTER_LOWER)]
    along, below = line.coordinates(border)
    order = np.argsort(along)
    height = np.interp(np.linspace(0, 1, COLUMNS), along[order], (-below if upper else below)[order])
    return np.maximum(height, 0).astype(np.float32)


def with_inner_lip(
    picture: NDArray[np.uint8], line: LipLine, strip_px: float, height_px: NDArray[np.float32], upper: bool
) -> NDArray[np.uint8]:
    """The photo (h, w, 3) with what lies beyond the edge of one lip replaced by that lip's inside.

    It is the lip's own texture, mirrored, darker and redder. height_px: (38,) of the lip.
    """
    rows, columns = np.indices(picture.shape[:2], dtype=np.float32)
    at = np.stack([columns, rows], -1)
    along, below = line.coordinates(at)
    taper = np.clip(4 * along * (1 - along) * 3, 0, 1)
    sign = 1.0 if upper else -1.0
    depth = np.clip(sign * below, 0, None)
    # Beyond the part of the other lip that covers it, the photo must stay as it is.
    covered = 0.45 * line.wedge_px(along, upper=not upper)
    strip = 2 * strip_px * np.clip(np.minimum(along, 1 - along) / STRIP_ENDS, 0, 1)
    inside = (depth > 0) & (depth < np.minimum(strip, covered)) & (taper > 0)
    most = MIRRORED_MOST * np.interp(along, np.linspace(0, 1, COLUMNS), height_px)
    source = at - (sign * np.minimum(MIRRORED * depth + 1.0, most))[..., None] * line.down
    texture = remap(picture, source.astype(np.float32)).astype(np.float32)
    deep = np.clip(depth / strip_px, 0, 1)
    light = np.maximum(texture @ LUMA, 1)[..., None]
    hue = texture / light
    texture *= hue ** (REDDER * deep[..., None])
    texture *= (light / np.maximum(texture @ LUMA, 1)[..., None]) * (1 - DARKER * deep[..., None])
    mixed = texture * taper[..., None] + picture * (1 - taper[..., None])
    return np.where(inside[..., None], mixed, picture).clip(0, 255).astype(np.uint8)


def turned_in_ends(
    picture: NDArray[np.uint8], line: LipLine, height_px: NDArray[np.float32], unit_px: float
) -> NDArray[np.uint8]:
    """The photo (h, w, 3) with the ends of the lower lip as a wide open mouth has them: no longer in the light.

    The gloss and the pale skin of the ends would be stretched into streaks. line: the lip's inner edge; height_px:
    (38,) of the lip.
    """
    height, width = picture.shape[:2]
    margin = float(height_px.max()) + 2
    low = np.clip(np.floor(line.points.min(0) - margin).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(line.points.max(0) + margin).astype(int) + 1, low + 1, [width, height])
    area = np.s_[low[1] : high[1], low[0] : high[0]]
    x, y = np.meshgrid(np.arange(low[0], high[0], dtype=np.float32), np.arange(low[1], high[1], dtype=np.float32))
    along, below = line.coordinates(np.stack([x, y], -1))
    tall = np.maximum(np.interp(along, np.linspace(0, 1, COLUMNS), height_px), 1e-3)
    red = (below > 0.2 * tall) & (below < 0.8 * tall) & (along > MIDDLE[0]) & (along < MIDDLE[1])
    if not red.any():
        return picture
    lip = picture[area].astype(np.float32)
    middle = np.median(lip[red], axis=0)
    from_corner = np.minimum(along, 1 - along)
    share = smoothstep((ENDS[1] - from_corner) / (ENDS[1] - ENDS[0])) * smoothstep(from_corner / CORNER)
    reach = np.minimum(tall, TURNED_IN * unit_px)
    share = share * smoothstep(1 - below / reach) * (below > -0.03 * unit_px)
    coarse = np.asarray(cv2.GaussianBlur(lip, (0, 0), 0.015 * unit_px), np.float32)
    light = coarse @ LUMA
    hue = ENDS_HUE * middle / max(float(middle @ LUMA), 1) + (1 - ENDS_HUE) * coarse / np.maximum(light, 1)[..., None]
    light = np.minimum(light, ENDS_LIGHT * float(middle @ LUMA))
    turned = hue * light[..., None] + ENDS_GLOSS * (lip - coarse)
    whole = picture.copy()
    whole[area] = np.round(lip + share[..., None] * (turned - lip)).clip(0, 255)
    return whole
