"""Trains the phoneme encoder on cached features and writes its weights.

    python -m models.training.features --data DIR --renderings 0 1 2          (once; makes .cache/phonemes)
    python -m models.training.phoneme_teacher --steps 1600                    (once; better labels for the real clips)
    python -m models.training.phonemes --steps 9000 [--resume] [--export models/weights/phonemes.onnx]

Reads and writes the cache folder; checkpoints make it resumable. Every rendering of the real clips is labelled as the
teacher left the plain one. The look-aheads of the dev voices are printed now and then: decisions are taken on those.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models import mel
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, look_ahead_chunks
from models.training.batches import Batch, Sampler
from models.training.features import CACHE, Shard
from models.training.loop import Plan, steps_done, train
from models.training.operating_point import lip_bias
from models.training.phoneme_export import export
from models.training.phoneme_growth import exported_weights, grow
from models.training.phoneme_network import DELAYS, PITCH_ZERO_HZ, WIDTHS, PhonemeNetwork
from models.visemes import PHONEME_VISEME, PHONEMES, VISEME_INDEX, VISEMES

PEAK_RATE = 2e-3
MAIN_DELAY = look_ahead_chunks(80)
OTHER_DELAYS = tuple(delay for delay in DELAYS if delay != MAIN_DELAY)
VISEME_OF = functional.one_hot(torch.from_numpy(PHONEME_VISEME), len(VISEMES)).float()


def loss_of(
    network: PhonemeNetwork, batch: Batch, weight: Tensor, delays: Sequence[int] = DELAYS
) -> tuple[Tensor, dict[str, float]]:
    """Mean loss over the look-aheads `delays` (chunks), and the viseme accuracy at 80 ms."""
    features = torch.from_numpy(batch.features)
    with torch.autocast("cpu", torch.bfloat16):
        logits, voice, _ = network(features, torch.zeros(len(features), network.memory_size), delays)
    logits = logits.float()
    belief, true, articulation = (
        torch.from_numpy(a).unflatten(1, (-1, MEL_FRAMES)) for a in (batch.belief, batch.phoneme, batch.articulation)
    )
    visemes = belief @ VISEME_OF * weight
    losses, figures = [], {}
    for i, delay in enumerate(delays):
        until = true.shape[1] - delay
        viseme, phoneme, posture = logits[:, delay:, i].split(WIDTHS, 3)
        known = true[:, :until] >= 0
        losses.append(
            cross_entropy(viseme, visemes[:, :until])
            + 0.5 * cross_entropy(phoneme, belief[:, :until])
            + 2.0 * functional.mse_loss(posture.sigmoid()[known], articulation[:, :until][known])
        )
        if delay == MAIN_DELAY:
            right = viseme.argmax(3) == torch.from_numpy(PHONEME_VISEME)[true[:, :until].clamp(min=0)]
            figures["@80"] = right[known].float().mean().item()
    pitched, figures["voicing"] = voice_loss(voice.float().flatten(1, 2), torch.from_numpy(batch.pitch))
    return torch.stack(losses).mean() + 0.2 * pitched, figures


def voice_loss(voice: Tensor, pitch_hz: Tensor) -> tuple[Tensor, float]:
    """Loss of the voicing and pitch heads (B, T, 2), and how often voicing is right."""
    voiced = pitch_hz > 0
    octaves = torch.log2(pitch_hz.clamp(min=1) / PITCH_ZERO_HZ)
    loss = functional.binary_cross_entropy_with_logits(voice[..., 0], voiced.float())
    if voiced.any():
        loss = loss + functional.smooth_l1_loss(voice[..., 1][voiced], octaves[voiced], beta=0.1)
    return loss, ((voice[..., 0] > 0) == voiced).float().mean().item()


def cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Of (..., C) logits against (..., C) weights, for each unit of weight."""
    return -(wanted * logits.log_softmax(-1)).sum() / wanted.sum().clamp(min=1.0)


def viseme_weights() -> Tensor:
    """Lips that fail to close are what people see first: PP and FF count more."""
    weight = torch.ones(len(VISEMES))
    weight[VISEME_INDEX["PP"]], weight[VISEME_INDEX["FF"]] = 1.5, 1.7
    return weight


def hear(network: PhonemeNetwork, shard: Shard) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Every clip of a shard by itself: probabilities of visemes as exported (n, delays, 15) and of phonemes
    (n, delays, P), labels (n,), and which frames of the shard they are (n,)."""
    spans = sorted((s for group in shard.spans.values() for s in group), key=lambda s: s[0] - s[1])
    late = max(DELAYS) * MEL_FRAMES
    visemes, phonemes, labels, places = [], [], [], []
    for at in range(0, len(spans), 32):
        batch = spans[at : at + 32]
        longest = -(-(batch[0][1] - batch[0][0]) // MEL_FRAMES) * MEL_FRAMES + late
        spectrum = np.full((len(batch), longest, mel.BANDS), np.log(1e-10), np.float32)
        for row, (first, last) in zip(spectrum, batch, strict=True):
            row[: last - first] = shard.spectrum[first:last]
        features, _ = mel.normalise(spectrum, mel.initial_state(len(batch)).level)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            logits = network(torch.from_numpy(features), torch.zeros(len(batch), network.memory_size))[0].float()
        viseme, phoneme, _ = logits.transpose(2, 3).flatten(1, 2).split(WIDTHS, 3)  # (B, T, delays, ...)
        for number, (first, last) in enumerate(batch):
            cut = [slice(MEL_FRAMES * delay, MEL_FRAMES * delay + last - first) for delay in DELAYS]
            visemes.append(torch.stack([viseme[number, c, i].softmax(1) for i, c in enumerate(cut)], 1).numpy())
            phonemes.append(torch.stack([phoneme[number, c, i].softmax(1) for i, c in enumerate(cut)], 1).numpy())
            labels.append(shard.phoneme[first:last])
            places.append(np.arange(first, last))
    said, sounds = np.concatenate(visemes), np.concatenate(phonemes)
    return 0.5 * (said + sounds @ VISEME_OF.numpy()), sounds, np.concatenate(labels), np.concatenate(places)


def judged(network: PhonemeNetwork, shard: Shard) -> str:
    """Accuracy at each look-ahead, and F1 of PP and FF at 80 ms."""
    said, _, label, _ = hear(network, shard)
    known = label < len(PHONEMES)
    true, best = PHONEME_VISEME[label[known]], said[known].argmax(2)
    figures = [f"{np.mean(best[:, i] == true):.4f}" for i in range(len(DELAYS))]
    for name in ("PP", "FF"):
        heard, is_so = best[:, 2] == VISEME_INDEX[name], true == VISEME_INDEX[name]
        figures.append(f"{name} {2 * np.sum(heard & is_so) / max(1, np.sum(heard) + np.sum(is_so)):.3f}")
    return " ".join(figures)


def shards_of(cache: Path) -> list[Shard]:
    """All training shards; real ones with the teacher's labels if there are any."""
    clean = Shard.load(cache / "real-0")
    if (cache / "real-0/belief.npy").exists():
        clean = clean.taught(cache / "real-0")
    others = [Shard.load(f.parent) for f in sorted(cache.glob("real-[1-9]*/spans.json"))]
    made = [
        Shard.load(f.parent) for name in ("synthetic-*", "noises") for f in sorted(cache.glob(f"{name}/spans.json"))
    ]
    return [clean, *(shard.labelled_as(clean) for shard in others), *made]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peak-rate", type=float, default=PEAK_RATE)
    parser.add_argument("--name", default="run", help="names the checkpoint")
    parser.add_argument("--start-from", type=Path, help="a checkpoint whose averaged weights to begin with")
    parser.add_argument("--grow-from", type=Path, help="an exported network, no wider, to begin with")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = PhonemeNetwork()
    if options.start_from:
        network.load_state_dict(averaged(options.start_from))
    elif options.grow_from:
        grow(exported_weights(options.grow_from), network, options.seed)
    shards, dev = shards_of(options.cache), Shard.load(options.cache / "dev")
    plan = Plan(options.steps, options.peak_rate, options.cache / f"{options.name}.pt", options.resume)
    sampler = Sampler(shards, options.rows, options.frames, options.seed * 1_000_003 + steps_done(plan))
    weight = viseme_weights()
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters, {len(shards)} shards", flush=True)
    average = train(
        network,
        lambda step: loss_of(network, sampler.draw(), weight, (MAIN_DELAY, OTHER_DELAYS[step % 3])),
        plan,
        lambda averaged: judged(averaged.eval(), dev),  # type: ignore[arg-type]
    )
    if options.export:
        said, _, label, _ = hear(average, dev)  # type: ignore[arg-type]
        known = label < len(PHONEMES)
        bias = lip_bias(said[known, LOOK_AHEADS_MS.index(80)], PHONEME_VISEME[label[known]])
        print(f"bias of PP {bias[VISEME_INDEX['PP']]:.1f}, of FF {bias[VISEME_INDEX['FF']]:.1f}")
        export(average, options.export, torch.from_numpy(bias))  # type: ignore[arg-type]


def averaged(checkpoint: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint."""
    saved = torch.load(checkpoint)["average"]
    return {name.removeprefix("module."): value for name, value in saved.items() if name.startswith("module.")}


if __name__ == "__main__":
    main()
