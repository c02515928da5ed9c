"""The teacher of the landmark network: labels pictures with MediaPipe Face Landmarker (Apache-2.0).

Training time only: reads `DIR/face_landmarker.task` and pictures under DIR, writes a label file.
Every picture is read as it is and mirrored; the mean of both halves the teacher's own left/right bias.

    python -m models.training.landmarks_teacher --data DIR --out .cache/landmarks/labels.npz
"""

from __future__ import annotations

import argparse
import math
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Region
from models.training.landmarks_data import Source, list_sources

Points = NDArray[np.float32]
MARGIN = 1.5
"""Side of the teacher's crop as a multiple of the larger extent of the points."""


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-min(max(x, -50.0), 50.0)))


class Teacher:
    """The three stages of the bundle that matter here: find a face, then its 478 points, twice."""

    SIDE = 256

    def __init__(self, task: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with zipfile.ZipFile(task) as bundle:
            self._detector, self._mesh = (
                Interpreter(model_content=bundle.read(name), num_threads=1)
                for name in ("face_detector.tflite", "face_landmarks_detector.tflite")
            )
        for net in (self._detector, self._mesh):
            net.allocate_tensors()
        # BlazeFace short range: two anchors per cell on a 16 × 16 grid, six on an 8 × 8 one.
        self._anchors = np.array(
            [((x + 0.5) / n, (y + 0.5) / n) for n, k in ((16, 2), (8, 6)) for y in range(n) for x in range(n)
             for _ in range(k)]
        )  # fmt: skip

    @staticmethod
    def _run(net, x: NDArray) -> list[NDArray]:
        net.set_tensor(net.get_input_details()[0]["index"], x[None].astype(np.float32))
        net.invoke()
        return [net.get_tensor(o["index"]) for o in net.get_output_details()]

    def detect(self, rgb: NDArray, threshold: float = 0.5) -> Region | None:
        height, width = rgb.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = cv2.copyMakeBorder(rgb, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT)
        boxes, logits = self._run(self._detector, cv2.resize(square, (128, 128)) / 127.5 - 1)
        best = int(logits[0, :, 0].argmax())
        if sigmoid(float(logits[0, best, 0])) < threshold:
            return None
        box, anchor = boxes[0, best] / 128, self._anchors[best]
        eyes = box[4:8].reshape(2, 2)
        centre = (box[:2] + anchor) * side - [left, top]
        roll = math.atan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0])
        return Region(centre, float(max(box[2], box[3])) * side * 1.5, roll)

    def points(self, rgb: NDArray, region: Region) -> tuple[Points, float]:
        """((478, 2) px, score 0..1) of the face in `region`."""
        to_picture = region.to_picture(self.SIDE)
        crop = cv2.warpAffine(rgb, to_picture, (self.SIDE, self.SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        out = self._run(self._mesh, crop / 255)
        crop_points = out[0].reshape(478, 3)[:, :2]
        return (crop_points @ to_picture[:, :2].T + to_picture[:, 2]).astype(np.float32), sigmoid(float(out[1].flat[0]))

    def find(self, rgb: NDArray) -> Points | None:
        """(478, 2) px of the surest face, re-aligned twice, or None."""
        region = self.detect(rgb)
        if region is None:
            return None
        for _ in range(3):
            points, score = self.points(rgb, region)
            if score < 0.5:
                return None
            region = Region.around(points, MARGIN)
        return points


def mirror_order(direct: NDArray, mirrored: NDArray) -> NDArray[np.int64]:
    """(478,) so that `mirrored[:, order]` is the same point as `direct`: the nearest on average, one to one."""
    cost = np.zeros((478, 478))
    for a, b in zip(direct, mirrored, strict=True):
        eyes = np.hypot(*(a[LEFT_EYE_OUTER] - a[RIGHT_EYE_OUTER]))
        cost += np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]) / eyes
    rows, order = linear_sum_assignment(cost)
    assert (rows == np.arange(478)).all() and (order[order] == rows).all(), "mirroring twice must be the identity"
    return order


def label(task: Path, sources: list[Source]) -> dict[str, NDArray]:
    """Arrays `key (N,)`, `points (N, 478, 2)` in source pixels, `mirror (478,)`, for the faces the teacher sees."""
    teacher, keys, direct, mirrored = Teacher(task), [], [], []
    for source in sources:
        rgb = cv2.cvtColor(source.read(), cv2.COLOR_BGR2RGB)
        points = teacher.find(rgb)
        if points is None:
            continue
        flipped = np.ascontiguousarray(rgb[:, ::-1])
        region = Region.around(points, MARGIN)
        width = rgb.shape[1]
        seen, score = teacher.points(
            flipped, Region(np.array([width - 1 - region.centre[0], region.centre[1]]), region.size_px, -region.roll)
        )
        if score < 0.5:
            continue
        keys.append(source.key)
        direct.append(points)
        mirrored.append(np.stack([width - 1 - seen[:, 0], seen[:, 1]], axis=1))
    a, b = np.stack(direct), np.stack(mirrored)
    order = mirror_order(a[::8], b[::8])
    return {"key": np.array(keys), "points": (a + b[:, order]) / 2, "mirror": order}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sources = list_sources(options.data)
    labels = label(options.data / "face_landmarker.task", sources)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, key=labels["key"], points=labels["points"], mirror=labels["mirror"])
    print(f"{len(labels['key'])} of {len(sources)} pictures have a face")


if __name__ == "__main__":
    main()
