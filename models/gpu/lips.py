"""Where the lips are: closings, inner edges, and how much of each pixel an outline covers.
Tensor arithmetic for a batch, after `Opening` and `compositor.polygon_alpha`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from models.compositor import SUPERSAMPLING
from models.gpu.layout import SHAPES, Numbers
from models.mouth import FULLY_ROUND, ROUNDING
from models.opening import ALWAYS_ROUND, MOUTH_CLOSE, SEALED

CROSSINGS = 4
"""Most times that a column of pixels meets an outline."""

RIM_PX = 0.5 / SUPERSAMPLING
"""How far beyond an outline OpenCV fills it: half of one of its fine pixels."""

BLUR_TAPS = 17
"""Taps of the softest edge's filter."""


def with_closings(shapes: Tensor, own: Numbers[Tensor]) -> Tensor:
    """(B, W) the weights (B, 52) and the closings that leave the gap which `mouthClose` and rounding ask for."""
    gap = own.gap + torch.einsum("bs,bsn->bn", shapes, own.gaps[:, :SHAPES])
    round_ = torch.stack([shapes[:, k : k + 1] for k in ROUNDING]).sum(0)
    rounding = (ALWAYS_ROUND + (1 - ALWAYS_ROUND) / FULLY_ROUND * round_).clamp(0, 1)
    arched = torch.maximum(gap, gap.amax(1, keepdim=True) * own.ellipse)
    close = shapes[:, MOUTH_CLOSE : MOUTH_CLOSE + 1]
    wanted = (gap + rounding * (arched - gap)).clamp(min=0) * (1 - close / SEALED).clamp(min=0)
    wanted = wanted - own.pressed_px * ((close - SEALED) / (1 - SEALED)).clamp(min=0)
    return torch.cat([shapes, torch.einsum("bn,bnc->bc", gap - wanted, own.close)], 1)


def edges(weights: Tensor, own: Numbers[Tensor]) -> tuple[Tensor, Tensor]:
    """Inner edges (B, n, 2) px of the upper and of the lower lip at `weights` (B, W), before the head turns."""
    upper, lower = (own.lip_lines + torch.einsum("bw,bwlnk->blnk", weights, own.lip_contours)).unbind(1)
    return upper, lower


def along_down(points: Tensor, own: Numbers[Tensor]) -> Tensor:
    """(B, n) how far points (B, n, 2) lie down the face."""
    return (points * own.lip_down[:, None]).sum(2)


def coverage(outline: Tensor, shape: tuple[int, int], soft_px: Tensor) -> Tensor:
    """(B, h, w) 0..1, how much of each pixel lies inside the outline (B, n, 2) px, its edges `soft_px` (B, 1) soft.

    Each column of fine pixels is filled between its first and second crossing with the outline, and so on, exactly in
    its own direction.
    """
    height, width = shape
    columns = torch.arange(width * SUPERSAMPLING, dtype=torch.float32, device=outline.device)
    at = ((columns + 0.5) / SUPERSAMPLING - 0.5)[None, :, None]
    x0, y0 = (outline[:, None, :, k] for k in (0, 1))
    x1, y1 = (outline.roll(-1, 1)[:, None, :, k] for k in (0, 1))
    meets = (x0 <= at) != (x1 <= at)
    across = torch.where(meets, x1 - x0, 1.0)
    crossing = torch.where(meets, y0 + (at - x0) / across * (y1 - y0), math.inf)
    crossing = crossing.sort(2).values[..., :CROSSINGS]
    rows = torch.arange(height, dtype=torch.float32, device=outline.device)[:, None]
    filled = torch.zeros((len(outline), height, len(columns)), device=outline.device)
    for first in range(0, CROSSINGS, 2):
        top, bottom = (crossing[:, None, :, first + k] for k in (0, 1))
        filled = filled + (torch.minimum(rows + 0.5, bottom + RIM_PX) - torch.maximum(rows - 0.5, top - RIM_PX)).clamp(
            0, 1
        )
    alpha = filled.clamp(max=1).unflatten(2, (width, SUPERSAMPLING)).mean(3)
    return _blurred(alpha, soft_px)


def _blurred(alpha: Tensor, sigma: Tensor) -> Tensor:
    """(B, h, w) blurred by a Gaussian of `sigma` (B, 1) px, as far as OpenCV takes it for 8-bit pictures."""
    half = BLUR_TAPS // 2
    at = torch.arange(-half, half + 1, dtype=torch.float32, device=alpha.device)
    reach = ((6 * sigma + 1).round() / 2).floor()
    taps = torch.exp(-0.5 * (at / sigma) ** 2) * (at.abs() <= reach)
    taps = (taps / taps.sum(1, keepdim=True))[:, None, None]
    for pad in ((half, half, 0, 0), (0, 0, half, half)):
        wide = F.pad(alpha[:, None], pad, "reflect")[:, 0]
        alpha = (wide.unfold(2 if pad[0] else 1, BLUR_TAPS, 1) * taps).sum(3)
    return alpha
