"""A machine is shared out by its cores, its memory and whether a GPU does the work."""

from __future__ import annotations

import subprocess
import sys

import pytest

from realtime import cores


@pytest.mark.parametrize(
    ("count", "gigabytes", "device", "wanted"),
    [
        (1, 64, "cpu", 1),
        (8, 64, "cpu", 8),
        (8, 1, "cpu", 2),
        (4, 0, "cpu", 1),
        (500, 999, "cpu", 64),
        (8, 64, "cuda", 1),
    ],
)
def test_there_is_a_process_for_each_core_as_far_as_memory_reaches(
    count: int, gigabytes: int, device: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "count", lambda: count)
    monkeypatch.setattr(cores, "_installed", lambda package: package == "onnxruntime-gpu" and device == "auto")
    monkeypatch.setattr(cores.memory, "available_bytes", lambda: gigabytes * 10**9)
    assert cores.processes(device) == wanted


def test_without_the_package_for_it_auto_is_the_processor() -> None:
    assert not cores._installed("mouthpiece-no-such-package") and cores._installed("pytest")


def test_the_process_before_the_others_loads_no_models() -> None:
    code = "import sys, realtime.front; sys.exit(bool({'cv2', 'onnxruntime', 'av', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
