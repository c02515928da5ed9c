"""Which device does what, on machines where ONNX Runtime, torch, both or neither know the GPU."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from models import runtime
from models.avatar import Avatar, StepInput
from models.blendshapes import FaceMotion
from models.rates import SPEECH_CHUNK
from models.runtime import DeviceError, drawing_device, resolve_device
from models.style import Style


def knows(monkeypatch: pytest.MonkeyPatch, networks: bool, drawing: bool) -> None:
    monkeypatch.setattr(runtime, "networks_know_gpu", lambda: networks)
    monkeypatch.setattr(runtime, "drawing_knows_gpu", lambda: drawing)


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize(
    ("networks", "drawing", "said"),
    [(True, True, ""), (True, False, "pictures are drawn on the CPU"), (False, True, "networks run on the CPU")],
)
def test_whoever_knows_the_gpu_uses_it_and_the_other_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    device: str,
    networks: bool,
    drawing: bool,
    said: str,
) -> None:
    knows(monkeypatch, networks, drawing)
    with caplog.at_level(logging.WARNING):
        assert resolve_device(device) == ("cuda" if networks else "cpu")
        assert drawing_device(device) == ("cuda" if drawing else "cpu")
    assert (said in caplog.text) if said else not caplog.records


def test_without_a_gpu_auto_is_the_cpu_and_cuda_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, networks=False, drawing=False)
    assert resolve_device("auto") == drawing_device("auto") == "cpu"
    for choose in (resolve_device, drawing_device):
        with pytest.raises(DeviceError, match="no usable GPU"):
            choose("cuda")


def test_cpu_is_the_cpu_even_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, networks=True, drawing=True)
    assert resolve_device("cpu") == drawing_device("cpu") == "cpu"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="unknown device"):
        drawing_device("tpu")


class Together:
    """Draws nothing: its "pictures" are the motions, and it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.prepared: list[object] = []

    def prepare(self, generator: object) -> None:
        self.prepared.append(generator)

    def render(self, rows: list[tuple[object, FaceMotion]]) -> list[np.ndarray]:
        self.asked.append(len(rows))
        return [motion.weights for _, motion in rows]


def test_all_pictures_of_a_step_are_drawn_together() -> None:
    drawing, face = Together(), object()
    avatar = Avatar(drawing=drawing)
    silence = np.zeros(SPEECH_CHUNK, np.float32)
    inputs = [StepInput(silence, face if drawn else None, Style()) for drawn in (True, False, True, True)]
    states = [avatar.initial_state(seed, look_ahead) for seed, look_ahead in enumerate((0, 0, 0, 40))]
    frames, states = avatar.step(inputs, states)  # type: ignore[arg-type]
    assert frames[3] is None and frames[1] is not None and frames[1].picture is None
    for frame in (frames[0], frames[2]):
        assert frame is not None and frame.picture is frame.motion.weights and frame.stage_ms["picture"] >= 0
    avatar.step(inputs, states)  # type: ignore[arg-type]
    assert drawing.asked == [2, 3]


def test_a_step_without_pictures_asks_for_none() -> None:
    drawing = Together()
    avatar = Avatar(drawing=drawing)
    avatar.step([StepInput(np.zeros(SPEECH_CHUNK, np.float32), None, Style())], [avatar.initial_state(0, 0)])
    assert drawing.asked == []


def test_a_face_is_made_ready_where_the_device_draws() -> None:
    drawing, face = Together(), object()
    Avatar(drawing=drawing).prepare(face)  # type: ignore[arg-type]
    assert drawing.prepared == [face]
    Avatar().prepare(face)  # type: ignore[arg-type]
