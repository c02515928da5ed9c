"""Which device networks and drawing run on; networks themselves, by ONNX Runtime on the CPU or the GPU.

Two programs must each know the GPU: ONNX Runtime for the networks, torch for the drawing. Where one does not, its part
runs on the CPU and the log says so. torch is imported only where there is a driver, for that takes a second and a half.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models import weights
from models.driver import has_driver

log = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]


class DeviceError(RuntimeError):
    """The device asked for is not usable on this machine."""


def resolve_device(device: str) -> Device:
    """Where networks run, for `auto`, `cpu` or `cuda`. Raises DeviceError for `cuda` where nothing can use one."""
    _check(device)
    return "cuda" if device != "cpu" and networks_know_gpu() else "cpu"


def drawing_device(device: str) -> Device:
    """Where pictures are drawn; otherwise as `resolve_device`."""
    _check(device)
    if device == "cpu":
        return "cpu"
    networks, drawing = networks_know_gpu(), drawing_knows_gpu()
    if networks and not drawing:
        log.warning("pictures are drawn on the CPU: this torch has no CUDA; install one that has (docs/gpu.md)")
    if drawing and not networks:
        log.warning("networks run on the CPU: this ONNX Runtime has no CUDA; install onnxruntime-gpu (docs/gpu.md)")
    return "cuda" if drawing else "cpu"


def networks_know_gpu() -> bool:
    return has_driver() and "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def drawing_knows_gpu() -> bool:
    if not has_driver():
        return False
    import torch

    return torch.cuda.is_available()


def _check(device: str) -> None:
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"unknown device {device!r}; choose auto, cpu or cuda")
    if device == "cuda" and not (networks_know_gpu() or drawing_knows_gpu()):
        raise DeviceError("no usable GPU here; install the 'gpu' extra (docs/gpu.md) or choose --device cpu")


class Network:
    """A weight file, ready to run. Stateless: recurrent state is an input and an output."""

    def __init__(self, name: str, device: str = "cpu", threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self.device = resolve_device(device)
        if self.device == "cuda":
            onnxruntime.preload_dlls()  # CUDA's libraries as torch's wheels bring them
            providers.insert(0, "CUDAExecutionProvider")
        self._session = onnxruntime.InferenceSession(str(weights.path(name)), options, providers)
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.widths = {i.name: i.shape[-1] for i in self._session.get_inputs()}  # last axis of each input
        self.outputs = tuple(o.name for o in self._session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray], outputs: Sequence[str] | None = None) -> list[NDArray[np.float32]]:
        return self._session.run(list(outputs) if outputs else None, dict(feeds))
