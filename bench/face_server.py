"""The whole server as its users run it, but for the picture: the face turns white while the sound of its frame is loud.

    python -m bench.face_server --port N [--host H] [--config FILE]

Models, drawing, encoding and transport do all their work; the flash makes their delay visible to a browser.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `server.py` does, before NumPy is loaded

import numpy as np

from models.avatar import Avatar, AvatarFrame, AvatarState, StepInput
from realtime import config, cores
from realtime.service import Service, run

LOUD = 0.06


@dataclass(frozen=True, slots=True)
class FlashState:
    inner: AvatarState
    loud: tuple[bool, ...] = ()


class FlashAvatar:
    """A `Stepper` around the real one."""

    def __init__(self, avatar: Avatar) -> None:
        self._avatar = avatar

    def initial_state(self, seed: int, look_ahead_ms: int = 80) -> FlashState:
        return FlashState(self._avatar.initial_state(seed, look_ahead_ms))

    def step(
        self, inputs: Sequence[StepInput], states: Sequence[FlashState]
    ) -> tuple[list[AvatarFrame | None], list[FlashState]]:
        frames, inner = self._avatar.step(inputs, [state.inner for state in states])
        after = [
            FlashState(new, (*old.loud, bool(np.abs(row.chunk).max() > LOUD))[-1 - new.look_ahead_chunks :])
            for row, old, new in zip(inputs, states, inner, strict=True)
        ]
        return [_flashed(frame, state.loud[0]) for frame, state in zip(frames, after, strict=True)], after


def _flashed(frame: AvatarFrame | None, loud: bool) -> AvatarFrame | None:
    if frame is None or frame.picture is None:
        return frame
    picture = np.bitwise_or(frame.picture, 224) if loud else np.right_shift(frame.picture, 1)
    return replace(frame, picture=picture.astype(np.uint8, copy=False))


def build(settings: config.Config) -> Service:
    threads = settings.engine.drawing_threads or cores.count()
    return Service.build(settings, FlashAvatar(Avatar(settings.engine.device, settings.engine.threads, threads)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--config", type=Path)
    args = parser.parse_args()
    run(config.load(args.config, {"server.port": args.port, "server.host": args.host}), build)


if __name__ == "__main__":
    main()
