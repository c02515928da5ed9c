"""From the trained phoneme network to the file that runs: one chunk at a time, probabilities, half the bytes.

Writes the ONNX file it is asked for and nothing else.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from models import mel
from models.rates import MEL_FRAMES
from models.training.phoneme_network import PITCH_ZERO_HZ, WIDTHS, PhonemeNetwork
from models.visemes import PHONEME_VISEME, VISEMES

_LARGE = 1024


class OneChunk(nn.Module):
    """The network for one chunk, with probabilities instead of logits: what is exported.

    A viseme's probability is the mean of what its own head says and the sum of its phonemes: two opinions of one trunk
    are right a little more often than either. `bias` is added to the logarithm of each viseme's probability (and
    to its phonemes'), chosen on the dev voices: it says how sure the network must be before lips close.
    """

    def __init__(self, network: PhonemeNetwork, bias: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        viseme_of = functional.one_hot(torch.from_numpy(PHONEME_VISEME), len(VISEMES)).float()
        odds = torch.ones(len(VISEMES)) if bias is None else bias.exp()
        self.register_buffer("viseme_of", viseme_of)
        self.register_buffer("viseme_odds", odds)
        self.register_buffer("phoneme_odds", viseme_of @ odds)

    def forward(self, features: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        logits, voice, memory = self.network(features, memory)
        viseme, phoneme, articulation = logits[:, 0].split(WIDTHS, 3)
        phonemes = phoneme.softmax(3)
        visemes = 0.5 * (viseme.softmax(3) + phonemes @ self.viseme_of) * self.viseme_odds
        phonemes = phonemes * self.phoneme_odds
        voicing, pitch = voice[:, 0].sigmoid()[..., 0], voice[:, 0, :, 1]
        return (
            visemes / visemes.sum(3, keepdim=True),
            phonemes / phonemes.sum(3, keepdim=True),
            articulation.sigmoid(),
            voicing,
            PITCH_ZERO_HZ * (pitch.clamp(-1, 3) * math.log(2)).exp(),
            memory,
        )


def export(network: PhonemeNetwork, file: Path, bias: Tensor | None = None) -> None:
    """Writes the one-chunk network with a dynamic batch and weights stored as float16:
    features, memory -> viseme, phoneme, articulation, voicing, pitch_hz, new_memory."""
    file.parent.mkdir(parents=True, exist_ok=True)
    example = (torch.zeros(2, MEL_FRAMES, mel.BANDS), torch.zeros(2, network.memory_size))
    names = ["features", "memory"], ["viseme", "phoneme", "articulation", "voicing", "pitch_hz", "new_memory"]
    torch.onnx.export(
        OneChunk(network, bias).eval(),
        example,
        str(file),
        input_names=names[0],
        output_names=names[1],
        dynamic_axes={name: {0: "batch"} for name in (*names[0], *names[1])},
        opset_version=17,
        dynamo=False,
    )
    onnx.save(stored_in_half(onnx.load(file)), file)


def stored_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large float32 constants stored as float16 and cast back where they are used: half the file;
    the runtime folds the casts when it loads."""
    graph, casts = model.graph, []
    for constant in graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype == np.float32 and values.size >= _LARGE:
            name = constant.name
            constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model
