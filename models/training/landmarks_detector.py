"""Trains the face detector: a picture → a map of face centres with size and line of the eyes.

Reads pictures under DIR and the teacher's labels; writes a checkpoint and models/weights/detector.onnx.
Anchor-free, one cell per 8 px (CenterNet: Zhou et al., 2019). Scenes are put together on the fly: no, one or several
faces, turned and of any size, on made-up textures or on pictures whose face has been wiped out.

    python -m models.training.landmarks_detector --data DIR --labels .cache/landmarks/labels.npz --minutes 12
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from models import weights
from models.landmarks import DETECTOR_STRIDE, DETECTOR_UNIT_PX, Region
from models.training.landmarks import Block, Standardise, conv, moving_average, save
from models.training.landmarks_augment import disguise
from models.training.landmarks_data import Example, load_examples, read_labels
from models.training.landmarks_negatives import texture, wiped

SIDE = 128


class DetectorNet(nn.Module):
    """(B, 3, H, W) BGR 0..255, H and W multiples of 32 → (B, 6, H/8, W/8): logit, dx, dy, log size, eye line x, y."""

    def __init__(self) -> None:
        super().__init__()
        self.standardise = Standardise()
        self.fine = nn.Sequential(conv(3, 16, 2), conv(16, 24, 2), Block(24), conv(24, 48, 2), Block(48))
        self.middle = nn.Sequential(conv(48, 64, 2), Block(64), Block(64))
        self.wide = nn.Sequential(conv(64, 64, 2), Block(64), Block(64))
        self.from_fine, self.from_middle, self.from_wide = (nn.Conv2d(n, 48, 1) for n in (48, 64, 64))
        answer = nn.Conv2d(48, 6, 1)
        assert answer.bias is not None
        nn.init.constant_(answer.bias[:1], -4.0)  # faces are rare
        self.head = nn.Sequential(conv(48, 48), conv(48, 48), answer)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(self.standardise(x))
        middle = self.middle(fine)
        up = nn.functional.interpolate
        deep = self.from_middle(middle) + up(self.from_wide(self.wide(middle)), scale_factor=2.0, mode="nearest")
        return self.head(torch.relu(self.from_fine(fine) + up(deep, scale_factor=2.0, mode="nearest")))


def scene(examples: list[Example], rng: Generator) -> tuple[NDArray, list[Region]]:
    """A picture (SIDE, SIDE, 3) and the faces in it (size: extent of the landmarks; roll: of the eye line)."""
    if rng.random() < 0.45:
        canvas = texture(SIDE, rng)
    else:
        other = wiped(examples[rng.integers(0, len(examples))], rng)
        scale = SIDE / min(other.shape[:2]) * rng.uniform(1, 2)
        big = cv2.resize(other, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top, left = rng.integers(0, big.shape[0] - SIDE + 1), rng.integers(0, big.shape[1] - SIDE + 1)
        canvas = np.ascontiguousarray(big[top : top + SIDE, left : left + SIDE])
    faces: list[Region] = []
    for _ in range(int(rng.choice([0, 1, 2, 3, 4], p=[0.2, 0.5, 0.15, 0.1, 0.05]))):
        example = examples[rng.integers(0, len(examples))]
        true = Region.around(example.points, 1.0)
        largest = 112.0 if not faces else 45.0
        size = float(np.exp(rng.uniform(np.log(11), np.log(largest))))
        roll = float(rng.uniform(-0.9, 0.9)) if rng.random() < 0.6 else float(rng.normal(0, 0.12))
        centre = rng.uniform(min(size * 0.4, 56), SIDE - min(size * 0.4, 56), 2)
        if any(np.hypot(*(centre - f.centre)) < 0.85 * (size + f.size_px) for f in faces):
            continue
        scale, turn = true.size_px / size, true.roll - roll
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        linear = np.array([[cos, -sin], [sin, cos]])
        to_picture = np.hstack([linear, (true.centre - linear @ centre)[:, None]])
        shot, border = example.picture, cv2.BORDER_REPLICATE  # reflection would make faces nobody labelled
        if scale > 1.6:  # smooth before shrinking, or the face becomes noise
            shot = cv2.GaussianBlur(shot, (0, 0), scale * 0.4)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(shot, to_picture, (SIDE, SIDE), flags=flags, borderMode=border)
        covered = np.full(shot.shape[:2], 255, np.uint8)
        if rng.random() < 0.4 or faces:  # cut out instead of a hard rectangle
            covered[:] = 0
            radii = (int(true.size_px * rng.uniform(0.62, 1.1)), int(true.size_px * rng.uniform(0.75, 1.2)))
            cv2.ellipse(covered, tuple(int(v) for v in true.centre), radii, 0, 0, 360, 255, -1)
        fills_scene = not faces and rng.random() < 0.3
        alpha = 1.0 if fills_scene else cv2.warpAffine(covered, to_picture, (SIDE, SIDE), flags=flags)[:, :, None] / 255
        canvas = (crop * alpha + canvas * (1 - alpha)).astype(np.uint8)
        faces.append(Region(centre, size, roll))
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1]
        faces = [Region(np.array([SIDE - 1 - f.centre[0], f.centre[1]]), f.size_px, -f.roll) for f in faces]
    return disguise(canvas, rng, occlusion=rng.random() < 0.3), faces


def targets(faces: list[Region], eye_share: float = 0.62) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(6, n, n) wanted output and (n, n) mask of the cells whose geometry counts. Heat is a Gaussian at the centre."""
    n = SIDE // DETECTOR_STRIDE
    want, counts = np.zeros((6, n, n), np.float32), np.zeros((n, n), np.float32)
    row, column = np.mgrid[0:n, 0:n] + 0.5
    for face in faces:
        x, y = face.centre / DETECTOR_STRIDE
        sigma = max(0.6, 0.1 * face.size_px / DETECTOR_STRIDE)
        heat = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2)).astype(np.float32)
        want[0] = np.maximum(want[0], heat)
        at = (min(int(y), n - 1), min(int(x), n - 1))
        want[0][at] = 1
        near = heat > 0.55
        near[at] = True
        counts[near] = 1
        for channel, value in enumerate(
            (x - column, y - row, np.full((n, n), math.log(face.size_px / DETECTOR_UNIT_PX)),
             np.full((n, n), math.cos(face.roll) * eye_share), np.full((n, n), math.sin(face.roll) * eye_share)),
            start=1,
        ):  # fmt: skip
            want[channel][near] = value[near]
    return want, counts


def loss(said: Tensor, want: Tensor, counts: Tensor) -> Tensor:
    """Penalty-reduced focal loss for the heat (CornerNet: Law and Deng, 2018), mean absolute error for the rest."""
    heat = torch.sigmoid(said[:, 0]).clamp(1e-5, 1 - 1e-5)
    centre = (want[:, 0] == 1).float()
    faces = centre.sum().clamp(min=1)
    hit = centre * (1 - heat).square() * heat.log()
    miss = (1 - centre) * (1 - want[:, 0]) ** 4 * heat.square() * (1 - heat).log()
    geometry = ((said[:, 1:] - want[:, 1:]).abs() * counts[:, None]).sum() / counts.sum().clamp(min=1)
    return -(hit + miss).sum() / faces + 1.5 * geometry


def batch(examples: list[Example], size: int, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    scenes = [scene(examples, rng) for _ in range(size)]
    wanted = [targets(faces) for _, faces in scenes]
    pictures = torch.from_numpy(np.stack([s[0] for s in scenes])).permute(0, 3, 1, 2).float()
    return (
        pictures,
        torch.from_numpy(np.stack([w for w, _ in wanted])),
        torch.from_numpy(np.stack([c for _, c in wanted])),
    )


def train(net: DetectorNet, examples: list[Example], minutes: float, rate: float, out: Path) -> None:
    average = torch.optim.swa_utils.AveragedModel(net, avg_fn=moving_average)
    optimiser = torch.optim.AdamW(net.parameters(), rate)
    rng, start, step, seen = np.random.default_rng(time.time_ns()), time.monotonic(), 0, []
    while (share := (time.monotonic() - start) / (minutes * 60)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * share))
        pictures, want, counts = batch(examples, 32, rng)
        with torch.autocast("cpu", torch.bfloat16):
            said = net(pictures)
        total = loss(said.float(), want, counts)
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        average.update_parameters(net)
        step += 1
        seen.append(total.item())
        if step % 200 == 0:
            print(f"{step:6d} {share:5.2f} loss {np.mean(seen[-200:]):.4f}", flush=True)
            save(net, average, out)
    save(net, average, out)


def export(net: DetectorNet) -> None:
    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        net.eval(), (torch.zeros(1, 3, SIDE, SIDE),), str(weights.WEIGHTS_DIR / "detector.onnx"),
        input_names=["pictures"], output_names=["map"], dynamo=False, opset_version=17,
        dynamic_axes={"pictures": axes, "map": axes},
    )  # fmt: skip
    command = "python -m models.training.landmarks_detector --data DIR --labels LABELS"
    weights.add("detector.onnx", "MIT; distilled from MediaPipe Face Landmarker (Apache-2.0)", command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--checkpoint", type=Path, default=Path(".cache/landmarks/detector.pt"))
    parser.add_argument("--export-only", action="store_true", help="write the ONNX file of --start")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    net = DetectorNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.start:
        net.load_state_dict(torch.load(options.start))
    if not options.export_only:
        examples, _ = load_examples(options.data, read_labels(options.labels), face_px=112)
        train(net, [e for e in examples if not e.held_out], options.minutes, options.rate, options.checkpoint)
        net.load_state_dict(torch.load(options.checkpoint))
    export(net)


if __name__ == "__main__":
    main()
