"""The reference landmarker: MediaPipe's Face Landmarker task file, run by ai-edge-litert.

A measuring device that is not ours, so that our own landmark model never judges itself. The file is not part of the
project; benches take its path as `--landmarker`. Detection, then 478 points; follows the face from call to call.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.integer | np.floating]
Points = NDArray[np.float64]

MESH_INPUT_PX = 256
DETECTOR_INPUT_PX = 128
MIN_SCORE = 0.5


class Landmarker:
    def __init__(self, task: Path) -> None:
        with zipfile.ZipFile(task) as bundle:
            self._detector = _TfLite(bundle.read("face_detector.tflite"))
            self._mesh = _TfLite(bundle.read("face_landmarks_detector.tflite"))
        # BlazeFace's anchors: centres of a 16 x 16 grid (2 each), then of an 8 x 8 grid (6 each).
        self._anchors = np.array(
            [
                ((x + 0.5) / grid, (y + 0.5) / grid)
                for grid, each in ((16, 2), (8, 6))
                for y in range(grid)
                for x in range(grid)
                for _ in range(each)
            ]
        )
        self._region: tuple[Points, float, float] | None = None

    def __call__(self, picture_bgr: NDArray[np.uint8]) -> Points | None:
        """(478, 2) pixels of the face in `picture_bgr`, or None."""
        rgb = cv2.cvtColor(picture_bgr, cv2.COLOR_BGR2RGB)
        followed = self._region is not None
        region = self._region or self._detect(rgb)
        if region is None:
            return None
        points, score = self._points(rgb, *region)
        if score < MIN_SCORE:
            self._region = None
            return self(picture_bgr) if followed else None
        eyes = points[263] - points[33]
        angle = math.atan2(eyes[1], eyes[0])
        upright = points @ _rotation(angle)
        low, high = upright.min(0), upright.max(0)
        self._region = ((low + high) / 2 @ _rotation(angle).T, float((high - low).max()) * 1.5, angle)
        return points

    def _detect(self, rgb: Picture) -> tuple[Points, float, float] | None:
        height, width = rgb.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = cv2.copyMakeBorder(
            rgb, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT, value=(0, 0, 0)
        )
        small = cv2.resize(square, (DETECTOR_INPUT_PX, DETECTOR_INPUT_PX), interpolation=cv2.INTER_AREA)
        boxes, logits = self._detector(small[None].astype(np.float32) / 127.5 - 1)
        best = int(logits[0, :, 0].argmax())
        if logits[0, best, 0] < 0:
            return None
        row, anchor = boxes[0, best] / DETECTOR_INPUT_PX, self._anchors[best]
        offset = np.array([left, top])
        eyes = (row[4:8].reshape(2, 2) + anchor) * side - offset
        angle = math.atan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0])
        return (row[:2] + anchor) * side - offset, float(max(row[2], row[3])) * side * 1.5, angle

    def _points(self, rgb: Picture, centre: Points, size: float, angle: float) -> tuple[Points, float]:
        scale = size / MESH_INPUT_PX
        turn = _rotation(angle) * scale
        middle = np.full(2, MESH_INPUT_PX / 2)
        crop_to_picture = np.column_stack([turn, centre - turn @ middle])
        crop = cv2.warpAffine(
            rgb, crop_to_picture, (MESH_INPUT_PX, MESH_INPUT_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        outputs = self._mesh(crop[None].astype(np.float32) / 255)
        points = outputs[0].reshape(478, 3)[:, :2].astype(np.float64)
        score = 1 / (1 + math.exp(-float(np.ravel(outputs[1])[0])))
        return points @ turn.T + crop_to_picture[:, 2], score


class _TfLite:
    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(model_content=model, num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._net.get_output_details()]

    def __call__(self, x: NDArray[np.floating]) -> list[NDArray[np.float32]]:
        self._net.set_tensor(self._input, x.astype(np.float32))
        self._net.invoke()
        return [self._net.get_tensor(index) for index in self._outputs]


def _rotation(angle: float) -> Points:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
