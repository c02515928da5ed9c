"""Finds the faces of a picture and 478 points on each (the order of MediaPipe Face Mesh with irises).

Reads two weight files when built; `find` is a pure function of the picture.
A detector looks at the picture at two sizes; a landmark network looks at each face twice, the second time through a
crop that the first answer straightened. The landmark network also says whether what it saw was a face at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.runtime import Network

Picture = NDArray[Any]
Points = NDArray[np.float32]

POINTS = 478
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263

CROP_SIDE = 128
CROP_MARGIN = 1.4
"""Side of the landmark crop as a multiple of the larger extent of the points."""

DETECTOR_STRIDE = 8
DETECTOR_UNIT_PX = 32.0
DETECTOR_PASSES = ((112, 8, 24.0, math.inf), (320, 0, 0.0, 100.0))
"""(long side, border, smallest face, largest face) in px of the two looks: large faces, then small ones.

Each leaves alone the sizes that the other sees better: a face of a few px is often found, but wrongly sized."""

DETECTION_THRESHOLD = 0.4
FACE_THRESHOLD = 0.8
CANDIDATES = 24
SMALLEST_SIDE_PX = 16


class PictureError(ValueError):
    """What was passed is not a picture that `find` can look at."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face. `box` (x0, y0, x1, y1) holds the points, in px; `score` 0..1; `points` (478, 2) float32 px."""

    box: tuple[float, float, float, float]
    score: float
    points: Points


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square in a picture: where a network looks. `roll` in radians, clockwise as seen."""

    centre: NDArray[np.float64]
    size_px: float
    roll: float

    def to_picture(self, side: int) -> NDArray[np.float64]:
        """(2, 3): pixels of a `side` × `side` crop to picture pixels."""
        step = self.size_px / side
        cos, sin = math.cos(self.roll) * step, math.sin(self.roll) * step
        turn = np.array([[cos, -sin], [sin, cos]])
        return np.hstack([turn, (self.centre - turn @ [side / 2, side / 2])[:, None]])

    @staticmethod
    def around(points: NDArray, margin: float = CROP_MARGIN) -> Region:
        """The square around the points (478, 2) of a face, upright along the line of its eyes."""
        dx, dy = points[LEFT_EYE_OUTER] - points[RIGHT_EYE_OUTER]
        roll = math.atan2(dy, dx)
        turn = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
        upright = points @ turn.T
        low, high = upright.min(0), upright.max(0)
        return Region((low + high) / 2 @ turn, float((high - low).max()) * margin, roll)


def cut(picture: Picture, region: Region, side: int) -> Picture:
    """The region as a (side, side, 3) picture; shrunk by area first where that would alias."""
    to_picture = region.to_picture(side)
    shrink = region.size_px / side
    if shrink > 1.5:
        height, width = picture.shape[:2]
        reach = region.size_px * 0.75
        x0, y0 = (max(0, int(v - reach)) for v in region.centre)
        x1, y1 = (max(low + 1, int(v + reach)) for low, v in zip((x0, y0), region.centre, strict=True))
        part = picture[min(y0, height - 1) : y1, min(x0, width - 1) : x1]
        small = tuple(max(1, round(n / shrink)) for n in part.shape[1::-1])
        scale = np.array(small) / part.shape[1::-1]
        picture = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
        # Pixel centres are whole numbers: (x + 0.5) scales, not x.
        to_picture[:, 2] = (to_picture[:, 2] - [min(x0, width - 1), min(y0, height - 1)] + 0.5) * scale - 0.5
        to_picture[:, :2] *= scale[:, None]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, to_picture, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def as_batch(pictures: list[Picture]) -> NDArray[np.float32]:
    return np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32)


def sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def peaks(answer: NDArray[np.float32]) -> list[tuple[float, Region]]:
    """Faces in the detector's answer (6, rows, columns): local maxima, as (score, region of the points' extent)."""
    heat = sigmoid(answer[0])
    highest = cv2.dilate(heat, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero((heat >= highest) & (heat > DETECTION_THRESHOLD))
    found = []
    for row, column in zip(rows, columns, strict=True):
        _, dx, dy, log_size, eyes_x, eyes_y = answer[:, row, column].astype(float)
        centre = np.array([column + 0.5 + dx, row + 0.5 + dy]) * DETECTOR_STRIDE
        size = DETECTOR_UNIT_PX * math.exp(min(log_size, 3.0))
        found.append((float(heat[row, column]), Region(centre, size, math.atan2(eyes_y, eyes_x))))
    return found


def distinct(candidates: list[tuple[float, Region]], apart: float = 0.5) -> list[tuple[float, Region]]:
    """The surest of those that lie on one another (centres nearer than `apart` times the larger size)."""
    kept: list[tuple[float, Region]] = []
    for score, region in sorted(candidates, key=lambda c: -c[0]):
        if all(
            np.hypot(*(region.centre - other.centre)) > apart * max(region.size_px, other.size_px) for _, other in kept
        ):
            kept.append((score, region))
    return kept


class LandmarkModel:
    """Both networks, loaded once. Raises WeightsError or DeviceError when built."""

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        self._detector = Network("detector.onnx", device, threads)
        self._landmarks = Network("landmarks.onnx", device, threads)

    def detect(self, picture_bgr: Picture) -> list[tuple[float, Region]]:
        """(score, region of the points' extent) of everything that may be a face, surest first."""
        height, width = picture_bgr.shape[:2]
        candidates = []
        for long_side, border, smallest, largest in DETECTOR_PASSES:
            scale = long_side / max(height, width)
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = cv2.resize(picture_bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            right, bottom = (border + -(n + 2 * border) % 32 for n in size)
            padded = cv2.copyMakeBorder(small, border, bottom, border, right, cv2.BORDER_REPLICATE)
            (answer,) = self._detector.run({"pictures": as_batch([padded])})
            for score, region in peaks(answer[0]):
                if smallest <= region.size_px <= largest:
                    centre = (region.centre - border) / scale
                    candidates.append((score, Region(centre, region.size_px / scale, region.roll)))
        return distinct(candidates)[:CANDIDATES]

    def trace(self, picture_bgr: Picture, regions: list[Region]) -> tuple[Points, NDArray[np.float32]]:
        """One look of the landmark network: points (N, 478, 2) px and certainty (N,) that each region shows a face."""
        crops = as_batch([cut(picture_bgr, region, CROP_SIDE) for region in regions])
        points, logits = self._landmarks.run({"pictures": crops}, ["points", "logit"])
        to_picture = np.stack([region.to_picture(CROP_SIDE) for region in regions])
        turned = np.einsum("nij,nkj->nki", to_picture[:, :, :2], points.astype(np.float64) * CROP_SIDE)
        return (turned + to_picture[:, None, :, 2]).astype(np.float32), sigmoid(logits)

    def find(self, picture_bgr: Picture, max_faces: int = 8) -> list[Face]:
        """The faces of a (H, W, 3) uint8 BGR picture, largest and surest first; an empty list where there is none.

        Raises PictureError for anything else than such a picture.
        """
        if picture_bgr.ndim != 3 or picture_bgr.shape[2] != 3 or picture_bgr.dtype != np.uint8:
            raise PictureError("pass a colour picture: an array (height, width, 3) of uint8")
        if min(picture_bgr.shape[:2]) < SMALLEST_SIDE_PX:
            return []
        candidates = self.detect(picture_bgr)
        if not candidates:
            return []
        first, _ = self.trace(picture_bgr, [Region(r.centre, r.size_px * CROP_MARGIN, r.roll) for _, r in candidates])
        second, certainty = self.trace(picture_bgr, [Region.around(points) for points in first])
        scores = np.sqrt(certainty * [score for score, _ in candidates])
        order = [
            (float(scores[i]), Region.around(second[i], 1.0), i)
            for i in np.argsort(-scores)
            if certainty[i] > FACE_THRESHOLD
        ]
        kept = {id(region) for _, region in distinct([(score, region) for score, region, _ in order])}
        faces = []
        for score, region, i in order:
            if id(region) in kept:
                (x0, y0), (x1, y1) = second[i].min(0).tolist(), second[i].max(0).tolist()
                faces.append((score * region.size_px, Face((x0, y0, x1, y1), score, second[i])))
        return [face for _, face in sorted(faces, key=lambda f: -f[0])[:max_faces]]
