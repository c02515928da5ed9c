"""The network of the phoneme encoder.

Touches nothing. The trunk is causal: convolutions at 100 frames a second, folded to one step a 40
ms chunk, then dilated convolutions and two GRUs. For each look-ahead one head reads the trunk's state now and what
the trunk said that many chunks ago, and names the four frames of that earlier chunk; so every look-ahead comes from
one pass. All that a session must remember is one row `memory`, which goes in and comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models import mel
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, look_ahead_chunks
from models.training import quick_gru
from models.visemes import ARTICULATION, PHONEMES, VISEMES

VOICE = ("voicing", "pitch")
"""What the head of the present chunk says: a logit, and octaves above `PITCH_ZERO_HZ`."""

PITCH_ZERO_HZ = 100.0
DROPOUT = 0.1
WIDTHS = (len(VISEMES), len(PHONEMES), len(ARTICULATION))
DELAYS = tuple(look_ahead_chunks(ms) for ms in LOOK_AHEADS_MS)


class CausalBlock(nn.Module):
    """Depthwise separable convolution with a residual; remembers `(kernel - 1) * dilation` steps."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.history = (kernel - 1) * dilation
        self.along = nn.Conv1d(width, width, kernel, dilation=dilation, groups=width)
        self.across = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        whole = torch.cat((past, x), 1)
        y = self.along(self.norm(whole).transpose(1, 2)).transpose(1, 2)
        return x + self.across(torch.relu(y)), whole[:, -self.history :]


class PhonemeNetwork(nn.Module):
    def __init__(self, front: int = 96, width: int = 384, head: int = 208, recent: int = 112) -> None:
        super().__init__()
        self.first = nn.Conv1d(mel.BANDS, front, 5)
        self.fine = CausalBlock(front, 5, 1)
        self.fold = nn.Linear(front * MEL_FRAMES, width)
        blocks = [CausalBlock(width, 3, 1), CausalBlock(width, 3, 2)]
        self.blocks = nn.ModuleList(blocks)
        self.grus = nn.ModuleList([nn.GRU(width, width, batch_first=True) for _ in range(2)])
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(DROPOUT)
        self.voice = nn.Linear(width, MEL_FRAMES * len(VOICE))
        self.recent = nn.Linear(width, recent)
        self.hidden = nn.ModuleList([nn.Linear(width + recent, head) for _ in DELAYS])
        self.heads = nn.ModuleList([nn.Linear(head, MEL_FRAMES * sum(WIDTHS)) for _ in DELAYS])
        self.memory_shapes: list[tuple[int, int]] = [
            (4, mel.BANDS),
            (self.fine.history, front),
            *[(block.history, width) for block in blocks],
            *[(1, width) for _ in self.grus],
            (max(DELAYS), recent),
        ]
        self.memory_size = sum(steps * wide for steps, wide in self.memory_shapes)

    def forward(
        self, features: Tensor, memory: Tensor, delays: Sequence[int] = DELAYS
    ) -> tuple[Tensor, Tensor, Tensor]:
        """features (B, 4n, 80), memory (B, S) -> logits (B, n, delays, 4, 15 + P + A), voice (B, n, 4, 2),
        new memory. `delays` (chunks, of `DELAYS`) says which heads are asked."""
        sizes = [steps * wide for steps, wide in self.memory_shapes]
        pasts = [m.unflatten(1, s) for m, s in zip(memory.split(sizes, 1), self.memory_shapes, strict=True)]
        kept = []
        whole = torch.cat((pasts[0], features), 1)
        kept.append(whole[:, -4:])
        x = torch.relu(self.first(whole.transpose(1, 2)).transpose(1, 2))
        x, past = self.fine(x, pasts[1])
        kept.append(past)
        x = self.drop(torch.relu(self.fold(x.unflatten(1, (-1, MEL_FRAMES)).flatten(2))))
        for block, past in zip(self.blocks, pasts[2:4], strict=True):
            x, past = block(x, past)
            kept.append(past)
        for gru, past in zip(self.grus, pasts[4:6], strict=True):
            past = past.transpose(0, 1).contiguous()
            y, past = quick_gru.run(gru, x, past) if self.training else gru(x, past)
            x = x + self.drop(y)
            kept.append(past.transpose(0, 1))
        x = self.norm(x)
        recent = torch.cat((pasts[6], self.recent(x)), 1)
        kept.append(recent[:, -max(DELAYS) :])
        answers = []
        for delay in delays:
            hidden, head = self.hidden[DELAYS.index(delay)], self.heads[DELAYS.index(delay)]
            first = max(DELAYS) - delay
            then = recent[:, first : first + x.shape[1]]
            answers.append(head(torch.relu(hidden(torch.cat((x, then), 2)))))
        logits = torch.stack(answers, 2).unflatten(3, (MEL_FRAMES, sum(WIDTHS)))
        voice = self.voice(x).unflatten(2, (MEL_FRAMES, len(VOICE)))
        return logits, voice, torch.cat([k.flatten(1) for k in kept], 1)
