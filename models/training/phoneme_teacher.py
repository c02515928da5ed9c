"""A teacher for the phoneme encoder: it hears all of a clip before and after, so it knows better where sounds begin.

    python -m models.training.phoneme_teacher [--steps 1600] [--beside models/weights/phonemes.onnx]

Trains on the plain training clips of the cache, then moves the boundaries of their labels to where it hears them
(`realign`), and writes beside the shard what it believes at each frame; an earlier encoder beside it has half the say.
It never runs in the product.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models import mel
from models.rates import LOOK_AHEADS_MS
from models.training.batches import Sampler
from models.training.features import CACHE, Shard
from models.training.loop import Plan, steps_done, train
from models.training.phoneme_growth import restored
from models.training.phonemes import hear
from models.training.realign import realign
from models.visemes import PHONEME_VISEME, PHONEMES, VISEMES

FOLD = 4


class Teacher(nn.Module):
    """Convolutions at 100 frames a second, folded by four, two GRUs in both directions; named for every frame again."""

    def __init__(self, front: int = 128, width: int = 384, memory: int = 256, head: int = 320) -> None:
        super().__init__()
        self.first = nn.Conv1d(mel.BANDS, front, 5, padding=2)
        self.second = nn.Conv1d(front, front, 5, padding=2)
        self.fold = nn.Linear(front * FOLD, width)
        self.drop = nn.Dropout(0.1)
        self.both_ways = nn.GRU(width, memory, 2, batch_first=True, bidirectional=True)
        self.hidden = nn.Linear(2 * memory + width, head)
        self.head = nn.Linear(head, FOLD * len(PHONEMES))

    def forward(self, features: Tensor) -> Tensor:
        """features (B, 4n, 80) -> phoneme logits (B, 4n, P)."""
        x = torch.relu(self.second(torch.relu(self.first(features.transpose(1, 2))))).transpose(1, 2)
        x = self.drop(torch.relu(self.fold(x.unflatten(1, (-1, FOLD)).flatten(2))))
        y, _ = self.both_ways(x)
        x = self.head(self.drop(torch.relu(self.hidden(torch.cat((x, y), 2)))))
        return x.unflatten(2, (FOLD, len(PHONEMES))).flatten(1, 2)


def listen(teacher: Teacher, shard: Shard) -> NDArray[np.float32]:
    """(N, P) probabilities of every frame of a shard, clip by clip; zero outside the clips."""
    believed = np.zeros((len(shard.phoneme), len(PHONEMES)), np.float32)
    spans = sorted((s for group in shard.spans.values() for s in group), key=lambda s: s[0] - s[1])
    for at in range(0, len(spans), 32):
        batch = spans[at : at + 32]
        longest = -(-(batch[0][1] - batch[0][0]) // FOLD) * FOLD
        spectrum = np.full((len(batch), longest, mel.BANDS), np.log(1e-10), np.float32)
        for row, (first, last) in zip(spectrum, batch, strict=True):
            row[: last - first] = shard.spectrum[first:last]
        features, _ = mel.normalise(spectrum, mel.initial_state(len(batch)).level)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            answers = teacher(torch.from_numpy(features)).float().softmax(2).numpy()
        for row, (first, last) in zip(answers, batch, strict=True):
            believed[first:last] = row[: last - first]
    return believed


def second_opinion(file: Path, shard: Shard) -> NDArray[np.float32]:
    """(N, P) as `listen`, of an exported encoder at its longest look-ahead."""
    _, sounds, _, places = hear(restored(file), shard)
    believed = np.zeros((len(shard.phoneme), len(PHONEMES)), np.float32)
    believed[places] = sounds[:, LOOK_AHEADS_MS.index(max(LOOK_AHEADS_MS))]
    return believed


def accuracy(believed: NDArray[np.float32], phoneme: NDArray[np.uint8]) -> float:
    """Viseme accuracy of phoneme probabilities on labelled frames."""
    known = phoneme < len(PHONEMES)
    visemes = believed[known] @ np.eye(len(VISEMES), dtype=np.float32)[PHONEME_VISEME]
    return float(np.mean(visemes.argmax(1) == PHONEME_VISEME[phoneme[known]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--frames", type=int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peak-rate", type=float, default=2e-3)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--beside", type=Path, help="an exported encoder whose belief is averaged with the teacher's")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    shard, dev = Shard.load(options.cache / "real-0"), Shard.load(options.cache / "dev")
    plan = Plan(options.steps, options.peak_rate, options.cache / "teacher.pt", options.resume)
    sampler = Sampler([shard], options.rows, options.frames, options.seed * 1_000_003 + steps_done(plan))
    network = Teacher()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        batch = sampler.draw()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(torch.from_numpy(batch.features))
        true = torch.from_numpy(batch.phoneme)
        hits = (logits.argmax(2) == true)[true >= 0].float().mean().item()
        return functional.cross_entropy(logits.float().flatten(0, 1), true.flatten()), {"phonemes": hits}

    def judge(average: nn.Module) -> str:
        average.eval()
        return f"visemes of dev {accuracy(listen(average, dev), dev.phoneme):.4f}"  # type: ignore[arg-type]

    teacher = train(network, loss_at, plan, judge).eval()
    believed = listen(teacher, shard)  # type: ignore[arg-type]
    if options.beside:
        for name, part in (("dev", dev), ("real-0", shard)):
            alone, other = listen(teacher, part), second_opinion(options.beside, part)  # type: ignore[arg-type]
            believed = 0.5 * (alone + other)
            each = (accuracy(b, part.phoneme) for b in (alone, other, believed))
            print(f"visemes of {name}: teacher {next(each):.4f}, encoder {next(each):.4f}, both {next(each):.4f}")
    phoneme, progress = realign(shard, believed)
    folder = options.cache / "real-0"
    np.save(folder / "belief.npy", np.round(believed * 255).astype(np.uint8))
    np.save(folder / "realigned.npy", np.stack((phoneme, progress)))
    moved = np.mean(phoneme != shard.phoneme)
    print(f"{moved:.1%} of the labels changed")


if __name__ == "__main__":
    main()
