"""One film, made in a process of its own that yields to everything else: `python -m realtime.film_job FOLDER`.

Reads FOLDER/job.json and what lies beside it, writes FOLDER/film.mp4, and says how it goes as lines of JSON on standard
output: `{"frames": n}`, and `{"error": {"code", "message"}}` if it fails. A live server beside it keeps its cores.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.rates import FPS

JOB, PHOTO, SOUND, FILM = "job.json", "photo", "sound", "film.mp4"
TOLD_FRAMES = 5
LOWEST_PRIORITY = 19


def main(folder: Path) -> int:
    os.nice(LOWEST_PRIORITY)
    # Before NumPy is loaded, which reads them once.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    from realtime.errors import MouthpieceError

    try:
        _make(json.loads((folder / JOB).read_text()), folder)
    except MouthpieceError as error:
        _say(error.body())
        return 1
    return 0


def _make(job: dict[str, Any], folder: Path) -> None:
    from models.avatar import Avatar
    from models.generator import FrameGenerator
    from models.style import Style
    from realtime import render, sound
    from realtime.config import load
    from realtime.direction import Cue
    from realtime.identities import AvatarStore

    # What is learned of a photo that is stored nowhere goes with its film.
    data_dir = job["data_dir"] if job["avatar"] else str(folder)
    settings = {"engine.device": job["device"], "avatars.data_dir": data_dir, "avatars.size_px": job["size_px"]}
    config = load(None, settings, {})
    store = AvatarStore(config)
    if job["avatar"]:
        identity = store.identity(job["avatar"])
    else:
        identity = store.enroll((folder / PHOTO).read_bytes(), job["size_px"])
    render.render(
        Avatar(config.engine.device),
        FrameGenerator(identity),
        _bounded(sound.chunks(sound.blocks(folder / SOUND)), job["max_s"]),
        folder / FILM,
        look_ahead_ms=job["look_ahead_ms"],
        style=Style.from_mapping(job["style"]),
        cues=[(index, Cue(settings)) for index, settings in job["cues"]],
        on_frame=lambda frames: _say({"frames": frames}) if frames % TOLD_FRAMES == 0 else None,
    )


def _bounded(chunks: Iterator[Any], most_s: float) -> Iterator[Any]:
    """A file may hold more sound than it claims."""
    from realtime.errors import TooLarge

    for index, chunk in enumerate(chunks):
        if index >= most_s * FPS:
            raise TooLarge(f"a film lasts at most {most_s / 60:g} minutes; make it in parts")
        yield chunk


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
