"""Two rows of teeth with their gums, as small lit meshes in the 3D head's own frame.
Pure arithmetic on arrays; touches nothing.
The head's own rows are coarse and all of one piece; these have single crowns with the widths and heights of anatomy
(Wheeler's Dental Anatomy, table of crown sizes), set along the arch of the head's rows and moved as those are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.curves import smoothstep

Array = NDArray[np.float32]
RowName = Literal["teeth_upper", "teeth_lower"]

ACROSS, ALONG = 11, 12
"""Vertices of a crown, from side to side and from edge to gum."""

GAP_DARK, GAP_FROM = 0.36, 0.72
"""How dark a crown gets towards its neighbour, and from where on (0 middle, 1 side)."""


@dataclass(frozen=True, slots=True)
class Arch:
    """An ellipse in the head's (x, z) plane, centimetres, and the crowns along half of it, from the middle.

    edge_y: height of the edges; up: 1 if the gum is above them.
    """

    half_width: float
    depth: float
    centre_z: float
    edge_y: float
    up: int
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    edges: tuple[float, ...]
    """How far each crown's edge lies short of the row's."""
    tones: tuple[float, ...]
    """Brightness of each crown; canines are yellower too."""


ARCHES: dict[RowName, Arch] = {
    "teeth_upper": Arch(
        3.05, 5.2, 5.55, -3.50, 1,
        (0.88, 0.68, 0.77, 0.71, 0.68, 1.0, 0.95), (1.06, 0.92, 1.02, 0.86, 0.78, 0.75, 0.7),
        (0.0, 0.075, 0.02, 0.08, 0.12, 0.16, 0.2), (1.0, 0.98, 0.93, 0.95, 0.94, 0.92, 0.9),
    ),
    "teeth_lower": Arch(
        2.9, 5.05, 5.35, -3.30, -1,
        (0.55, 0.61, 0.70, 0.71, 0.73, 1.08, 1.05), (0.9, 0.94, 1.05, 0.86, 0.8, 0.75, 0.7),
        (0.0, 0.015, -0.03, 0.03, 0.06, 0.08, 0.1), (0.97, 0.96, 0.92, 0.93, 0.92, 0.9, 0.88),
    ),
}  # fmt: skip

CANINE = 2


@dataclass(frozen=True, slots=True)
class Row:
    """A mesh: vertices (n, 3) cm, triangles (t, 3), colours (n, 3) BGR before any light."""

    vertices: Array
    triangles: NDArray[np.int32]
    colours: Array


def build_row(name: RowName, tooth: Array, gum: Array) -> Row:
    """One row of the neutral head; tooth and gum: their colours (3,) BGR in full light."""
    arch = ARCHES[name]
    along, normal, length = _arc(arch)
    parts = [_gum(arch, along, normal, length, tooth, gum)]
    start = 0.01
    for index, width in enumerate(arch.widths):
        for side in (1, -1):
            parts.append(_crown(arch, index, side, start + width / 2, along, normal, length, tooth, gum))
        start += width
    return _joined(parts)


def row_motion(neutral: Array, moved: Array) -> Array:
    """(4, 3) affine map, by least squares, that takes a neutral head's row (n, 3) to the same row of another head."""
    ones = np.ones((len(neutral), 1), np.float32)
    solution = np.linalg.lstsq(np.hstack([neutral, ones]), moved, rcond=None)[0]
    return np.asarray(solution, np.float32)


def carried(points: Array, motion: Array) -> Array:
    """Points (n, 3) under `row_motion`'s answer."""
    return np.asarray(points @ motion[:3] + motion[3], np.float32)


def grid_triangles(rows: int, columns: int, flipped: bool) -> NDArray[np.int32]:
    """Triangles of a grid whose columns go to the head's left and whose rows go up (down if flipped)."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    first = np.stack([corner, corner + 1, corner + columns + 1], 1)
    second = np.stack([corner, corner + columns + 1, corner + columns], 1)
    both = np.concatenate([first, second]).astype(np.int32)
    return both[:, ::-1].copy() if flipped else both


def _arc(arch: Arch) -> tuple[Array, Array, Array]:
    """Points (n, 2) x and z along half an arch, outward normals (n, 2), and the length (n,) up to each."""
    angle = np.linspace(0, 0.5 * np.pi, 400)
    place = np.stack([arch.half_width * np.sin(angle), arch.centre_z + arch.depth * np.cos(angle)], 1)
    normal = np.stack([np.sin(angle) / arch.half_width, np.cos(angle) / arch.depth], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(place, axis=0), axis=1))]
    return place.astype(np.float32), normal.astype(np.float32), length.astype(np.float32)


def _on_arc(at: NDArray[np.floating], along: Array, normal: Array, length: Array) -> tuple[Array, Array]:
    """Places and normals (..., 2) at arc lengths `at`, negative ones on the head's right."""
    side = np.where(at < 0, -1.0, 1.0)[..., None] * [1, 0] + [0, 1]
    out = [np.stack([np.interp(np.abs(at), length, v[:, k]) for k in (0, 1)], -1) * side for v in (along, normal)]
    return out[0].astype(np.float32), out[1].astype(np.float32)


def _colourful(tooth: Array, gum: Array) -> float:
    """0 where teeth and gums differ in brightness alone, as in an old photograph, to 1."""
    return float(np.clip(np.abs(gum / gum.mean() - tooth / tooth.mean()).max() / 0.25, 0, 1))


def _crown(
    arch: Arch,
    index: int,
    side: int,
    middle: float,
    along: Array,
    normal: Array,
    length: Array,
    tooth: Array,
    gum: Array,
) -> Row:
    u, v = (a.astype(np.float32) for a in np.meshgrid(np.linspace(-1, 1, ACROSS), np.linspace(0, 1, ALONG) ** 0.85))
    incisor = index < CANINE
    neck = 0.86 if incisor else 0.90
    # Widest a quarter up, where neighbours touch; narrower at the gum, corners rounded off at the edge.
    profile = np.interp(v, [0, 0.08, 0.25, 0.6, 1], [0.90, 0.97, 1.0, 0.985, neck])
    at = side * middle + u * profile * arch.widths[index] * 0.495
    outwards = side * u
    edge = arch.edges[index] + 0.035 * np.abs(u) ** 4 + 0.03 * np.clip(outwards, 0, 1) ** 2
    if index == CANINE:
        edge = edge + 0.09 * np.abs(u) ** 1.5
    top = arch.heights[index] * (1 - 0.20 * u**2)
    y = arch.edge_y + arch.up * (edge * (1 - v) ** 2 + v * top)
    place, out = _on_arc(at, along, normal, length)
    bulge = -0.13 * np.abs(u) ** 3 - 0.14 * (1 - v) ** 2.2 - 0.10 * v**2
    place = place + out * bulge[..., None]
    vertices = np.stack([place[..., 0], y, place[..., 1]], -1).reshape(-1, 3)

    apart = smoothstep((np.abs(u) - GAP_FROM) / (1 - GAP_FROM))
    bright = arch.tones[index] * (1 - GAP_DARK * apart * (0.55 + 0.45 * smoothstep((v - 0.05) / 0.3)))
    # The thin edge lets light through, the neck is yellower and takes the gum's red.
    bright = bright * (1 - 0.20 * smoothstep((0.25 - v) / 0.25)) * (1 - 0.05 * v)
    yellow = _colourful(tooth, gum) * (0.02 + 0.05 * v + (0.045 if index == CANINE else 0.0))
    yellow = yellow[..., None] * np.array([1.0, 0.25, 0.0])
    colours = tooth * (1 - yellow) * bright[..., None]
    red = (0.16 * smoothstep((v - 0.8) / 0.2) + 0.22 * apart)[..., None]
    colours = colours * (1 - red) + red * gum * (bright * 0.8)[..., None]
    triangles = grid_triangles(ALONG, ACROSS, flipped=arch.up < 0)
    return Row(vertices.astype(np.float32), triangles, colours.reshape(-1, 3).astype(np.float32))


def _gum(arch: Arch, along: Array, normal: Array, length: Array, tooth: Array, gum: Array) -> Row:
    """A band behind the crowns: dark where they part, then gum in scallops, swelling over each root."""
    total = float(sum(arch.widths))
    at, v = (a.astype(np.float32) for a in np.meshgrid(np.linspace(-total, total, 121), np.linspace(0, 1, 14)))
    ends = np.cumsum(arch.widths)
    index = np.clip(np.searchsorted(ends, np.abs(at)), 0, len(ends) - 1)
    widths, heights = np.array(arch.widths)[index], np.array(arch.heights)[index]
    u = (np.abs(at) - (ends[index] - widths / 2)) / (widths / 2)
    short = np.interp(np.abs(at), ends - np.array(arch.widths) / 2, arch.edges)
    y = arch.edge_y + arch.up * (0.08 + short + v * (0.95 * heights + 0.9))
    place, out = _on_arc(at, along, normal, length)
    above = np.abs(y - arch.edge_y) / heights
    outwards = -0.28 + 0.20 * smoothstep((above - 0.9) / 0.3) - 0.03 * u**2 + 0.06 * np.clip(above - 1.1, 0, 1)
    place = place + out * outwards[..., None]
    pink = smoothstep((above - 0.52) / 0.14)[..., None]
    deep = (1 - 0.25 * np.clip(above - 1.0, 0, 1) - 0.10 * u**2)[..., None]
    colours = (1 - pink) * (0.16 * tooth + 0.12 * gum) + pink * gum * deep
    vertices = np.stack([place[..., 0], y, place[..., 1]], -1).reshape(-1, 3).astype(np.float32)
    triangles = grid_triangles(14, 121, flipped=arch.up < 0)
    return Row(vertices, triangles, colours.reshape(-1, 3).astype(np.float32))


def _joined(parts: list[Row]) -> Row:
    starts = np.r_[0, np.cumsum([len(part.vertices) for part in parts])][:-1]
    return Row(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]).astype(np.int32),
        np.concatenate([part.colours for part in parts]),
    )
