"""From the trained phoneme network to the file that runs: one chunk at a time, probabilities, a byte a weight.

Writes the ONNX file it is asked for and nothing else. What `PhonemeNetwork.forward` does for any number of chunks is
written here for one, in as few operations as that takes: at this size each costs more than its arithmetic. Matrices are
stored as bytes, 32 of an output unit's inputs to a scale (ONNX Runtime's MatMulNBits, which multiplies bytes too): a
live chunk finds them gone from the processor's cache, and then their size is what it waits for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from models import mel
from models.rates import MEL_FRAMES
from models.training.phoneme_network import DELAYS, WIDTHS, CausalBlock, PhonemeNetwork
from models.visemes import PHONEME_VISEME, VISEMES

Array = NDArray[Any]

BLOCK, ZERO = 32, 128
"""Inputs that share a scale; the byte that means 0."""

INPUTS_TIMES_BYTES = 4
"""MatMulNBits's `accuracy_level`: inputs become bytes too, each 32 of them with a scale of their own."""

_TAPS = 5
_BATCH = -1


def export(network: PhonemeNetwork, file: Path, bias: Tensor | None = None) -> None:
    """Writes the one-chunk network with a dynamic batch: features (B, 4, 80), memory (B, S) -> viseme, phoneme,
    articulation, as in `models.phonemes.SpeechFrames`, new_memory (B, S).

    A viseme's probability is the mean of what its own head says and the sum of its phonemes: two opinions of one trunk
    are right a little more often than either. `bias` (15,) is added to the logarithm of each viseme's probability (and
    to its phonemes'), chosen on the dev voices: it says how sure the network must be before lips close.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_OneChunk(network, torch.zeros(len(VISEMES)) if bias is None else bias).model(), file)


def quantized(matrix: Array) -> tuple[Array, Array]:
    """Bytes (N, blocks, BLOCK) and scales (N, blocks) of a matrix (N, K), an output unit a row."""
    rows, columns = matrix.shape
    blocks = -(-columns // BLOCK)
    padded = np.zeros((rows, blocks * BLOCK), np.float32)
    padded[:, :columns] = matrix
    padded = padded.reshape(rows, blocks, BLOCK)
    scales = np.maximum(np.abs(padded).max(2) / (ZERO - 1), np.finfo(np.float32).tiny).astype(np.float32)
    return (np.round(padded / scales[..., None]) + ZERO).astype(np.uint8), scales


def dequantized(values: Array, scales: Array, columns: int) -> Array:
    """The matrix (N, `columns`) that `quantized` gave."""
    whole = (values.astype(np.float32) - ZERO) * scales.reshape(*values.shape[:2], 1)
    return np.asarray(whole.reshape(len(values), -1)[:, :columns])


class _OneChunk:
    """The graph as it is written. Methods add operations and answer the names of what comes out; constants that are
    parameters keep their names in `PhonemeNetwork`, so that the network can be read back."""

    def __init__(self, network: PhonemeNetwork, bias: Tensor) -> None:
        self._network, self._bias = network, bias.numpy()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, Array] = {}
        self._parameters = {name: value.detach().numpy() for name, value in network.state_dict().items()}

    def model(self) -> onnx.ModelProto:
        """The whole network."""
        shapes = self._network.memory_shapes
        sizes = np.array([steps * wide for steps, wide in shapes])
        flat = self._split("memory", sizes, 1)
        pasts = [self._reshaped(past, _BATCH, *shape) for past, shape in zip(flat, shapes, strict=True)]
        x, kept = self._front(pasts[:2])
        for i, past in enumerate(pasts[2:4]):
            whole = self._op("Concat", past, self._op("Unsqueeze", x, self._ints(1)), axis=1)
            kept.append(self._tail(whole, 1))
            x = self._op("Add", x, self._block(f"blocks.{i}", whole))
        for i, past in enumerate(flat[4:6]):
            after = self._gru(f"grus.{i}", x, past)
            kept.append(after)
            x = self._op("Add", x, after)
        x = self._norm("norm", x)
        now = self._op("Unsqueeze", self._linear("recent", x), self._ints(1))
        recent = self._op("Concat", pasts[6], now, axis=1)
        kept.append(self._tail(recent, 1))
        self._answers(self._heads(x, recent))
        self._op("Concat", *kept, axis=1, out="new_memory")
        return self._written()

    def _front(self, pasts: list[str]) -> tuple[str, list[str]]:
        """The frames of the chunk, folded into one step: the trunk's input, and what is kept of them."""
        windows = self._constant("windows", np.arange(MEL_FRAMES)[:, None] + np.arange(_TAPS))
        heard = self._op("Concat", pasts[0], "features", axis=1)
        kept = [self._tail(heard, MEL_FRAMES)]
        # A convolution as a product with its windows, laid side by side.
        first = self._parameters["first.weight"]
        laid = self._reshaped(self._op("Gather", heard, windows, axis=1), _BATCH, MEL_FRAMES, _TAPS * mel.BANDS)
        by = self._constant("first.weight", first.transpose(2, 1, 0).reshape(_TAPS * mel.BANDS, -1))
        x = self._op("Relu", self._op("Add", self._op("MatMul", laid, by), self._parameter("first.bias")))
        whole = self._op("Concat", pasts[1], x, axis=1)
        kept.append(self._tail(whole, MEL_FRAMES))
        near = self._op("Gather", self._norm("fine.norm", whole), windows, axis=1)
        x = self._op("Add", x, self._across("fine", near, self._taps("fine", 1), 2))
        folded = self._reshaped(x, _BATCH, MEL_FRAMES * first.shape[0])
        return self._op("Relu", self._linear("fold", folded)), kept

    def _block(self, name: str, whole: str) -> str:
        """What a causal block adds to its last step, given all the steps that it sees."""
        block: CausalBlock = self._network.get_submodule(name)  # type: ignore[assignment]
        return self._across(name, self._norm(f"{name}.norm", whole), self._taps(name, block.along.dilation[0]), 1)

    def _across(self, name: str, steps: str, taps: str, axis: int) -> str:
        """A depthwise convolution as a weighted sum over `axis`, then across the channels."""
        summed = self._op("ReduceSum", self._op("Mul", steps, taps), self._ints(axis), keepdims=0)
        along = self._op("Add", summed, self._parameter(f"{name}.along.bias"))
        return self._linear(f"{name}.across", self._op("Relu", along))

    def _taps(self, name: str, dilation: int) -> str:
        """(steps, channels) weights of a depthwise convolution, 0 for the steps that it leaves out."""
        weight = self._parameters[f"{name}.along.weight"][:, 0].T
        taps = np.zeros(((len(weight) - 1) * dilation + 1, weight.shape[1]), np.float32)
        taps[::dilation] = weight
        return self._constant(f"{name}.along.weight", taps)

    def _gru(self, name: str, x: str, past: str) -> str:
        """The state after one step (Cho et al. 2014, in torch's form: reset, update, new)."""
        width = len(self._parameters[f"{name}.bias_hh_l0"]) // 3
        parts = np.array([2 * width, width])
        heard, heard_new = self._split(self._linear(name, x, "ih"), parts, 1)
        kept, kept_new = self._split(self._linear(name, past, "hh"), parts, 1)
        gates = self._op("Sigmoid", self._op("Add", heard, kept))
        reset, update = self._split(gates, np.array([width, width]), 1)
        new_state = self._op("Tanh", self._op("Add", heard_new, self._op("Mul", reset, kept_new)))
        return self._op("Add", new_state, self._op("Mul", update, self._op("Sub", past, new_state)))

    def _heads(self, x: str, recent: str) -> str:
        """(B, delays, 4, n) logits: each head hears the trunk now, and what it said that many chunks ago."""
        answers = []
        for i, delay in enumerate(DELAYS):
            then = self._op("Gather", recent, self._constant("", np.array(max(DELAYS) - delay)), axis=1)
            hidden = self._op("Relu", self._linear(f"hidden.{i}", self._op("Concat", x, then, axis=1)))
            answers.append(self._linear(f"heads.{i}", hidden))
        return self._reshaped(self._op("Concat", *answers, axis=1), _BATCH, len(DELAYS), MEL_FRAMES, sum(WIDTHS))

    def _answers(self, logits: str) -> None:
        viseme_of = np.eye(len(VISEMES), dtype=np.float32)[PHONEME_VISEME]
        odds = np.exp(self._bias).astype(np.float32)
        viseme, phoneme, articulation = self._split(logits, np.array(WIDTHS), 3)
        phoneme = self._op("Softmax", phoneme, axis=3)
        summed = self._op("MatMul", phoneme, self._constant("viseme_of", viseme_of))
        viseme = self._op("Add", self._op("Softmax", viseme, axis=3), summed)
        self._shares(self._op("Mul", viseme, self._constant("viseme_odds", odds)), "viseme")
        self._shares(self._op("Mul", phoneme, self._constant("phoneme_odds", viseme_of @ odds)), "phoneme")
        self._op("Sigmoid", articulation, out="articulation")

    def _shares(self, odds: str, out: str) -> None:
        self._op("Div", odds, self._op("ReduceSum", odds, self._ints(3), keepdims=1), out=out)

    def _linear(self, name: str, x: str, kind: str = "") -> str:
        """A layer of `name`; kind: which of a GRU's two."""
        weight, bias = (f"{name}.{v}_{kind}_l0" if kind else f"{name}.{v}" for v in ("weight", "bias"))
        rows, columns = self._parameters[weight].shape
        values, scales = quantized(self._parameters[weight])
        constants = self._constant(f"{weight}_bytes", values), self._constant(f"{weight}_scales", scales.ravel())
        attributes = {"K": columns, "N": rows, "bits": 8, "block_size": BLOCK, "accuracy_level": INPUTS_TIMES_BYTES}
        product = self._op("MatMulNBits", x, *constants, domain="com.microsoft", **attributes)
        return self._op("Add", product, self._parameter(bias))

    def _norm(self, name: str, x: str) -> str:
        weight, bias = self._parameter(f"{name}.weight"), self._parameter(f"{name}.bias")
        epsilon: float = self._network.get_submodule(name).eps  # type: ignore[assignment]
        return self._op("LayerNormalization", x, weight, bias, axis=-1, epsilon=epsilon)

    def _tail(self, steps: str, first: int) -> str:
        """(B, n) the steps from `first` on, as they are kept in the memory."""
        last = np.iinfo(np.int64).max
        return self._op("Flatten", self._op("Slice", steps, *map(self._ints, (first, last, 1))), axis=1)

    def _split(self, x: str, sizes: Array, axis: int) -> list[str]:
        names = [f"{x}.{i}" for i in range(len(sizes))]
        self._nodes.append(helper.make_node("Split", [x, self._constant("", sizes)], names, axis=axis))
        return names

    def _reshaped(self, x: str, *shape: int) -> str:
        return self._op("Reshape", x, self._constant("", np.array(shape)))

    def _op(self, kind: str, *inputs: str, out: str = "", domain: str = "", **attributes: Any) -> str:
        out = out or f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
        return out

    def _parameter(self, name: str) -> str:
        return self._constant(name, self._parameters[name])

    def _ints(self, value: int) -> str:
        return self._constant("", np.array([value]))

    def _constant(self, name: str, value: Array) -> str:
        name = name or f"ints{value.tolist()}"
        self._constants[name] = value
        return name

    def _written(self) -> onnx.ModelProto:
        def told(name: str, *shape: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

        memory = self._network.memory_size
        graph = helper.make_graph(
            self._nodes,
            "phonemes",
            [told("features", MEL_FRAMES, mel.BANDS), told("memory", memory)],
            [
                *(
                    told(name, len(DELAYS), MEL_FRAMES, width)
                    for name, width in zip(("viseme", "phoneme", "articulation"), WIDTHS, strict=True)
                ),
                told("new_memory", memory),
            ],
            [numpy_helper.from_array(np.asarray(v, order="C"), name) for name, v in self._constants.items()],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)
