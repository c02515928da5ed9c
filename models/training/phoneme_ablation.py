"""What pays: a small phoneme encoder, trained briefly from nothing, with one thing left out at a time.

    python -m models.training.phoneme_ablation --data DIR [--steps 400]

Reads the cache; writes nothing. Judged at 80 ms on the dev voices, clean and with 10 dB of noise, and on made voices
that no training heard. Short runs of a small network: they rank what helps early, no more.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.training import augment, batches, corpus, engines, espeak, features
from models.training.features import CACHE, Shard
from models.training.loop import Plan, train
from models.training.phoneme_network import PhonemeNetwork
from models.training.phonemes import MAIN_DELAY, OTHER_DELAYS, hear, loss_of, shards_of, viseme_weights
from models.visemes import PHONEME_VISEME, PHONEMES

ONE_VOICE = ("ljspeech", "grid_s1", "wakewords")


def without(shards: Sequence[Shard], *groups: str, made: bool = True) -> list[Shard]:
    """The shards without some sets of people, or without made voices."""
    kept = []
    for shard in shards:
        spans = {
            name: spans
            for name, spans in shard.spans.items()
            if name not in groups and (made or name in batches.SHARES)
        }
        kept += [replace(shard, spans=spans)] if spans else []
    return kept


def variants(cache: Path) -> dict[str, tuple[list[Shard], float]]:
    """Shards, and the share of rows in a quiet room, of every training."""
    taught = shards_of(cache)
    clean = Shard.load(cache / "real-0")
    aligned = [clean if s is taught[0] else s.labelled_as(clean) if "so762" in s.spans else s for s in taught]
    plain, people = batches.PLAIN, tuple(name for name in batches.SHARES if name != "nonspeech")
    many = tuple(name for name in people if name not in ONE_VOICE)
    return {
        "everything": (taught, plain),
        "the aligner's own labels": (aligned, plain),
        "no made voices": (without(taught, made=False), plain),
        "no renderings of people": ([s for s in taught if s is taught[0] or "so762" not in s.spans], plain),
        "always a quiet room": (taught, 1.0),
        "never a quiet room": (taught, 0.0),
        "two readers for many people": (without(taught, *many), plain),
        "no people at all": (without(taught, *people), plain),
    }


def juries(data: Path, folder: Path) -> dict[str, Shard]:
    """The dev voices as they are and in noise, and made voices that were kept back."""
    dev = [c for c in corpus.real_clips(data) if c.split == "dev"]
    random = np.random.default_rng(3)

    def noisy():
        for clip in dev:
            sound = augment.noise(corpus.read_sound(clip.path), random, snr_db=10, colour=1.0)
            yield features.rendered(clip.group, sound, clip.segments, None)

    def unheard():
        spoken = [engines.babble(v, 15, random) for v in engines.VOICES if v.name in engines.HELD_OUT_VOICES]
        for sound, segments in (pair for voice in (*spoken, espeak.babble("it", 15, random)) for pair in voice):
            yield features.rendered("made", sound, segments, None)

    for name, pieces in (("dev", features.real(dev, 0)), ("noisy", noisy()), ("unheard", unheard())):
        features.write_shard(folder / name, pieces)
    return {name: Shard.load(folder / name) for name in ("dev", "noisy", "unheard")}


def score(network: nn.Module, jury: Shard) -> float:
    said, _, label, _ = hear(network.eval(), jury)  # type: ignore[arg-type]
    known = label < len(PHONEMES)
    return float(np.mean(said[known, 2].argmax(1) == PHONEME_VISEME[label[known]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        jury = juries(options.data, Path(name))
        for left_out, (shards, plain) in variants(options.cache).items():
            torch.manual_seed(1)
            network = PhonemeNetwork(front=64, width=160, head=96, recent=48)
            sampler = batches.Sampler(shards, rows=32, frames=240, seed=1, plain=plain)

            def loss_at(step: int, network=network, sampler=sampler):
                return loss_of(network, sampler.draw(), viseme_weights(), (MAIN_DELAY, OTHER_DELAYS[step % 3]))

            plan = Plan(options.steps, 4e-3, Path(name) / "small.pt", report_every=options.steps)
            average = train(network, loss_at, plan, lambda _: "")
            scores = " ".join(f"{who} {score(average, part):.3f}" for who, part in jury.items())
            print(f"{left_out}: {scores}", flush=True)


if __name__ == "__main__":
    main()
