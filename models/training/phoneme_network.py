"""The network of the phoneme encoder, and its export to ONNX.

Touches only the file it exports to. The trunk is causal: convolutions at 100 frames a second, folded to one step a 40
ms chunk, then dilated convolutions and two GRUs. For each look-ahead one head reads the trunk's state now and what
the trunk said that many chunks ago, and names the four frames of that earlier chunk; so every look-ahead comes from
one pass. All that a session must remember is one row `memory`, which goes in and comes out.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import mel
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, look_ahead_chunks
from models.visemes import ARTICULATION, PHONEME_VISEME, PHONEMES, VISEMES

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
    def __init__(self, front: int = 96, width: int = 288, head: int = 192, recent: int = 96) -> None:
        super().__init__()
        self.first = nn.Conv1d(mel.BANDS, front, 5)
        self.fine = CausalBlock(front, 5, 1)
        self.fold = nn.Linear(front * MEL_FRAMES, width)
        blocks = [CausalBlock(width, 3, 1), CausalBlock(width, 3, 2)]
        self.blocks = nn.ModuleList(blocks)
        self.grus = nn.ModuleList([nn.GRU(width, width, batch_first=True) for _ in range(2)])
        self.norm = nn.LayerNorm(width)
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

    def forward(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """features (B, 4n, 80), memory (B, S) -> logits (B, n, delays, 4, 15 + P + A) and the new memory."""
        sizes = [steps * wide for steps, wide in self.memory_shapes]
        pasts = [m.unflatten(1, s) for m, s in zip(memory.split(sizes, 1), self.memory_shapes, strict=True)]
        kept = []
        whole = torch.cat((pasts[0], features), 1)
        kept.append(whole[:, -4:])
        x = torch.relu(self.first(whole.transpose(1, 2)).transpose(1, 2))
        x, past = self.fine(x, pasts[1])
        kept.append(past)
        x = torch.relu(self.fold(x.unflatten(1, (-1, MEL_FRAMES)).flatten(2)))
        for block, past in zip(self.blocks, pasts[2:4], strict=True):
            x, past = block(x, past)
            kept.append(past)
        for gru, past in zip(self.grus, pasts[4:6], strict=True):
            y, past = gru(x, past.transpose(0, 1).contiguous())
            x = x + y
            kept.append(past.transpose(0, 1))
        x = self.norm(x)
        recent = torch.cat((pasts[6], self.recent(x)), 1)
        kept.append(recent[:, -max(DELAYS) :])
        answers = []
        for delay, hidden, head in zip(DELAYS, self.hidden, self.heads, strict=True):
            first = max(DELAYS) - delay
            then = recent[:, first : first + x.shape[1]]
            answers.append(head(torch.relu(hidden(torch.cat((x, then), 2)))))
        logits = torch.stack(answers, 2).unflatten(3, (MEL_FRAMES, sum(WIDTHS)))
        return logits, torch.cat([k.flatten(1) for k in kept], 1)


class OneChunk(nn.Module):
    """The network for one chunk, with probabilities instead of logits: what is exported.

    A viseme's probability is the mean of what its own head says and the sum of its phonemes: two opinions of one trunk
    are right a little more often than either (0.4 % of frames).
    """

    def __init__(self, network: PhonemeNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("viseme_of", functional.one_hot(torch.from_numpy(PHONEME_VISEME), len(VISEMES)).float())

    def forward(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits, memory = self.network(features, memory)
        viseme, phoneme, articulation = logits[:, 0].split(WIDTHS, 3)
        phonemes = phoneme.softmax(3)
        visemes = 0.5 * (viseme.softmax(3) + phonemes @ self.viseme_of)
        return visemes, phonemes, articulation.sigmoid(), memory


def export(network: PhonemeNetwork, file: Path) -> None:
    """Writes the one-chunk network with a dynamic batch: features, memory -> viseme, phoneme, articulation, memory."""
    file.parent.mkdir(parents=True, exist_ok=True)
    example = (torch.zeros(2, MEL_FRAMES, mel.BANDS), torch.zeros(2, network.memory_size))
    names = ["features", "memory"], ["viseme", "phoneme", "articulation", "new_memory"]
    torch.onnx.export(
        OneChunk(network).eval(),
        example,
        str(file),
        input_names=names[0],
        output_names=names[1],
        dynamic_axes={name: {0: "batch"} for name in (*names[0], *names[1])},
        opset_version=17,
        dynamo=False,
    )
