"""A face whose eyes, mouth and chin somebody pointed at: for paintings and drawings in which no face is found.

Runs the landmark network where the anchors say that the face is, whatever it thinks of that, and bends its answer
through them (thin-plate spline, Bookstein 1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.enroll import EnrolmentError
from models.landmarks import CROP_MARGIN, Region

Points = NDArray[np.floating]
Anchors = Mapping[str, tuple[float, float]]
"""(x, y) of each of `ANCHORS`, in 0..1 of the upright picture's width and height."""

ANCHORS: dict[str, tuple[int, ...]] = {
    "left_eye": (33, 133, 159, 145),
    "right_eye": (263, 362, 386, 374),
    "left_mouth_corner": (61,),
    "right_mouth_corner": (291,),
    "chin": (152,),
}
"""Left and right as seen in the picture; each is the middle of these landmarks."""

_TYPICAL = np.array([[-0.36, 0.0], [0.36, 0.0], [-0.27, 0.78], [0.27, 0.78], [0.0, 1.30]])
_TYPICAL_CENTRE, _TYPICAL_SIDE = np.array([0.0, 0.35]), 1.95
"""Anchors, middle and side of all points of an upright face, in eye distances from the middle of the eyes."""

LEAST_EYES = 0.01
"""Least distance of the eyes, as a share of the picture's longer side."""


class AnchorError(EnrolmentError):
    """Anchors that mark no face; the message says what to do."""

    code = "bad_points"


@dataclass(frozen=True, slots=True)
class HandFace:
    """A face from anchors. points: (478, 2) px."""

    points: Points


class Tracer(Protocol):
    """What is needed of `landmarks.LandmarkModel`."""

    def trace(self, picture_bgr: NDArray[np.uint8], regions: list[Region]) -> tuple[Points, Points]: ...


@dataclass(frozen=True, slots=True)
class ByHand:
    """A face finder that is told where the face is. anchors: `read_anchors`."""

    tracer: Tracer
    anchors: Anchors

    def find(self, picture: NDArray[np.uint8]) -> Sequence[HandFace]:
        """One face, in a picture (H, W, 3) uint8 BGR. Raises AnchorError if the eyes lie on one another."""
        height, width = picture.shape[:2]
        at = np.array([self.anchors[name] for name in ANCHORS]) * [width, height]
        if np.hypot(*(at[1] - at[0])) < LEAST_EYES * max(width, height):
            raise AnchorError("the two eyes are set on one another; set each on its own eye")
        if at[1, 0] < at[0, 0]:
            raise AnchorError("the eyes are the wrong way round; left is the picture's left")
        points, _ = self.tracer.trace(picture, [_region(at)])
        points = through(points[0], at)
        again, _ = self.tracer.trace(picture, [Region.around(points)])
        return [HandFace(through(again[0], at))]


def read_anchors(said: object) -> Anchors:
    """Anchors from `{"left_eye": [x, y], …}`. Raises AnchorError."""
    if not isinstance(said, Mapping) or set(said) != set(ANCHORS):
        raise AnchorError(f"give all of {', '.join(ANCHORS)}, each as [x, y] from 0 to 1 of the picture")
    read = {}
    for name in ANCHORS:
        place = said[name]
        if (
            not isinstance(place, Sequence)
            or isinstance(place, str)
            or len(place) != 2
            or not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1 for v in place)
        ):
            raise AnchorError(f"{name} must be [x, y], both from 0 to 1 of the picture's width and height")
        read[name] = (float(place[0]), float(place[1]))
    return read


def through(points: Points, at: Points) -> Points:
    """Points (478, 2) bent smoothly so that their anchors come to lie `at` (5, 2)."""
    anchors = np.array([points[list(indices)].mean(0) for indices in ANCHORS.values()])
    unit = float(np.hypot(*(anchors[1] - anchors[0]))) or 1.0
    source, rest = (anchors - anchors[0]) / unit, (points - anchors[0]) / unit
    count = len(source)
    flat = np.hstack([np.ones((count, 1)), source])
    system = np.block([[_spline(source, source) + 1e-4 * np.eye(count), flat], [flat.T, np.zeros((3, 3))]])
    weights = np.linalg.lstsq(system, np.vstack([at - anchors, np.zeros((3, 2))]), rcond=None)[0]
    bend = _spline(rest, source) @ weights[:count] + np.hstack([np.ones((len(rest), 1)), rest]) @ weights[count:]
    return np.asarray(points + bend, np.float64)


def _spline(at: Points, centres: Points) -> Points:
    squared = ((at[:, None] - centres) ** 2).sum(2)
    return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-12)))


def _region(at: Points) -> Region:
    """Where a face with these anchors is looked at: the similarity that suits a typical face best (Umeyama 1991)."""
    middle, typical = at.mean(0), _TYPICAL.mean(0)
    moved, flat = at - middle, _TYPICAL - typical
    spin = complex((moved * flat).sum(), (flat[:, 0] * moved[:, 1] - flat[:, 1] * moved[:, 0]).sum())
    spin /= float((flat**2).sum())
    turn = np.array([[spin.real, -spin.imag], [spin.imag, spin.real]])
    centre = middle + turn @ (_TYPICAL_CENTRE - typical)
    return Region(centre, abs(spin) * _TYPICAL_SIDE * CROP_MARGIN, float(np.angle(spin)))
