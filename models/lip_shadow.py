"""Takes the shadow between shut lips off the lower one, for when they part.
Pure arithmetic on arrays; touches nothing.
A lower lip drawn with the shadow still on it has a dark outline between itself and its wet inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.curves import smoothstep
from models.lips import LipLine
from models.mouth_tones import LUMA
from models.warp import remap

SHADOW_REACH = 0.045
"""How far under the line between the lips their shadow may fall, in eye distances."""

LIP_UNDER = (0.035, 0.08)
"""Where the lower lip shows its colour in the open."""

TURNED_IN = 0.38
"""How much darker than there the lip is at the line itself: its skin turns away from the light."""

FULLY_SHADED = 0.4
"""Loss of light from which nothing of the lip's own colour is left."""


def without_shadow(picture: NDArray[np.uint8], line: LipLine, unit_px: float) -> NDArray[np.uint8]:
    """The picture (h, w, 3) with the lower lip as it would look in the open, up to the `line` between the lips."""
    height, width = picture.shape[:2]
    reach = SHADOW_REACH * unit_px
    low = np.clip(np.floor(line.points.min(0)).astype(int) - 1, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(line.points.max(0) + 2 * reach).astype(int) + 2, low + 1, [width, height])
    area = np.s_[low[1] : high[1], low[0] : high[0]]
    x, y = np.meshgrid(np.arange(low[0], high[0], dtype=np.float32), np.arange(low[1], high[1], dtype=np.float32))
    along, below = line.coordinates(np.stack([x, y], -1))

    under = np.linspace(*LIP_UNDER, 9, dtype=np.float32)[None, :, None] * unit_px * line.down
    colours = np.median(remap(picture, line.points[:, None] + under), axis=1)
    smooth = np.ones(7) / 7
    colours = np.stack([np.convolve(np.pad(c, 3, mode="edge"), smooth, mode="valid") for c in colours.T], 1)
    place = np.linspace(0, 1, len(colours))
    lip = np.stack([np.interp(along, place, channel) for channel in colours.T], -1)
    out = smoothstep(below / reach)
    lip *= (1 - TURNED_IN * (1 - out))[..., None]

    loss = 1 - (picture[area] @ LUMA) / np.maximum(lip @ LUMA, 1)
    share = np.clip(loss / FULLY_SHADED, 0, 1) * (1 - smoothstep(2 * out - 1)) * (below > -1.5)
    share *= np.clip(12 * along * (1 - along), 0, 1)
    whole = picture.copy()
    whole[area] = np.round(picture[area] + share[..., None] * (lip - picture[area]))
    return whole
