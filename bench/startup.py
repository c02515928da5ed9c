"""How long a user waits: for a serving page, for the first frame of a new photo, and of a known avatar.

    python -m bench.startup [--repeat 3]

Starts `server.py serve` as its own process; enrols the photos that ship into an empty folder (cold: models loaded for
it) and then loads them from the cache (warm: file, generator, first frame).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench import results
from bench.servers import free_port
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.generator import FrameGenerator
from realtime import config
from realtime.identities import AvatarStore

START_LIMIT_S = 60


def seconds_to_page(folder: Path) -> float:
    """From starting the process to the page's first answer."""
    port = free_port()
    started = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "server.py", "serve", "--port", str(port)],
        env=os.environ | {"MOUTHPIECE_DATA_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - started < START_LIMIT_S:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).read()
                return time.perf_counter() - started
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise SystemExit(f"the server did not answer within {START_LIMIT_S} s")
    finally:
        server.terminate()
        server.wait()


def first_frame_s(store: AvatarStore, name: str) -> float:
    """From a stored photo (enrolled now or before) to its first moving frame."""
    motion = FaceMotion.rest()
    motion.weights[ARKIT_INDEX["jawOpen"]] = 0.2
    started = time.perf_counter()
    FrameGenerator(store.identity(name)).render(motion)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    page, cold, warm = [], [], []
    for _ in range(options.repeat):
        with tempfile.TemporaryDirectory() as folder:
            page.append(seconds_to_page(Path(folder)))
        with tempfile.TemporaryDirectory() as folder:
            settings = config.load(overrides={"avatars.data_dir": folder})
            names = [avatar.name for avatar in AvatarStore(settings).list() if avatar.builtin]
            # A store of its own for each photo, so that each one loads the landmark networks again.
            cold += [first_frame_s(AvatarStore(settings), name) for name in names]
            warm += [first_frame_s(AvatarStore(settings), name) for name in names]
    figures = {
        "process start to page, s": page,
        "photo to first frame, cold, s": cold,
        "known avatar to first frame, s": warm,
    }
    rows = [[name, f"{sorted(v)[len(v) // 2]:.2f}", f"{max(v):.2f}", len(v)] for name, v in figures.items()]
    results.table(rows, ["", "median", "worst", "n"])
    results.save("startup", {name: [round(v, 3) for v in values] for name, values in figures.items()})


if __name__ == "__main__":
    main()
