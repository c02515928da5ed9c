"""The command line: its commands and flags, and what they say about themselves.

Values only: nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from models.rates import DEFAULT_LOOK_AHEAD_MS, LOOK_AHEADS_MS
from models.style import FEELINGS, LOOKS, Style

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
    """Parses to a namespace whose `command` names a function of `realtime.commands`."""
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
        type=_whole_number_or_auto,
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


def _whole_number_or_auto(text: str) -> int:
    """A setting whose 0 means "as many as suit", as given on the command line."""
    return 0 if text == "auto" else int(text)
