"""Promises about the tree itself: imports point down, weights are as the manifest says, files stay small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from models import weights

ROOT = Path(__file__).resolve().parent.parent


def test_imports_point_down():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_weights_are_as_the_manifest_says():
    assert weights.manifest()
    assert weights.damaged() == []
    for entry in weights.manifest().values():
        assert entry["licence"] and entry["trained_by"]


def test_weights_stay_small():
    sizes = [int(entry["bytes"]) for entry in weights.manifest().values()]
    assert max(sizes) < 15_000_000 and sum(sizes) < 40_000_000


def test_the_cpu_path_does_not_load_torch():
    code = "import sys, server, realtime.service; sys.exit('torch' in sys.modules or 'silero_vad' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
