"""A trial refiner of the mouth: a small U-Net that looks at the drawn mouth and says what a photo would show instead.

    python -m models.training.refiner_data --data DIR
    python -m models.training.refiner [--steps 3000] [--resume] [--sheet FILE]

Reads the pairs, writes a checkpoint, prints figures on people kept back beside those of the drawn mouth alone. Guided
by three pictures (drawn open, at rest, where it is open), it answers a residual and how much of it to take, within a
soft window; it keeps nothing between frames. `docs/faces.md` says what it reached and why the product runs without it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.training.loop import Plan, train
from models.training.refiner_data import CROP_PX, held_out

CACHE = Path(".cache/refiner")
WIDTHS = (12, 24, 40, 64)
PEAK_RATE = 1.5e-3
MOUTH_WEIGHT, EDGE_WEIGHT = 4.0, 1.0
MOST_RESIDUAL = 0.6
WINDOW_PX = 16
"""Over so many pixels from the border of the crop the refiner fades out."""


class Refiner(nn.Module):
    """guide, rest (B, 3, 128, 128) in 0..1 and opening (B, 1, 128, 128) -> refined picture (B, 3, 128, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.start = _block(7, WIDTHS[0])
        self.down = nn.ModuleList([_block(a, b, stride=2) for a, b in pairwise(WIDTHS)])
        self.up = nn.ModuleList([_block(a + b, b) for a, b in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)])
        self.answer = nn.Conv2d(WIDTHS[0], 4, 3, padding=1)
        for parameter in self.answer.parameters():
            nn.init.zeros_(parameter)  # the drawn picture, until something is learned
        self.register_buffer("window", window())

    def forward(self, guide: Tensor, rest: Tensor, opening: Tensor) -> Tensor:
        x = self.start(torch.cat((guide, rest, opening), 1) - 0.5)
        kept = [x]
        for block in self.down:
            x = block(x)
            kept.append(x)
        for block, before in zip(self.up, kept[-2::-1], strict=True):
            x = block(torch.cat((functional.interpolate(x, scale_factor=2.0), before), 1))
        residual, share = self.answer(x).split((3, 1), 1)
        return (guide + MOST_RESIDUAL * residual.tanh() * share.sigmoid() * self.window).clamp(0, 1)


def _block(inside: int, out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inside, out, 3, stride, 1), nn.LeakyReLU(0.1), nn.Conv2d(out, out, 3, 1, 1), nn.LeakyReLU(0.1)
    )


def window() -> Tensor:
    """(1, 1, 128, 128): 0 at the border of the crop, 1 from `WINDOW_PX` inwards."""
    at = torch.arange(CROP_PX, dtype=torch.float32)
    edge = (torch.minimum(at, CROP_PX - 1 - at) / WINDOW_PX).clamp(0, 1)
    edge = edge * edge * (3 - 2 * edge)
    return (edge[:, None] * edge)[None, None]


def edges(picture: Tensor) -> tuple[Tensor, Tensor]:
    return picture.diff(dim=3), picture.diff(dim=2)


def loss_of(refined: Tensor, truth: Tensor, opening: Tensor) -> Tensor:
    """L1 of colours and of their gradients at three scales, the mouth counted more."""
    weight = 1 + MOUTH_WEIGHT * functional.max_pool2d(opening, 9, 1, 4)
    loss = ((refined - truth).abs() * weight).mean()
    for _ in range(3):
        for ours, theirs in zip(edges(refined), edges(truth), strict=True):
            loss = loss + EDGE_WEIGHT * (ours - theirs).abs().mean()
        refined, truth = functional.avg_pool2d(refined, 2), functional.avg_pool2d(truth, 2)
    return loss


class Pairs:
    """All pairs of one side of the split, as tensors in 0..1."""

    def __init__(self, file: Path, kept_back: bool) -> None:
        with np.load(file) as saved:
            chosen = np.array([held_out(str(person)) == kept_back for person in saved["person"]])
            self.guide, self.rest, self.truth = (_tensor(saved[name][chosen]) for name in ("guide", "rest", "truth"))
            self.opening = torch.from_numpy(saved["opening"][chosen])[:, None].float() / 255

    def __len__(self) -> int:
        return len(self.guide)

    def drawn(self, random: np.random.Generator, rows: int) -> Sequence[Tensor]:
        """A random batch, mirrored, lit and coloured anew."""
        at = torch.from_numpy(random.integers(0, len(self), rows))
        batch = [part[at] for part in (self.guide, self.rest, self.truth, self.opening)]
        mirrored = torch.from_numpy(random.random(rows) < 0.5)[:, None, None, None]
        batch = [torch.where(mirrored, part.flip(3), part) for part in batch]
        light = torch.from_numpy(
            random.uniform(0.75, 1.25, (rows, 1, 1, 1)) * random.uniform(0.92, 1.08, (rows, 3, 1, 1))
        )
        return [*((part * light.float()).clamp(0, 1) for part in batch[:3]), batch[3]]


def _tensor(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def figures(shown: Tensor, truth: Tensor, opening: Tensor) -> dict[str, float]:
    """l1: of the mouth and what is near it, in 1/255. gradients: mean similarity of gradient magnitudes at three scales
    (Xue et al. 2014). sharpness: Laplacian variance there over the photo's. seam: gradient on the window's rim, as a
    multiple of the photo's, over the same just inside."""
    near = (functional.max_pool2d(opening, 17, 1, 8) > 0.5).float()
    l1 = ((shown - truth).abs() * near).sum() / (3 * near.sum()) * 255
    similar = []
    ours, theirs, where = shown.mean(1, keepdim=True), truth.mean(1, keepdim=True), near
    for _ in range(3):
        a, b = (torch.hypot(p.diff(dim=3)[:, :, :-1], p.diff(dim=2)[..., :-1]) for p in (ours, theirs))
        alike = (2 * a * b + 1e-3) / (a**2 + b**2 + 1e-3)
        similar.append(((alike * where[..., :-1, :-1]).sum() / where[..., :-1, :-1].sum()).item())
        ours, theirs, where = (functional.avg_pool2d(p, 2) for p in (ours, theirs, where))
    ratios = [_laplacian(s, n) / _laplacian(t, n) for s, t, n in zip(shown, truth, near, strict=True)]
    rim, inside = ((window() > a) & (window() < b) for a, b in ((0.01, 0.4), (0.4, 0.99)))
    gradient = torch.hypot(shown.diff(dim=3)[:, :, :-1], shown.diff(dim=2)[..., :-1]).mean(1, keepdim=True)
    reference = torch.hypot(truth.diff(dim=3)[:, :, :-1], truth.diff(dim=2)[..., :-1]).mean(1, keepdim=True)
    seam = [
        (gradient * m[..., :-1, :-1]).sum().item() / (reference * m[..., :-1, :-1]).sum().item() for m in (rim, inside)
    ]
    return {
        "l1": l1.item(),
        "gradients": float(np.mean(similar)),
        "sharpness": float(np.median(ratios)),
        "seam": seam[0] / seam[1],
    }


def _laplacian(picture: Tensor, near: Tensor) -> float:
    grey = np.asarray((picture.mean(0) * 255).numpy(), np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[near[0].numpy() > 0].var()) + 1e-3


def refined(network: nn.Module, pairs: Pairs) -> Tensor:
    with torch.no_grad():
        parts = [
            network(pairs.guide[k : k + 16], pairs.rest[k : k + 16], pairs.opening[k : k + 16])
            for k in range(0, len(pairs), 16)
        ]
    return torch.cat(parts)


def told(shown: Tensor, pairs: Pairs) -> str:
    return " ".join(f"{k} {v:.3f}" for k, v in figures(shown, pairs.truth, pairs.opening).items())


def sheet(network: nn.Module, pairs: Pairs, file: Path, most: int = 24) -> None:
    """Photo, drawn, refined, beside each other."""
    rows = [torch.cat(row, 2) for row in zip(pairs.truth[:most], pairs.guide, refined(network, pairs), strict=False)]
    tall = (torch.cat(rows, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    half = len(rows) // 2 * CROP_PX
    cv2.imwrite(str(file), np.hstack([tall[:half], tall[half : 2 * half]]))


def milliseconds(network: nn.Module, pairs: Pairs) -> float:
    took = []
    for _ in range(30):
        started = time.perf_counter()
        with torch.no_grad():
            network(pairs.guide[:1], pairs.rest[:1], pairs.opening[:1])
        took.append(1000 * (time.perf_counter() - started))
    return float(np.median(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--sheet", type=Path, help="write photo, drawn and refined mouths of people kept back here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    random, network = np.random.default_rng(options.seed), Refiner()
    learn, judge = (Pairs(options.cache / "pairs.npz", kept_back) for kept_back in (False, True))
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    print(f"{len(learn)} pairs to learn from, {len(judge)} kept back; {parameters:.2f} M parameters", flush=True)
    print(f"drawn: {told(judge.guide, judge)}", flush=True)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        guide, rest, truth, opening = learn.drawn(random, options.rows)
        return loss_of(network(guide, rest, opening), truth, opening), {}

    plan = Plan(options.steps, PEAK_RATE, options.cache / "refiner.pt", options.resume)
    average = train(network, loss_at, plan, lambda best: told(refined(best.eval(), judge), judge)).eval()
    print(f"refined: {told(refined(average, judge), judge)}; {milliseconds(average, judge):.1f} ms a mouth")
    if options.sheet:
        sheet(average, judge, options.sheet)


if __name__ == "__main__":
    main()
