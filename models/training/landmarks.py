"""Trains the landmark network: an upright face crop → 478 points and how sure it is that this is a face.

Reads pictures under DIR and the teacher's labels; writes a checkpoint and models/weights/landmarks.onnx.
A small residual network says the coefficients of a point distribution model (principal components of the training
shapes with their crop jitter: Cootes et al., 1995), so that every answer is close to a face from the first step.

    python -m models.training.landmarks --data DIR --labels .cache/landmarks/labels.npz --minutes 25
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from models import weights
from models.landmarks import CROP_MARGIN, CROP_SIDE, LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Region
from models.training.landmarks_augment import disguise, warp_crop
from models.training.landmarks_data import EYES, LIPS, Example, load_examples, read_labels
from models.training.landmarks_negatives import empty_crop, mistaken_crop, mistakes

COMPONENTS = 96


def conv(inputs: int, outputs: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Block(nn.Module):
    """Two convolutions and a way around them (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class Standardise(nn.Module):
    """(B, 3, H, W) in 0..255 → zero mean, unit deviation of the whole picture: exposure is not a feature."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3), keepdim=True)
        centred = x - mean
        return centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + 4.0)


class LandmarkNet(nn.Module):
    """(B, 3, side, side) BGR 0..255 → points (B, N, 2) in crop widths, 0..1, and a logit (B,)."""

    def __init__(self, mean: NDArray, basis: NDArray, side: int = CROP_SIDE) -> None:
        super().__init__()
        self.standardise = Standardise()
        self.trunk = nn.Sequential(
            conv(3, 16, 2), conv(16, 32, 2), Block(32), conv(32, 64, 2), Block(64), conv(64, 96, 2), Block(96),
            Block(96), nn.Conv2d(96, 32, 1), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        features = 32 * (side // 16) ** 2
        self.coefficients = nn.Linear(features, len(basis))
        self.shape = nn.Linear(len(basis), basis.shape[1])
        self.certainty = nn.Linear(features, 1)
        with torch.no_grad():
            self.shape.weight.copy_(torch.from_numpy(basis.T))
            self.shape.bias.copy_(torch.from_numpy(mean))
            self.coefficients.weight.mul_(0.3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(self.standardise(x))
        points = self.shape(self.coefficients(features))
        return points.reshape(-1, points.shape[1] // 2, 2), self.certainty(features)[:, 0]


def jittered(points: NDArray, rng: Generator, coarse: bool, margin: float = CROP_MARGIN) -> Region:
    """The crop that the detector (coarse) or the first pass (fine) might have asked for."""
    true = Region.around(points, margin)
    shift, zoom, turn = (0.055, 0.12, 0.16) if coarse else (0.012, 0.03, 0.03)
    return Region(
        true.centre + rng.normal(0, shift, 2) * true.size_px,
        true.size_px * float(np.exp(rng.normal(0, zoom))),
        true.roll + float(rng.normal(0, turn)),
    )


def face_crop(example: Example, mirror: NDArray, rng: Generator) -> tuple[NDArray, NDArray[np.float32]]:
    """A disguised training crop and its points in crop widths."""
    region = jittered(example.points, rng, coarse=rng.random() < 0.4)
    bend = float(rng.uniform(0.01, 0.05)) if rng.random() < 0.5 else 0.0
    crop, points = warp_crop(example.picture, example.points, region.to_picture(CROP_SIDE), CROP_SIDE, bend, rng)
    if rng.random() < 0.5:
        crop, points = crop[:, ::-1], points[mirror] * [-1, 1] + [CROP_SIDE - 1, 0]
    return disguise(crop, rng), (points / CROP_SIDE).astype(np.float32)


def point_distribution(examples: list[Example], rng: Generator, count: int = 12_000) -> tuple[NDArray, NDArray]:
    """Mean (956,) and scaled principal components (COMPONENTS, 956) of shapes as the crops will show them."""
    shapes = np.empty((count, 956), np.float32)
    for row, index in enumerate(rng.integers(0, len(examples), count)):
        points = examples[index].points
        inverse = np.linalg.inv(np.vstack([jittered(points, rng, coarse=row % 2 == 0).to_picture(1), [0, 0, 1]]))
        shapes[row] = (points @ inverse[:2, :2].T + inverse[:2, 2]).ravel()
    mean = shapes.mean(0)
    _, scale, directions = np.linalg.svd(shapes - mean, full_matrices=False)
    return mean, (directions * (scale / np.sqrt(count))[:, None])[:COMPONENTS]


def point_weights() -> Tensor:
    """(478,): lips three times, eyes twice; mean 1."""
    value = torch.ones(478)
    value[list(LIPS)] = 3
    value[list(EYES)] = 2
    return value / value.mean()


def batch(
    examples: list[Example], mirror: NDArray, hard: list[tuple[Example, Region]], size: int, rng: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (B, 3, CROP_SIDE, CROP_SIDE), points (B, 478, 2), is a face (B,). `hard`: mistakes of the detector."""
    crops = np.empty((size, CROP_SIDE, CROP_SIDE, 3), np.uint8)
    points, face = np.zeros((size, 478, 2), np.float32), np.ones(size, np.float32)
    for row in range(size):
        example = examples[rng.integers(0, len(examples))]
        chance = rng.random()
        if chance < 0.12 and hard:
            crops[row], face[row] = mistaken_crop(*hard[rng.integers(0, len(hard))], rng), 0
        elif chance < 0.2:
            crops[row], face[row] = empty_crop(example, rng), 0
        else:
            crops[row], points[row] = face_crop(example, mirror, rng)
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float(), torch.from_numpy(points), torch.from_numpy(face)


def loss(net: LandmarkNet, crops: Tensor, points: Tensor, face: Tensor, weight: Tensor) -> tuple[Tensor, float]:
    """Loss, and the mean error as a share of the outer-eye distance."""
    with torch.autocast("cpu", torch.bfloat16):
        features = net.trunk(net.standardise(crops))
    features = features.float()
    said = net.shape(net.coefficients(features)).reshape(len(crops), 478, 2)
    logit = net.certainty(features)[:, 0]
    real = face > 0.5
    eyes = (points[:, LEFT_EYE_OUTER] - points[:, RIGHT_EYE_OUTER]).norm(dim=1)[real].clamp(min=0.15)
    error = ((said - points)[real].square().sum(-1) + 1e-8).sqrt() / eyes[:, None]
    unsure = nn.functional.binary_cross_entropy_with_logits(logit, face)
    return (error * weight).mean() + 0.05 * unsure, float(error.mean().detach())


def export(net: nn.Module, name: str, inputs: Tensor, outputs: list[str], trained_by: str) -> None:
    """Writes models/weights/`name` (any batch size) and its entry in the manifest."""
    file = weights.WEIGHTS_DIR / name
    torch.onnx.export(
        net.eval(), (inputs,), str(file), input_names=["pictures"], output_names=outputs, dynamo=False,
        opset_version=17, dynamic_axes={key: {0: "batch"} for key in ("pictures", *outputs)},
    )  # fmt: skip
    weights.add(name, "MIT; distilled from MediaPipe Face Landmarker (Apache-2.0)", trained_by)


def moving_average(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
    """Over about the last 200 steps, fewer at first, so that the start is forgotten."""
    return averaged + (current - averaged) * max(0.005, 1 / (1 + float(steps) / 8))


def train(
    net: LandmarkNet,
    examples: list[Example],
    mirror: NDArray,
    hard: list[tuple[Example, Region]],
    minutes: float,
    rate: float,
    out: Path,
) -> None:
    """Trains for a time, not for steps: the machine is shared. Saves the moving average of the weights to `out`."""
    average = torch.optim.swa_utils.AveragedModel(net, avg_fn=moving_average)
    basis = [net.shape.weight, net.shape.bias]
    others = [p for p in net.parameters() if all(p is not b for b in basis)]
    optimiser = torch.optim.AdamW([{"params": others, "rate": rate}, {"params": basis, "rate": rate / 20}], rate)
    rng, weight, start, step, seen = np.random.default_rng(time.time_ns()), point_weights(), time.monotonic(), 0, []
    while (share := (time.monotonic() - start) / (minutes * 60)) < 1:
        scale = min(1, (step + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * scale
        total, error = loss(net, *batch(examples, mirror, hard, 32, rng), weight)
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        average.update_parameters(net)
        step += 1
        seen.append(error)
        if step % 200 == 0:
            print(f"{step:6d} {share:5.2f} error {np.mean(seen[-200:]):.4f} loss {total.item():.4f}", flush=True)
            save(net, average, out)
    save(net, average, out)


def save(net: nn.Module, average: torch.optim.swa_utils.AveragedModel, out: Path) -> None:
    """The averaged weights with the current running statistics of the normalisation (their average lags)."""
    state = {name: value.clone() for name, value in average.module.state_dict().items()}
    state |= {name: value for name, value in net.state_dict().items() if "running" in name}
    torch.save(state, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path, help="go on from this checkpoint, now also with mistakes of the detector")
    parser.add_argument("--checkpoint", type=Path, default=Path(".cache/landmarks/landmarks.pt"))
    parser.add_argument("--export-only", action="store_true", help="write the ONNX file of --start")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.export_only:
        mean, basis = np.zeros(956, np.float32), np.zeros((COMPONENTS, 956), np.float32)
    else:
        examples, mirror = load_examples(options.data, read_labels(options.labels))
        training = [e for e in examples if not e.held_out]
        print(f"{len(training)} pictures to train on, {len(examples) - len(training)} held out", flush=True)
        mean, basis = point_distribution(training, np.random.default_rng(0))
    net = LandmarkNet(mean, basis).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if options.start:
        net.load_state_dict(torch.load(options.start))
    if not options.export_only:
        hard = mistakes(training[::8], np.random.default_rng(1)) if options.start else []
        print(f"{len(hard)} mistakes of the detector to learn from", flush=True)
        train(net, training, mirror, hard, options.minutes, options.rate, options.checkpoint)
        net.load_state_dict(torch.load(options.checkpoint))
    command = "python -m models.training.landmarks --data DIR --labels LABELS"
    export(net, "landmarks.onnx", torch.zeros(1, 3, CROP_SIDE, CROP_SIDE), ["points", "logit"], command)


if __name__ == "__main__":
    main()
