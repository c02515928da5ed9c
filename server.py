"""Mouthpiece: one photo, a live voice, a talking face.

The command line. It builds objects, wires them and runs them; everything else lives in `models` and `realtime`.
Heavy modules are imported by the command that needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.rates import DEFAULT_LOOK_AHEAD_MS, FPS, LOOK_AHEADS_MS
from models.style import FEELINGS, LOOKS, STYLE_NAMES, Style
from realtime.errors import BadPhoto, MouthpieceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.identity import Identity
    from realtime.config import Config
    from realtime.direction import Cue
    from realtime.identities import AvatarStore

EPILOGUE = """examples:
  mouthpiece serve                                         the demo page on http://localhost:8080
  mouthpiece render --photo me.jpg --audio talk.mp3 --out talk.mp4
  mouthpiece render --avatar iris --text "Good morning." --out hello.mp4
  mouthpiece enroll --photo me.jpg --name me               then use --avatar me anywhere
"""


STYLE_HELP = {
    "mouth": "how far speech opens the mouth: 0 still, 1 natural, 2 most",
    "head": "sway and nods: 0 still, 1 natural, 2 most",
    "gaze": "how far the eyes wander: 0 not at all, 1 natural, 2 most",
    "blink": "whether the eyes blink",
    "feeling": f"what shows in the face: {', '.join(FEELINGS)}; auto takes it from the voice",
    "intensity": "how strongly the feeling shows: 0 not at all, 1 natural, 2 most",
    "look": f"where the eyes are: {', '.join(LOOKS)}",
    "listening": "how loudly the other side speaks now, 0 to 1: the face looks at it and nods",
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="mouthpiece",
        description="One photo, a live voice, a talking face, in real time.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the page and the WebRTC sessions")
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default 8080)")
    serve.add_argument(
        "--processes",
        type=whole_number_or_auto,
        metavar="N",
        help="media processes, each on its own cores (default auto: one a core)",
    )
    _device(serve)
    _settings(serve)

    render = commands.add_parser("render", help="photo + sound (or text) to a film")
    _face(render)
    _sound(render, text=True)
    render.add_argument("--out", required=True, type=Path, help="the film to write, MP4")
    render.add_argument("--size", type=int, default=512, help="width and height of the picture, pixels (default 512)")
    render.add_argument("--report", type=Path, help="write frames, seconds, speed and per-stage times here, as JSON")
    render.add_argument("--seed", type=int, default=0, help="another seed gives other blinks and glances")
    _style(render)
    _look_ahead(render)
    _device(render)
    _settings(render)

    enroll = commands.add_parser("enroll", help="store a photo as an avatar, for --avatar and the page")
    enroll.add_argument("--photo", required=True, type=Path, help="portrait, any picture format")
    enroll.add_argument("--name", required=True, help="name to store it under: letters, digits, - and _")
    enroll.add_argument(
        "--points",
        type=Path,
        metavar="FILE",
        help="where the face is, for a painting in which none is found: JSON with left_eye, right_eye, "
        "left_mouth_corner, right_mouth_corner and chin, each [x, y] from 0 to 1 of the picture",
    )
    _style(enroll)
    _settings(enroll)

    visemes = commands.add_parser("visemes", help="what the streaming encoder hears, as NumPy arrays")
    _sound(visemes)
    visemes.add_argument("--out", required=True, type=Path, help="the .npz file to write")
    _look_ahead(visemes)
    _device(visemes)

    motion = commands.add_parser(
        "motion", help="the face's motion as 52 ARKit weights, head and eyes (Live Link Face CSV)"
    )
    _sound(motion)
    motion.add_argument("--out", required=True, type=Path, help="the CSV file to write")
    motion.add_argument("--seed", type=int, default=0, help="another seed gives other blinks and glances")
    _style(motion)
    _look_ahead(motion)
    _device(motion)

    landmarks = commands.add_parser("landmarks", help="faces in a picture and their 478 points")
    landmarks.add_argument("--photo", required=True, type=Path, help="picture, any format")
    landmarks.add_argument("--out", required=True, type=Path, help="the JSON file to write")
    _device(landmarks)
    return top


def _device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where networks run (default auto)")


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML (see docs/configuration.md)")


def _look_ahead(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--look-ahead-ms",
        type=int,
        choices=LOOK_AHEADS_MS,
        default=DEFAULT_LOOK_AHEAD_MS,
        help=f"how far the encoder may listen ahead (default {DEFAULT_LOOK_AHEAD_MS})",
    )


def _style(command: argparse.ArgumentParser) -> None:
    """A flag for every setting of `Style`; what they may be is checked there."""
    manner = command.add_argument_group("manner (by default the avatar's own)")
    for setting in fields(Style):
        flag, kind = f"--{setting.name.replace('_', '-')}", type(setting.default)
        if kind is bool:
            manner.add_argument(flag, action=argparse.BooleanOptionalAction, help=STYLE_HELP[setting.name])
        else:
            manner.add_argument(flag, type=kind, help=STYLE_HELP[setting.name])


def _face(command: argparse.ArgumentParser) -> None:
    face = command.add_mutually_exclusive_group(required=True)
    face.add_argument("--photo", type=Path, help="portrait, any picture format")
    face.add_argument("--avatar", metavar="NAME", help="a stored avatar")


def _sound(command: argparse.ArgumentParser, text: bool = False) -> None:
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--audio", type=Path, help="recording: wav, mp3, m4a, ogg, flac or a video file")
    if text:
        source.add_argument(
            "--text", help="say this instead of a recording; marks like [happy] or [pause 300] direct it"
        )
        command.add_argument("--voice", help="voice for --text (default: the configured one)")


def whole_number_or_auto(text: str) -> int:
    """A setting whose 0 means "as many as suit", as given on the command line."""
    return 0 if text == "auto" else int(text)


def serve(options: argparse.Namespace) -> None:
    # Before NumPy is loaded: OpenBLAS' second thread waits by spinning, which costs a live session a whole core, and
    # inference and enrolment calling it at once from two threads can lock each other out for good.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
    import cv2

    from models.avatar import Avatar
    from models.generator import FrameGenerator
    from realtime import render as film
    from realtime import sound
    from realtime.errors import BadRequest
    from realtime.identities import AvatarStore
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
    style = _manner(options, store.find(options.avatar).style if options.avatar else Style())
    generator = FrameGenerator(_identity(options, store))
    enrolment_s = time.perf_counter() - started

    progress = _Progress(seconds)
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
    from realtime import protocol
    from realtime.identities import AvatarStore

    store = AvatarStore(_config(options))
    points = protocol.anchors(_bytes(options.points)) if options.points else None
    avatar = store.add(_bytes(options.photo), options.name, style=_manner(options, Style()), points=points)
    for note in avatar.quality:
        print(f"{note.severity}: {note.message}")
    print(f"stored as '{avatar.name}'; use it with --avatar {avatar.name}")


def visemes(options: argparse.Namespace) -> None:
    import numpy as np

    from models.phonemes import PhonemeEncoder, speech_track

    encoder = PhonemeEncoder(options.device or "auto")
    track: dict[str, Any] = speech_track(_speech(options.audio), options.look_ahead_ms, encoder)
    with options.out.open("wb") as file:
        np.savez(file, **track)
    print(options.out)


def motion(options: argparse.Namespace) -> None:
    from models import live_link
    from models.avatar import Avatar
    from realtime import sound
    from realtime.render import motion_frames

    frames = motion_frames(
        Avatar(options.device or "auto"),
        sound.chunks(sound.blocks(options.audio)),
        look_ahead_ms=options.look_ahead_ms,
        style=_manner(options, Style()),
        seed=options.seed,
    )
    # All of it before the file is touched: a sound that breaks must not cost an older result.
    rows = [live_link.row(frame.index, frame.motion) for _, frame in frames]
    with options.out.open("w", newline="") as file:
        csv.writer(file).writerows([live_link.COLUMNS, *rows])
    print(options.out)


def landmarks(options: argparse.Namespace) -> None:
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


def _manner(options: argparse.Namespace, base: Style) -> Style:
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


class _Progress:
    """A progress bar on standard error, where that is a terminal."""

    WIDTH = 40

    def __init__(self, seconds: float | None) -> None:
        self._total = int(seconds * FPS) if seconds else None
        self._started = time.perf_counter()
        self._shown = sys.stderr.isatty()

    def __call__(self, frames: int) -> None:
        if not self._shown or frames % 5:
            return
        speed = frames / FPS / max(time.perf_counter() - self._started, 1e-6)
        bar = ""
        if self._total:
            full = min(frames * self.WIDTH // self._total, self.WIDTH)
            bar = "[" + "#" * full + "." * (self.WIDTH - full) + "] "
        print(f"\r{bar}{frames / FPS:6.1f} s  {speed:4.1f}x real time", end="", file=sys.stderr)

    def done(self) -> None:
        if self._shown:
            print(file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Runs a command. A user's mistake is one sentence on standard error and exit status 2."""
    options = parser().parse_args(arguments)
    command = {
        "serve": serve,
        "render": render,
        "enroll": enroll,
        "visemes": visemes,
        "motion": motion,
        "landmarks": landmarks,
    }[options.command]
    try:
        command(options)
    except KeyboardInterrupt:
        return 130
    except (MouthpieceError, ValueError, OSError, RuntimeError) as error:
        print(f"mouthpiece: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
