"""Builds `models/weights/face_model.npz` from the ICT-FaceKit light model: fewer parts, fewer identities, fewer bits.
Reads DIR/ict_face, and DIR/sfhq for where landmarks lie on real skin; writes the weight file.
Offsets are rounded to a fixed step and stored as byte planes, whose mostly empty high half compresses to nothing.

    python -m models.training.face_model --data DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.blendshapes import ARKIT_NAMES
from models.face_model import WEIGHTS_NAME, FaceModel
from models.fit import fit_face
from models.training.landmarks_teacher import Teacher
from models.weights import WEIGHTS_DIR

IDENTITIES = 40
STEP_CM = {"identity": 0.004, "expression": 0.002}
"""Rounding steps. At 30 px per cm a step of 0.004 cm moves a vertex by at most 0.06 px."""

PARTS = ("face", "head_and_neck", "mouth_socket", "gums_and_tongue", "teeth_upper", "teeth_lower")


def arkit_shapes(names: list[str], shapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(57, V, 3) in the model's names to (52, V, 3) in ARKit's: halves are summed, tongueOut stays zero."""
    out = np.zeros((len(ARKIT_NAMES), *shapes.shape[1:]), np.float32)
    for index, name in enumerate(ARKIT_NAMES):
        short = name.replace("Left", "_L").replace("Right", "_R")
        wanted = {name, short, f"{name}_L", f"{name}_R"}
        for shape_name, shape in zip(names, shapes, strict=True):
            if shape_name in wanted:
                out[index] += shape
    return out


def byte_planes(offsets: NDArray[np.float32], step: float) -> NDArray[np.uint8]:
    """(2, ...) high and low bytes of the offsets in whole steps."""
    whole = np.round(offsets / step)
    if np.abs(whole).max() > np.iinfo(np.int16).max:
        raise ValueError(f"an offset is too large for 16 bits in steps of {step} cm")
    bits = whole.astype(np.int16).view(np.uint16)
    return np.stack([(bits >> 8).astype(np.uint8), (bits & 255).astype(np.uint8)])


def reduced(source: Any, pairs: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of the weight file from ICT's and from the landmark pairs."""
    regions = dict(zip(source["region_names"].tolist(), source["regions"].tolist(), strict=True))
    faces_of = dict(zip(source["region_names"].tolist(), source["region_faces"].tolist(), strict=True))
    kept = np.concatenate([np.arange(*regions[name]) for name in PARTS])
    new_index = np.full(len(source["neutral"]), -1)
    new_index[kept] = np.arange(len(kept))
    triangles = [new_index[source["faces"][slice(*faces_of[name])]] for name in PARTS]
    triangles = [part[(part >= 0).all(1)] for part in triangles]
    expression = arkit_shapes(source["expression_names"].tolist(), source["expression"].astype(np.float32))[:, kept]
    identity = source["identity"][:IDENTITIES, kept].astype(np.float32)
    vertex = np.array(pairs["vertex"])
    return {
        "neutral": source["neutral"][kept],
        "identity_planes": byte_planes(identity, STEP_CM["identity"]),
        "identity_step": np.float32(STEP_CM["identity"]),
        "expression_planes": byte_planes(expression, STEP_CM["expression"]),
        "expression_step": np.float32(STEP_CM["expression"]),
        "triangles": np.concatenate(triangles).astype(np.uint16),
        "part_names": np.array(list(PARTS)),
        "part_vertices": bounds([regions[name][1] - regions[name][0] for name in PARTS]),
        "part_triangles": bounds([len(part) for part in triangles]),
        "landmark_index": np.array(pairs["landmark"], np.int16),
        "landmark_vertex": new_index[vertex].astype(np.int16),
        "landmark_weight": np.array(pairs["weight"], np.float32),
        "lip_rings": new_index[np.array(pairs["lip_rings"])].astype(np.int16),
    }


def bounds(sizes: list[int]) -> NDArray[np.int32]:
    """(P, 2) first and end of consecutive ranges."""
    ends = np.cumsum(sizes)
    return np.stack([ends - sizes, ends], 1).astype(np.int32)


def landmark_offset(model: FaceModel, faces_px: Sequence[NDArray[np.floating]], rounds: int = 3) -> NDArray[np.float32]:
    """(N, 3) cm from vertices to landmarks: the median over faces, (478, 2) px each, of what a fit leaves.

    A landmark network and a modeller put a point in different places, the same ones on every face; this is most of
    a fit's residual. The first round's fits lean towards the wrong places, so the estimate is repeated.
    """
    offset = np.zeros((len(model.landmark_index), 3), np.float32)
    for _ in range(rounds):
        left = residuals_cm(replace(model, landmark_offset=offset), faces_px)
        spread = np.hypot(left[..., 0], left[..., 1]).mean()
        print(f"mean distance of a landmark from its place on the fitted head, {len(left)} faces: {spread:.4f} cm")
        offset = offset + np.median(left, axis=0).astype(np.float32)
    return offset


def residuals_cm(model: FaceModel, faces_px: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """(M, N, 3) from the place of each landmark on the fitted head to the landmark, in the head's frame."""
    out = []
    for points in faces_px:
        fit = fit_face(model, points)
        head = model.vertices(fit.identity, fit.expression)[model.landmark_vertex] + model.landmark_offset
        placed, _ = model.project(head, fit.pose)
        left = (points[model.landmark_index] - placed) / [fit.pose.scale_px, -fit.pose.scale_px]
        out.append(np.pad(left, ((0, 0), (0, 1))) @ fit.pose.rotation)
    return np.array(out, np.float32)


def still_faces(data: Path) -> list[NDArray[np.float32]]:
    """Landmarks (478, 2) px of every fifth near-frontal face of DIR/sfhq."""
    teacher = Teacher(data / "face_landmarker.task")
    pictures = json.loads((data / "sfhq/index.json").read_text())
    frontal = [name for name, about in pictures.items() if abs(about["yaw_deg"]) < 12]
    pixels = (cv2.imread(str(data / f"sfhq/{name}.jpg")) for name in frontal[::5])
    found = (teacher.find(np.ascontiguousarray(p[:, :, ::-1], np.uint8)) for p in pixels if p is not None)
    return [points for points in found if points is not None]


def write(target: Path, arrays: dict[str, NDArray[Any]]) -> None:
    np.savez_compressed(target, allow_pickle=False, **arrays)


def main() -> int:
    parser = argparse.ArgumentParser(description="build the reduced 3D face model")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    folder = options.data / "ict_face"
    with np.load(folder / "ict_face.npz") as source:
        arrays = reduced(source, json.loads((folder / "mediapipe_to_ict.json").read_text()))
    target = WEIGHTS_DIR / WEIGHTS_NAME
    write(target, arrays | {"landmark_offset": np.zeros((len(arrays["landmark_index"]), 3), np.float32)})
    offset = landmark_offset(FaceModel.read(target), still_faces(options.data))
    write(target, arrays | {"landmark_offset": offset})
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {len(arrays['neutral'])} vertices")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
