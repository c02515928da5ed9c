"""A network run in batches of fixed sizes, over buffers on its device that are made once.

For a GPU, where memory and kernels for a batch's shape are then found at the start and never again; a CPU gains
nothing.
ONNX Runtime's own CUDA graphs stay off: they need every node on the GPU, which the CUDA provider does not promise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, IOBinding, OrtValue

from models.batches import BUCKETS, bucket_of
from models.runtime import Device, Network


class BoundNetwork(Network):
    """A weight file whose inputs and outputs all have the batch as their first axis. outputs: those asked for.

    For any thread, one at a time.
    """

    def __init__(self, name: str, outputs: Sequence[str], device: str = "cpu", threads: int = 1) -> None:
        super().__init__(name, device, threads)
        self._asked, self._one_at_a_time = tuple(outputs), Lock()
        self._batches = {rows: _Batch.of(self._session, self._asked, rows, self.device) for rows in BUCKETS}
        for batch in self._batches.values():
            self._session.run_with_iobinding(batch.binding)

    def run(self, feeds: Mapping[str, NDArray], outputs: Sequence[str] | None = None) -> list[NDArray[np.float32]]:
        """feeds: (B, …) each. outputs: those given to the constructor, in that order."""
        if outputs is not None and tuple(outputs) != self._asked:
            raise ValueError(f"bound to the outputs {self._asked}, not {tuple(outputs)}")
        count = len(next(iter(feeds.values())))
        with self._one_at_a_time:
            parts = [
                self._part({name: values[first : first + BUCKETS[-1]] for name, values in feeds.items()})
                for first in range(0, count, BUCKETS[-1])
            ]
        return parts[0] if len(parts) == 1 else [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _part(self, feeds: Mapping[str, NDArray]) -> list[NDArray[np.float32]]:
        count = len(next(iter(feeds.values())))
        batch = self._batches[bucket_of(count)]
        for name, values in feeds.items():
            batch.staged[name][:count] = values
            batch.inputs[name].update_inplace(batch.staged[name])
        self._session.run_with_iobinding(batch.binding)
        return [np.array(value.numpy()[:count]) for value in batch.outputs]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Buffers of one batch size: staged in host memory, inputs and outputs on the device."""

    binding: IOBinding
    staged: dict[str, NDArray[np.float32]]
    inputs: dict[str, OrtValue]
    outputs: list[OrtValue]

    @staticmethod
    def of(session: InferenceSession, asked: Sequence[str], rows: int, device: Device) -> _Batch:
        def buffer(shape: Sequence[int | str]) -> OrtValue:
            return OrtValue.ortvalue_from_shape_and_type([rows, *shape[1:]], np.float32, device, 0)

        binding = session.io_binding()
        staged = {i.name: np.zeros((rows, *i.shape[1:]), np.float32) for i in session.get_inputs()}
        inputs = {i.name: OrtValue.ortvalue_from_numpy(staged[i.name], device, 0) for i in session.get_inputs()}
        shapes = {o.name: o.shape for o in session.get_outputs()}
        outputs = {name: buffer(shapes[name]) for name in asked}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return _Batch(binding, staged, inputs, list(outputs.values()))
