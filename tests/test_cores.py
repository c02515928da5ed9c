"""A machine is shared out by its cores, its memory and whether a GPU does the work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from realtime import cores


@pytest.mark.parametrize(
    ("count", "gigabytes", "device", "gpu", "wanted"),
    [
        (1, 64, "cpu", False, 1),
        (8, 64, "cpu", False, 8),
        (8, 1, "cpu", False, 2),
        (4, 0, "cpu", False, 1),
        (500, 999, "cpu", False, 64),
        (8, 64, "cuda", True, 1),
        (8, 64, "auto", True, 1),
        (8, 64, "auto", False, 8),
        (8, 64, "cpu", True, 8),
    ],
)
def test_there_is_a_process_for_each_core_as_far_as_memory_reaches(
    count: int, gigabytes: int, device: str, gpu: bool, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "count", lambda: count)
    monkeypatch.setattr(cores, "has_driver", lambda: gpu)
    monkeypatch.setattr(cores.memory, "available_bytes", lambda: gigabytes * 10**9)
    assert cores.processes(device) == wanted


def test_the_process_before_the_others_loads_no_models() -> None:
    code = "import sys, realtime.front; sys.exit(bool({'cv2', 'onnxruntime', 'av', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
