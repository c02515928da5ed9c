"""Where networks run: ONNX Runtime, on the CPU or (where its CUDA provider is installed) on the GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models import weights

Device = Literal["auto", "cpu", "cuda"]


class DeviceError(RuntimeError):
    """The device asked for is not usable on this machine."""


def resolve_device(device: str) -> Literal["cpu", "cuda"]:
    """`auto` is the GPU where ONNX Runtime can use one, else the CPU. Raises DeviceError."""
    available = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "auto":
        return "cuda" if available else "cpu"
    if device == "cuda" and not available:
        raise DeviceError("no usable GPU here; install the 'gpu' extra (onnxruntime-gpu) or choose --device cpu")
    if device not in ("cpu", "cuda"):
        raise DeviceError(f"unknown device {device!r}; choose auto, cpu or cuda")
    return "cuda" if device == "cuda" else "cpu"


class Network:
    """A weight file, ready to run. Stateless: recurrent state is an input and an output."""

    def __init__(self, name: str, device: str = "cpu", threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        if resolve_device(device) == "cuda":
            providers.insert(0, "CUDAExecutionProvider")
        self._session = onnxruntime.InferenceSession(str(weights.path(name)), options, providers)
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.widths = {i.name: i.shape[-1] for i in self._session.get_inputs()}  # last axis of each input
        self.outputs = tuple(o.name for o in self._session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray], outputs: Sequence[str] | None = None) -> list[NDArray[np.float32]]:
        return self._session.run(list(outputs) if outputs else None, dict(feeds))
