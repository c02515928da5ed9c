"""Trains the phoneme encoder on cached features and writes its weights.

    python -m models.training.features --data DIR --renderings 0 1 2          (once; makes .cache/phonemes)
    python -m models.training.phonemes --steps 12000 [--resume] [--export models/weights/phonemes.onnx]

Reads and writes the cache folder; a checkpoint every few hundred steps makes it resumable. New renderings that appear
beside the ones at hand are taken in at the next start.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.training.batches import Batch, Sampler
from models.training.features import CACHE, Shard
from models.training.phoneme_network import DELAYS, WIDTHS, PhonemeNetwork, export
from models.visemes import VISEME_INDEX, VISEMES

PEAK_RATE, WARM_UP, DECAY, AVERAGING = 1.5e-3, 100, 0.01, 0.99


def loss_of(network: PhonemeNetwork, batch: Batch, weight: Tensor) -> tuple[Tensor, list[float]]:
    """Mean loss over the look-aheads, and the viseme accuracy of each."""
    features = torch.from_numpy(batch.features)
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = network(features, torch.zeros(len(features), network.memory_size))
    logits = logits.float()
    chunked = [torch.from_numpy(a).unflatten(1, (-1, 4)) for a in (batch.viseme, batch.phoneme, batch.articulation)]
    losses, hits = [], []
    for i, delay in enumerate(DELAYS):
        viseme, phoneme, articulation = logits[:, delay:, i].split(WIDTHS, 3)
        true = [t[:, : t.shape[1] - delay] for t in chunked]
        known = true[0] >= 0
        losses.append(
            functional.cross_entropy(viseme.flatten(0, 2), true[0].flatten(), weight)
            + 0.5 * functional.cross_entropy(phoneme.flatten(0, 2), true[1].flatten())
            + 2.0 * functional.mse_loss(articulation.sigmoid()[known], true[2][known])
        )
        hits.append((viseme.argmax(3) == true[0])[known].float().mean().item())
    return torch.stack(losses).mean(), hits


def rate_at(step: int, steps: int, peak: float) -> float:
    if step < WARM_UP:
        return peak * (step + 1) / WARM_UP
    return peak * 0.5 * (1.01 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP)))


def viseme_weights() -> Tensor:
    """Lips that fail to close are what people see first: PP and FF count more."""
    weight = torch.ones(len(VISEMES))
    weight[VISEME_INDEX["PP"]], weight[VISEME_INDEX["FF"]] = 1.5, 1.7
    return weight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--frames", type=int, default=640)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peak-rate", type=float, default=PEAK_RATE)
    parser.add_argument("--name", default="run", help="names the checkpoint")
    parser.add_argument("--start-from", type=Path, help="a checkpoint whose weights to begin with")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export", type=Path)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = PhonemeNetwork()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.peak_rate, weight_decay=DECAY)
    checkpoint, step = options.cache / f"{options.name}.pt", 0
    if options.resume and checkpoint.exists():
        saved = torch.load(checkpoint)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step = saved["step"]
    elif options.start_from:
        network.load_state_dict(torch.load(options.start_from)["network"])
        average.module.load_state_dict(network.state_dict())
    shards = [Shard.load(f.parent) for f in sorted(options.cache.glob("*/spans.json"))]
    sampler = Sampler(shards, options.rows, options.frames, options.seed * 1_000_003 + step)
    weight = viseme_weights()
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters, {len(shards)} shards", flush=True)

    def save() -> None:
        state = {
            "step": step,
            "network": network.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        torch.save(state, checkpoint.with_suffix(".new"))
        checkpoint.with_suffix(".new").replace(checkpoint)

    began, seen, total, accuracy = time.monotonic(), 0, 0.0, torch.zeros(len(DELAYS))
    while step < options.steps:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, options.steps, options.peak_rate)
        loss, hits = loss_of(network, sampler.draw(), weight)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(network)
        step, seen, total, accuracy = step + 1, seen + 1, total + loss.item(), accuracy + torch.tensor(hits)
        if step % 50 == 0:
            each_s = (time.monotonic() - began) / seen
            shown = " ".join(f"{a:.3f}" for a in (accuracy / seen).tolist())
            print(f"step {step} loss {total / seen:.3f} visemes {shown} ({each_s:.2f} s a step)", flush=True)
            began, seen, total, accuracy = time.monotonic(), 0, 0.0, torch.zeros(len(DELAYS))
        if step % 100 == 0:
            save()
    save()
    if options.export:
        network.load_state_dict(average.module.state_dict())
        export(network, options.export)


if __name__ == "__main__":
    main()
