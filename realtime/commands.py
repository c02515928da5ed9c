"""What each command does: it builds objects, wires them and runs them.

Heavy modules are imported by the command that needs them: `serve` with several media processes loads no models itself.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.style import STYLE_NAMES, Style
from realtime.errors import BadPhoto

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.identity import Identity
    from realtime.config import Config
    from realtime.direction import Cue
    from realtime.identities import AvatarStore


def serve(options: argparse.Namespace) -> None:
    """The page and the sessions, until a signal ends them."""
    given = {"server.host": options.host, "server.port": options.port, "server.processes": options.processes}
    config = _config(options, given)
    from realtime import cores

    count = config.server.processes or cores.processes(config.engine.device)
    if config.engine.capacity:
        count = min(count, config.engine.capacity)
    if count > 1:
        from realtime import front

        front.run(replace(config, server=replace(config.server, processes=count)))
    else:
        from realtime import service

        service.run(config)


def render(options: argparse.Namespace) -> None:
    """Photo or avatar + recording or text to a film."""
    import cv2

    from models.avatar import Avatar
    from models.generator import FrameGenerator
    from realtime import render as film
    from realtime import sound
    from realtime.errors import BadRequest
    from realtime.identities import AvatarStore
    from realtime.progress import Progress
    from realtime.timebase import AUDIO_RATE

    if not 128 <= options.size <= 1024 or options.size % 2:
        raise BadRequest(f"--size must be an even number from 128 to 1024, not {options.size}")
    cv2.setNumThreads(1)  # pictures are drawn side by side, each on one thread
    config = _config(options)
    if options.text is not None:
        spoken, cues = _spoken(options, config)
        seconds: float | None = sum(map(len, spoken)) / AUDIO_RATE
        pieces = iter(spoken)
    else:
        cues, seconds = [], sound.duration_s(options.audio)
        pieces = sound.blocks(options.audio)
    started = time.perf_counter()
    store = AvatarStore(config)
    style = manner(options, store.find(options.avatar).style if options.avatar else Style())
    generator = FrameGenerator(_identity(options, store))
    enrolment_s = time.perf_counter() - started

    progress = Progress(seconds)
    report = film.render(
        Avatar(config.engine.device),
        generator,
        sound.chunks(pieces),
        options.out,
        look_ahead_ms=options.look_ahead_ms,
        style=style,
        cues=cues,
        seed=options.seed,
        enrolment_seconds=enrolment_s,
        on_frame=progress,
    )
    progress.done()
    if options.report:
        options.report.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    print(
        f"{options.out}: {report.seconds:.1f} s, {report.frames} frames, {1 / report.real_time_factor:.1f}x real time"
    )


def enroll(options: argparse.Namespace) -> None:
    """Stores a photo as an avatar."""
    from realtime import protocol
    from realtime.identities import AvatarStore

    store = AvatarStore(_config(options))
    points = protocol.anchors(_bytes(options.points)) if options.points else None
    avatar = store.add(_bytes(options.photo), options.name, style=manner(options, Style()), points=points)
    for note in avatar.quality:
        print(f"{note.severity}: {note.message}")
    print(f"stored as '{avatar.name}'; use it with --avatar {avatar.name}")


def visemes(options: argparse.Namespace) -> None:
    """What the encoder hears in a recording, as .npz."""
    import numpy as np

    from models.phonemes import PhonemeEncoder, speech_track

    encoder = PhonemeEncoder(options.device or "auto")
    track: dict[str, Any] = speech_track(_speech(options.audio), options.look_ahead_ms, encoder)
    with options.out.open("wb") as file:
        np.savez(file, **track)
    print(options.out)


def motion(options: argparse.Namespace) -> None:
    """The face's motion for a recording, as Live Link Face CSV."""
    from models import live_link
    from models.avatar import Avatar
    from realtime import sound
    from realtime.render import motion_frames

    frames = motion_frames(
        Avatar(options.device or "auto"),
        sound.chunks(sound.blocks(options.audio)),
        look_ahead_ms=options.look_ahead_ms,
        style=manner(options, Style()),
        seed=options.seed,
    )
    # All of it before the file is touched: a sound that breaks must not cost an older result.
    rows = [live_link.row(frame.index, frame.motion) for _, frame in frames]
    with options.out.open("w", newline="") as file:
        csv.writer(file).writerows([live_link.COLUMNS, *rows])
    print(options.out)


def landmarks(options: argparse.Namespace) -> None:
    """The faces of a picture, as JSON."""
    from models.landmarks import LandmarkModel
    from realtime import config
    from realtime.photos import decode_photo

    photo = decode_photo(_bytes(options.photo), config.load().avatars.max_pixels)
    faces = [
        {
            "box": [round(float(v), 2) for v in face.box],
            "score": round(float(face.score), 4),
            "indices": list(range(len(face.points))),
            "points": [[round(float(x), 2), round(float(y), 2)] for x, y in face.points],
        }
        for face in LandmarkModel(options.device or "auto").find(photo)
    ]
    height, width = photo.shape[:2]
    options.out.write_text(json.dumps({"width": width, "height": height, "faces": faces}) + "\n")
    print(f"{options.out}: {len(faces)} face{'' if len(faces) == 1 else 's'}")


def _config(options: argparse.Namespace, overrides: dict[str, object] | None = None) -> Config:
    from realtime import config

    device = getattr(options, "device", None)
    return config.load(options.config, {"engine.device": device} | (overrides or {}))


def manner(options: argparse.Namespace, base: Style) -> Style:
    """`base` with the flags that were given over it."""
    given = {name: getattr(options, name) for name in STYLE_NAMES}
    return Style.from_mapping({name: value for name, value in given.items() if value is not None}, base)


def _identity(options: argparse.Namespace, store: AvatarStore) -> Identity:
    """The face of `--photo` or `--avatar` at `--size`: from the cache where it was enrolled before."""
    photo = options.photo or store.find(options.avatar).photo
    return store.enroll(_bytes(photo), options.size)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadPhoto(f"cannot read {file}: {error.strerror}; check the path") from error


def _spoken(options: argparse.Namespace, config: Config) -> tuple[list[NDArray[np.float32]], list[tuple[int, Cue]]]:
    """`--text`, synthesized, and its marks. Raises BadRequest for a mark that is none."""
    from realtime import marks
    from realtime.errors import BadRequest
    from realtime.narration import narrate, placed
    from realtime.tts import synthesizer

    script = marks.parse(options.text)
    if script.mistakes:
        raise BadRequest(script.mistakes[0])

    async def gather() -> list[NDArray[np.float32] | Cue]:
        return [part async for part in narrate(script, synthesizer(config.tts), options.voice)]

    return placed(asyncio.run(gather()))


def _speech(audio: Path) -> NDArray[np.float32]:
    """All of a recording as the encoder hears it, 16 kHz."""
    import numpy as np

    from realtime import sound
    from realtime.dsp import Decimator

    decimator = Decimator()
    return np.concatenate([decimator.step(chunk) for chunk in sound.chunks(sound.blocks(audio))])
