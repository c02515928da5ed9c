"""What every process that serves does, the one before several media processes too, which loads no models.

Touches the log and the port that it opens.
"""

from __future__ import annotations

import logging
import signal
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from realtime.config import Config
from realtime.errors import BadConfig

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Place:
    """Of one media process among several (`front`): what the names and tokens of its sessions begin with, its Unix
    socket, its cores, and the folder of what all of them only read."""

    sign: str
    socket: Path
    cores: tuple[int, ...]
    shared: Path


def log_to_console() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("aioice").setLevel(logging.WARNING)


async def listen(runner: web.AppRunner, config: Config, words: str) -> None:
    """Opens the configured port and says where it is. Raises BadConfig."""
    site = web.TCPSite(runner, config.server.host, config.server.port)
    try:
        await site.start()
    except OSError as error:
        where = f"{config.server.host}:{config.server.port}"
        raise BadConfig(f"cannot listen on {where} ({error.strerror}); choose another --port") from error
    host = "localhost" if config.server.host in ("127.0.0.1", "0.0.0.0", "::") else config.server.host
    port = site.port if config.server.port == 0 else config.server.port
    print(f"Mouthpiece serves http://{host}:{port}{words}", flush=True)
