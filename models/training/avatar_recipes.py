"""Which synthetic faces make which avatar, and what the cut-out must be told about each.

Values only, chosen by eye: every finished portrait was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one avatar is made.

    faces: pictures, the one that gives hair and shoulders first. shape, tone: weights of the faces in the
    geometry and in the broad colours of the skin. detail: which face gives the fine detail. crown: how far the hair
    surely reaches, above the forehead in face heights and beside the middle in face widths. body: outline of clothes
    that GrabCut would lose, in face widths from the middle and face heights from the top. share: width of the source
    in the finished picture. slope: of the left and right shoulder, where they go on past the source. mend: a box
    (x0, y0, x1, y1) of the source, in shares of its sides, to fill in because something else is in it.
    """

    name: str
    title: str
    faces: tuple[str, ...]
    shape: tuple[float, ...]
    tone: tuple[float, ...]
    detail: int
    backdrop: tuple[int, int, int]
    crown: tuple[float, float] = (0.1, 0.5)
    body: tuple[tuple[float, float], ...] = ()
    share: float = 0.88
    slope: tuple[float, float] = (0.45, 0.45)
    mend: tuple[float, float, float, float] | None = None


RECIPES = (
    Recipe("freya", "Freya", ("s24_001", "s24_002", "s48_002"), (0.45, 0.35, 0.2), (0.5, 0.35, 0.15), 1, (84, 104, 96)),
    Recipe(
        "elias", "Elias", ("s24_101", "s48_305", "s36_100"), (0.55, 0.25, 0.2), (0.6, 0.2, 0.2), 0, (110, 96, 82),
        crown=(0.3, 0.56), body=((0.5, 0.78), (0.7, 0.86), (0.8, 0.98), (0.8, 1.2), (-0.6, 1.2), (-0.45, 0.98)),
        mend=(0.88, 0.89, 1.0, 1.0),
    ),
    Recipe(
        "mei", "Mei", ("s24_102", "s24_000", "s48_005"), (0.55, 0.3, 0.15), (0.6, 0.3, 0.1), 0, (118, 112, 100),
        body=((0.4, 0.93), (0.8, 1.02), (1.2, 1.07), (1.2, 1.25), (-1.2, 1.25), (-0.8, 1.1), (-0.4, 0.95)),
        share=0.95, slope=(0.5, 0.4),
    ),
    Recipe(
        "kofi", "Kofi", ("slm_003", "s48_302", "s36_100"), (0.6, 0.25, 0.15), (0.8, 0.1, 0.1), 0, (120, 104, 84),
        crown=(0.2, 0.46), body=((0.42, 0.8), (0.7, 0.89), (1.0, 0.98), (1.05, 1.2), (-0.9, 1.2), (-0.35, 0.95)),
        slope=(0.35, 0.35),
        mend=(0.308, 0.472, 0.329, 0.5),
    ),
)  # fmt: skip

HARD_RECIPES = (
    Recipe(
        "smile", "Broad smile", ("s24_103", "s36_101"), (0.65, 0.35), (0.75, 0.25), 0, (96, 104, 112),
        crown=(0.42, 0.72),
    ),
    Recipe("beard", "Beard", ("s48_100", "s36_205"), (0.7, 0.3), (0.9, 0.1), 0, (104, 98, 90), crown=(0.16, 0.5)),
    Recipe("moustache", "Moustache", ("eth_404", "eth_408"), (0.65, 0.35), (0.75, 0.25), 0, (112, 104, 98)),
    Recipe("glasses", "Glasses", ("s36_205", "s48_106"), (0.75, 0.25), (0.9, 0.1), 0, (106, 110, 100)),
    Recipe("child", "Child", ("s24_003", "s36_002"), (0.6, 0.4), (0.7, 0.3), 0, (118, 112, 104)),
    Recipe("three_quarter", "Three-quarter view", ("eth_402", "eth_404"), (0.85, 0.15), (0.8, 0.2), 0, (110, 106, 102)),
)  # fmt: skip
"""Faces for benches and docs alone."""
