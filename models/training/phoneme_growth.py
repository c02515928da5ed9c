"""Earlier weights as the start of a wider network, so that a longer training need not begin again.

Reads exported ONNX files: of `phoneme_export`, or of torch's exporter, which wrote them before. Units are added as
copies that share what their original passed on (Net2WiderNet: Chen, Goodfellow & Shlens, ICLR 2016), so the wider
network says nearly the same; only the statistics of its layer norms move.

    python -m models.training.phoneme_growth OLD NEW

writes the network of OLD anew, in the form that `phoneme_export` gives it today.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from models import mel
from models.training.phoneme_export import dequantized, export
from models.training.phoneme_network import PhonemeNetwork

Weights = dict[str, NDArray[np.float32]]
_GATES = (1, 0, 2)  # ONNX writes update, reset, new; torch reset, update, new


def exported_weights(file: Path) -> Weights:
    """The parameters of an exported network, by their names in `PhonemeNetwork`."""
    graph = onnx.load(file).graph
    values = {i.name: numpy_helper.to_array(i).astype(np.float32) for i in graph.initializer}
    return _of_bytes(graph, values) if "windows" in values else _of_torch(graph, values)


def _of_bytes(graph: onnx.GraphProto, values: Weights) -> Weights:
    """From what `phoneme_export` writes: constants by their names, matrices as bytes, kernels as they are used."""
    found = dict(values)
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            columns = next(attribute.i for attribute in node.attribute if attribute.name == "K")
            name = node.input[1].removesuffix("_bytes")
            found[name] = dequantized(values[node.input[1]], values[node.input[2]], columns)
    first = values["first.weight"]
    found["first.weight"] = first.reshape(-1, mel.BANDS, first.shape[1]).transpose(2, 1, 0)
    for name in (name for name in values if name.endswith("along.weight")):
        found[name] = values[name][values[name].any(axis=1)].T[:, None]
    return found


def _of_torch(graph: onnx.GraphProto, values: Weights) -> Weights:
    for node in graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in values:
            values[node.output[0]] = values[node.input[0]]
    found = {name.removeprefix("network."): value for name, value in values.items() if name.startswith("network.")}
    grus = 0
    for node in graph.node:
        name = node.output[0].removeprefix("/network/").rpartition("/")[0].replace("/", ".")
        if node.op_type == "MatMul" and node.input[1] in values:
            found[f"{name}.weight"] = values[node.input[1]].T
        if node.op_type == "LayerNormalization":  # equal ones have been merged
            found[f"{name}.weight"], found[f"{name}.bias"] = values[node.input[1]], values[node.input[2]]
        if node.op_type == "GRU":
            for name, index in (("weight_ih_l0", 1), ("weight_hh_l0", 2)):
                found[f"grus.{grus}.{name}"] = _in_torch_order(values[node.input[index]][0])
            for name, bias in zip(("bias_ih_l0", "bias_hh_l0"), np.split(values[node.input[3]][0], 2), strict=True):
                found[f"grus.{grus}.{name}"] = _in_torch_order(bias)
            grus += 1
    return found


def restored(file: Path) -> PhonemeNetwork:
    """The exported network itself, ready to listen."""
    weights = exported_weights(file)
    network = PhonemeNetwork(
        front=len(weights["first.bias"]),
        width=len(weights["norm.bias"]),
        head=len(weights["hidden.0.bias"]),
        recent=len(weights["recent.bias"]),
    )
    grow(weights, network, seed=0)
    return network.eval()


def exported_bias(file: Path) -> torch.Tensor:
    """The bias (15,) that an exported network was given."""
    odds = next(i for i in onnx.load(file).graph.initializer if i.name == "viseme_odds")
    return torch.from_numpy(np.log(numpy_helper.to_array(odds)))


def grow(weights: Weights, network: PhonemeNetwork, seed: int) -> list[str]:
    """Fills `network` with `weights` of one that is no wider; answers the parameters that had none (they stay)."""
    random = np.random.default_rng(seed)
    new = network.state_dict()
    copies = {
        size: _copies(old, wide, random)
        for old, wide, size in (
            (len(weights["norm.weight"]), network.recent.in_features, "width"),
            (len(weights["recent.bias"]), network.recent.out_features, "recent"),
            (len(weights["hidden.0.bias"]), len(new["hidden.0.bias"]), "head"),
        )
    }
    missing = []
    for name, value in new.items():
        if name not in weights:
            missing.append(name)
            continue
        grown = _grown(name, weights[name], copies)
        new[name] = torch.from_numpy(np.ascontiguousarray(grown)).reshape(value.shape)
    network.load_state_dict(new)
    return missing


_Copies = tuple[NDArray[np.int64], NDArray[np.float32]]


def _copies(old: int, new: int, random: np.random.Generator) -> _Copies:
    """Which old unit each new one copies, and the share of its output that each passes on (uneven: equal twins would
    learn the same for ever)."""
    source = np.concatenate((np.arange(old), random.choice(old, new - old, replace=False)))
    share = np.ones(new, np.float32)
    share[old:] = random.uniform(0.3, 0.7, new - old)
    share[source[old:]] -= share[old:]
    return source, share


def _grown(name: str, value: NDArray[np.float32], copies: dict[str, _Copies]) -> NDArray[np.float32]:
    width, recent, head = copies["width"], copies["recent"], copies["head"]
    part = name.split(".")[0]
    if part in ("first", "fine"):
        return value
    if part == "grus":
        gates = [gate[width[0]] for gate in np.split(value, 3)]
        return np.concatenate(gates) if value.ndim == 1 else np.concatenate([_inputs(gate, width) for gate in gates])
    if part == "heads":
        return value if value.ndim == 1 else _inputs(value, head)
    rows = value[{"recent": recent, "hidden": head}.get(part, width)[0]] if part != "voice" else value
    if value.ndim == 1 or "along" in name or part == "fold":
        return rows
    if part == "hidden":
        old = int(width[0].max()) + 1
        return np.concatenate((_inputs(rows[:, :old], width), _inputs(rows[:, old:], recent)), axis=1)
    return _inputs(rows, width)


def _inputs(value: NDArray[np.float32], copies: _Copies) -> NDArray[np.float32]:
    return value[:, copies[0]] * copies[1]


def _in_torch_order(value: NDArray[np.float32]) -> NDArray[np.float32]:
    gates = np.split(value, 3)
    return np.concatenate([gates[i] for i in _GATES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("new", type=Path, metavar="NEW")
    options = parser.parse_args()
    export(restored(options.old), options.new, exported_bias(options.old))


if __name__ == "__main__":
    main()
