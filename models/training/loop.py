"""The training loop of the phoneme networks: warm-up and cosine, clipped gradients, averaged weights, checkpoints.

Reads and writes one checkpoint file, prints progress. What to learn comes in as a function of the network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

WARM_UP, DECAY, AVERAGING = 100, 0.01, 0.995


@dataclass(frozen=True, slots=True)
class Plan:
    """steps in all; peak_rate of AdamW, from which the cosine falls to almost nothing; report_every steps."""

    steps: int
    peak_rate: float
    checkpoint: Path
    resume: bool = False
    report_every: int = 100


def rate_at(step: int, steps: int, peak: float) -> float:
    if step < WARM_UP:
        return peak * (step + 1) / WARM_UP
    return peak * 0.5 * (1.005 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP)))


def steps_done(plan: Plan) -> int:
    """Where a training that is resumed goes on."""
    return torch.load(plan.checkpoint)["step"] if plan.resume and plan.checkpoint.exists() else 0


def train(
    network: nn.Module,
    loss_at: Callable[[int], tuple[Tensor, dict[str, float]]],
    plan: Plan,
    judge: Callable[[nn.Module], str],
) -> nn.Module:
    """Trains `network` in place; answers the average of its weights.

    `loss_at(step)` draws what is learned at a step and answers the loss and figures to print; `judge` looks at the
    averaged network now and then and says how good it is.
    """
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.peak_rate, weight_decay=DECAY, fused=True)
    step = 0
    if plan.resume and plan.checkpoint.exists():
        saved = torch.load(plan.checkpoint)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step = saved["step"]
    began, seen, sums = time.monotonic(), 0, dict[str, float]()
    while step < plan.steps:
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, plan.steps, plan.peak_rate)
        loss, figures = loss_at(step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(network)
        step, seen = step + 1, seen + 1
        for name, value in (figures | {"loss": loss.item()}).items():
            sums[name] = sums.get(name, 0.0) + value
        if step % plan.report_every == 0 or step == plan.steps:
            shown = " ".join(f"{name} {value / seen:.3f}" for name, value in sums.items())
            each_s = (time.monotonic() - began) / seen
            judged = judge(average.module) if step % (5 * plan.report_every) == 0 or step == plan.steps else ""
            print(f"step {step} {shown} ({each_s:.2f} s a step) {judged}", flush=True)
            _save(plan.checkpoint, step, network, average, optimiser)
            began, seen, sums = time.monotonic(), 0, {}
    return average.module


def _save(file: Path, step: int, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    state = {"step": step, "network": network.state_dict(), "average": average.state_dict(),
             "optimiser": optimiser.state_dict()}  # fmt: skip
    torch.save(state, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)
