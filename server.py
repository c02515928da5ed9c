"""Mouthpiece: one photo, a live voice, a talking face.

The entry: reads the command line and runs the command. Everything else lives in `models` and `realtime`.
"""

from __future__ import annotations

import os
import sys

from realtime import arguments, commands
from realtime.errors import MouthpieceError

COMMANDS = {
    "serve": commands.serve,
    "render": commands.render,
    "enroll": commands.enroll,
    "visemes": commands.visemes,
    "motion": commands.motion,
    "landmarks": commands.landmarks,
}


def main(words: list[str] | None = None) -> int:
    """Runs a command. A user's mistake is one sentence on standard error and exit status 2."""
    options = arguments.parser().parse_args(words)
    # Before NumPy is loaded: OpenBLAS' second thread waits by spinning, which costs a live session a whole core and a
    # film half its speed, and inference and enrolment calling it at once can lock each other out for good.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return 130
    except (MouthpieceError, ValueError, OSError, RuntimeError) as error:
        print(f"mouthpiece: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
