"""Resampling on the device: 8-bit textures, float fields, lines, polygons' coverage and small filters.
Pure tensor arithmetic with fixed shapes, no answer is waited for: fit to be captured in a CUDA graph.
Rows of a batch are faces. Positions are (x, y); coordinates beyond a picture or field take the value of its edge.

A texel is 4 bytes (blue, green, red, alpha) in one int32, so that a corner of a bilinear sample is one load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def unpacked(texels: Tensor) -> Tensor:
    """(...) int32 texels to (..., 4) float32 0..255."""
    return texels.contiguous().view(torch.uint8).view(*texels.shape, 4).float()


def packed(colours: Tensor) -> Tensor:
    """(..., 4) 0..255 to (...) int32 texels, rounded."""
    return (colours + 0.5).to(torch.uint8).contiguous().view(torch.int32).squeeze(-1)


def sample_texture(texels: Tensor, place: Tensor, at: Tensor) -> Tensor:
    """(B, h, w, 4) colours 0..255 of a texture of each row, linearly.

    texels: (T,) int32 heap. place: (B, 3) int32, the first texel, width and height (at least 2) of each row's texture.
    at: (B, h, w, 2) px of it.
    """
    first, width, height = place.view(-1, 3, 1, 1).unbind(1)
    x = torch.minimum(at[..., 0].clamp(min=0), width - 1.0)
    y = torch.minimum(at[..., 1].clamp(min=0), height - 1.0)
    column, row = torch.minimum(x.int(), width - 2), torch.minimum(y.int(), height - 2)
    x, y = (x - column)[..., None], (y - row)[..., None]
    corner = torch.addcmul(column, row, width).add_(first)
    left = torch.stack([corner, corner + width])
    corners = torch.stack([left, left + 1])
    colours = unpacked(texels.index_select(0, corners.view(-1)).view(corners.shape))
    above, below = torch.lerp(colours[0], colours[1], x)
    return torch.lerp(above, below, y)


def sample_field(field: Tensor, at: Tensor) -> Tensor:
    """(B, h, w, C) values of `field` (B, C, rows, columns) at `at` (B, h, w, 2), counted in its columns and rows."""
    rows, columns = field.shape[2:]
    normal = torch.stack([at[..., 0] * (2 / (columns - 1)) - 1, at[..., 1] * (2 / (rows - 1)) - 1], -1)
    found = F.grid_sample(field, normal, "bilinear", "border", align_corners=True)
    return found.permute(0, 2, 3, 1)


def sample_line(line: Tensor, at: Tensor) -> Tensor:
    """(B, k) values of `line` (B, n), linearly, at positions `at` (B, k) counted in its elements."""
    at = at.clamp(0, line.shape[1] - 1)
    first = at.long().clamp(max=line.shape[1] - 2)
    return torch.lerp(line.gather(1, first), line.gather(1, first + 1), at - first)


def interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`numpy.interp` for every row: values at `at` (B, k) of the lines through (x, y), both (B, n), x in any order."""
    x, order = x.sort(dim=1)
    y = y.gather(1, order)
    first = (torch.searchsorted(x, at.contiguous(), right=True) - 1).clamp(0, x.shape[1] - 2)
    x0, x1 = x.gather(1, first), x.gather(1, first + 1)
    share = ((at - x0) / (x1 - x0).clamp(min=1e-6)).clamp(0, 1)
    return torch.lerp(y.gather(1, first), y.gather(1, first + 1), share)


def enlarged(field: Tensor, step: int) -> Tensor:
    """Node values (B, C, rows, columns) to pixel values, `step` pixels to a node."""
    return F.interpolate(field, scale_factor=step, mode="bilinear", align_corners=False)


def filtered(picture: Tensor, taps: Sequence[float], before: int, dim: int) -> Tensor:
    """Correlation with `taps` along one of the last two axes of (B, C, h, w), the edges held; `before`: taps before."""
    after = len(taps) - 1 - before
    pad = (before, after, 0, 0) if dim in (-1, 3) else (0, 0, before, after)
    wide, size = F.pad(picture, pad, "replicate"), picture.shape[dim]
    out = wide.narrow(dim, 0, size) * taps[0]
    for k, tap in enumerate(taps[1:], 1):
        out = torch.add(out, wide.narrow(dim, k, size), alpha=tap)
    return out


def window(origin: Tensor, shape: tuple[int, int], side: int) -> Tensor:
    """(B, h, w) int64, for each row the places of a window of `shape` in a heap of pictures (B, side, side).

    origin: (B, 2) int64, the window's corner (x, y); the window lies wholly inside.
    """
    rows, columns = (torch.arange(n, device=origin.device) for n in shape)
    batch = torch.arange(len(origin), device=origin.device).view(-1, 1, 1)
    y, x = origin[:, 1].view(-1, 1, 1) + rows[:, None], origin[:, 0].view(-1, 1, 1) + columns
    return (batch * side + y) * side + x


class Window:
    """A part of each row's frame: corner (B, 2) and px (B, h, w, 2), where it and its pixels lie."""

    def __init__(self, origin: Tensor, shape: tuple[int, int], side: int) -> None:
        """origin: (B, 2) int64; the window lies wholly inside a frame of `side` px."""
        places = window(origin, shape, side)
        self._shape, self._places = places.shape, places.view(-1)
        self.corner = origin.float()
        self.px = grid(shape, origin.device) + self.corner[:, None, None]

    @staticmethod
    def around(middle: Tensor, shape: tuple[int, int], side: int) -> Window:
        """About `middle` (B, 2) px, as far as the frame goes."""
        x, y = middle.round().long().unbind(1)
        x, y = (x - shape[1] // 2).clamp(0, side - shape[1]), (y - shape[0] // 2).clamp(0, side - shape[0])
        return Window(torch.stack([x, y], 1), shape, side)

    def read(self, values: Tensor) -> Tensor:
        """(B, h, w, C) of values (B * S * S, C)."""
        return values.index_select(0, self._places).view(*self._shape, -1)

    def colours(self, frame: Tensor) -> Tensor:
        """(B, h, w, 4) 0..255 of a frame (B * S * S,) of texels."""
        return unpacked(frame.index_select(0, self._places)).view(*self._shape, 4)

    def draw(self, frame: Tensor, colours: Tensor) -> None:
        """Puts colours (B, h, w, 4) into the frame."""
        frame.index_copy_(0, self._places, packed(colours).view(-1))


def grid(shape: tuple[int, int], device: torch.device) -> Tensor:
    """(h, w, 2) x and y of each pixel."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32, device=device) for n in shape), indexing="ij")
    return torch.stack([x, y], -1)


def smoothstep(x: Tensor) -> Tensor:
    """As `models.curves.smoothstep`."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
