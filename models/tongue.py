"""The tongue at rest on the jaw, its raised tip, and the hollow behind it.
Pure arithmetic on arrays; touches nothing.
The body is a small lit mesh in the 3D head's own frame; tip and hollow are painted flat, as seen from the front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.teeth import Row, grid_triangles

Array = NDArray[np.float32]

PROFILE = np.array(
    [
        # half width, y, z in cm on the jaw of the neutral head, from under the tip over the tip to the root
        (0.80, -4.50, 9.30), (1.15, -4.15, 9.62), (1.32, -3.80, 9.72), (1.45, -3.52, 9.60), (1.60, -3.34, 9.30),
        (1.80, -3.20, 8.80), (2.02, -3.06, 8.10), (2.20, -2.94, 7.30), (2.32, -2.86, 6.40), (2.36, -2.90, 5.50),
    ],
    np.float32,
)  # fmt: skip

TIP_CM = (1.1, 0.85)
"""Half width and height of the raised tip, seen from the front."""

HOLLOW_CM = (3.2, 1.9, 2.8)
"""Half width, height above and below its centre of the hollow's picture."""


def build_tongue(colour: Array) -> Row:
    """The tongue's body; colour (3,) BGR in full light."""
    steps, across = 40, 25
    at = np.linspace(0, len(PROFILE) - 1, steps)
    spine = np.stack([np.interp(at, np.arange(len(PROFILE)), PROFILE[:, k]) for k in range(3)], 1)
    padded = np.pad(spine, ((2, 2), (0, 0)), mode="edge")
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    spine = np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(3)], 1)
    u, row = np.meshgrid(np.linspace(-1, 1, across), np.arange(steps))
    width, y, z = (spine[row, k] for k in range(3))
    far = np.clip(row / (0.55 * steps) - 0.35, 0, 1)
    side = 1 - np.sqrt(np.clip(1 - 0.985 * u**2, 0, 1))
    groove = np.exp(-0.5 * (u / 0.16) ** 2)
    y = y - 0.55 * side * (0.3 + 0.7 * far) - 0.06 * groove * far
    z = z - 0.75 * side * (1 - 0.6 * far)
    vertices = np.stack([width * u, y, z], -1).reshape(-1, 3)
    shade = (1 - 0.10 * groove * far) * (1 - 0.10 * side)
    # The back of the tongue is paler and duller than its tip.
    pale = (0.12 * far)[..., None]
    colours = (colour * (1 - pale) + pale * colour.mean()) * shade[..., None]
    triangles = grid_triangles(steps, across, flipped=False)
    return Row(vertices.astype(np.float32), triangles, colours.reshape(-1, 3).astype(np.float32))


def paint_tip(colour: Array, step: float) -> tuple[NDArray[np.uint8], Array]:
    """Premultiplied BGRA picture (h, w, 4) of the raised tip, `step` pixels a cm, and where (2,) its top lies in it."""
    half, height = TIP_CM[0] * step, TIP_CM[1] * step
    margin = max(2.0, 0.1 * step)
    columns = np.arange(int(np.ceil(2 * (half + margin))))
    rows = np.arange(int(np.ceil(height + margin)) + int(0.9 * step))
    anchor = np.array([half + margin, margin], np.float32)
    x = ((columns - anchor[0]) / half)[None]
    down = ((rows - anchor[1]) / height)[:, None]
    # A blunt arch on a body that widens downwards.
    outline = np.abs(x / (1 + 0.25 * np.clip(down, 0, 2))) ** 2.4
    top = 1 - np.sqrt(np.clip(1 - np.clip(outline, 0, 1), 0, 1))
    depth = (down - 0.75 * top) * height
    inside = np.clip(depth + 0.5, 0, 1) * np.clip((1 - outline) * half / 2, 0, 1)
    below = np.clip(depth / height, 0, 1.4)
    round_ = np.sqrt(np.clip(1 - (1 - np.clip(below / 0.5, 0, 1)) ** 2, 0, 1))
    light = 0.72 + 0.20 * np.exp(-0.5 * ((below - 0.22) / 0.16) ** 2) - 0.22 * np.clip(below - 0.35, 0, 1)
    light = light * (0.92 + 0.08 * round_) * (1 - 0.25 * np.clip(outline, 0, 1))
    crease = 0.12 * np.exp(-0.5 * (x / 0.07) ** 2) * np.clip(3 * (below - 0.25), 0, 1)
    wet = np.exp(-0.5 * ((below - 0.2) / 0.06) ** 2 - 0.5 * ((np.abs(x + 0.08) - 0.3) / 0.16) ** 2)
    lit = colour * (light * (1 - crease))[..., None] + 0.30 * colour.max() * wet[..., None]
    fade = np.clip((rows[-1] - rows) / (0.6 * step), 0, 1)[:, None]
    alpha = (inside * fade)[..., None]
    picture = np.concatenate([lit * alpha, 255 * alpha], 2)
    return np.round(picture).clip(0, 255).astype(np.uint8), anchor


def paint_hollow(dark: Array, wall: Array, step: float) -> tuple[NDArray[np.uint8], Array]:
    """Premultiplied BGRA picture (h, w, 4) of throat, palate and cheeks, `step` pixels a cm, and its centre (2,) in it.

    dark, wall: (3,) BGR of the throat, and of palate and cheeks where light falls on them.
    """
    half, above, below = (value * step for value in HOLLOW_CM)
    anchor = np.array([half, above], np.float32)
    x = ((np.arange(int(2 * half)) - half) / step)[None]
    y = ((np.arange(int(above + below)) - above) / step)[:, None]
    throat = np.exp(-((x / 1.25) ** 2 + ((y - 0.1) / np.where(y < 0.1, 0.95, 1.3)) ** 2))
    arch = 0.30 * np.exp(-0.5 * ((y + 0.85 - 0.30 * x**2) / 0.22) ** 2) * np.exp(-((x / 1.3) ** 4))
    cheeks = np.clip(np.abs(x) / 2.2, 0, 1) ** 2
    lit = np.clip(0.18 + 0.5 * cheeks + arch + 0.25 * np.clip(y, 0, 1), 0, 1) * (1 - 0.9 * throat)
    lit = np.broadcast_to(lit, (y.shape[0], x.shape[1]))[..., None]
    ends = np.clip((half / step - np.abs(x)) / 0.8, 0, 1) * np.clip((below / step - y) / 0.8, 0, 1)
    picture = np.concatenate([dark + (wall - dark) * lit, np.full(lit.shape, 255)], 2) * ends[..., None]
    return np.round(picture).clip(0, 255).astype(np.uint8), anchor
