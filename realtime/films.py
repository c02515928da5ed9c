"""Films made on request: a bounded queue, one at a time, each in a process that yields to the live sessions.

Touches a folder of its own in the data folder, which other servers may share, and child processes
(`realtime.film_job`). A film is kept for a while and then forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import secrets
import shutil
import sys
import time
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.rates import FPS
from realtime import marks, sound
from realtime.config import Config
from realtime.dsp import to_int16
from realtime.errors import BadMessage, BadRequest, Busy, NotFound, StorageFailed, TooLarge
from realtime.film_job import FILM, JOB, PHOTO, SOUND
from realtime.narration import narrate, placed
from realtime.timebase import AUDIO_RATE
from realtime.tts import SpeechSynthesizer

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "realtime.film_job")
LOOK_AHEAD_MS = 200
"""A film waits for nobody, so the encoder may hear as far ahead as it can."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A film to be made: of a photo or a stored avatar, with a sound file or a text (with marks, and a voice)."""

    style: Mapping[str, Any]
    photo: bytes | None = None
    avatar: str | None = None
    audio: bytes | None = None
    text: str | None = None
    voice: str | None = None


@dataclass(slots=True, eq=False)
class Film:
    """state: `waiting`, `working`, `done` or `failed`. progress: 0..1. error: what went wrong, as HTTP says it."""

    id: str
    folder: Path
    state: str = "waiting"
    progress: float = 0.0
    seconds: float = 0.0
    error: dict[str, Any] | None = None
    made_at: float = field(default_factory=time.monotonic)
    process: asyncio.subprocess.Process | None = None

    @property
    def file(self) -> Path:
        return self.folder / FILM

    def body(self) -> dict[str, Any]:
        """The JSON of the protocol."""
        said: dict[str, Any] = {"id": self.id, "state": self.state, "progress": round(self.progress, 3)}
        said["seconds"] = round(self.seconds, 2)
        if self.state == "done":
            said["film"] = f"/films/{self.id}/film.mp4"
        return said | (self.error or {})


class Films:
    """All of a server's. All methods belong to the event loop. command: what makes one, given its folder."""

    def __init__(self, config: Config, synthesizer: SpeechSynthesizer, command: Sequence[str] = COMMAND) -> None:
        self._config = config
        self._synthesizer = synthesizer
        self._command = command
        self._folder = config.avatars.data_dir / "films" / secrets.token_hex(4)
        self._films: dict[str, Film] = {}
        self._queue: asyncio.Queue[Film] = asyncio.Queue()
        self._preparing = 0
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._remove_leftovers()
        self._worker = asyncio.create_task(self._work(), name="films")

    async def stop(self) -> None:
        """Ends what is being made and forgets all."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._folder, True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()

    async def add(self, wanted: Wanted) -> Film:
        """Queues a film. Raises Busy when the queue is full, BadMessage (marks), BadSound, TooLarge (too long),
        SynthesisFailed, StorageFailed."""
        self.require_room()
        self._preparing += 1
        film = Film(secrets.token_urlsafe(12), self._folder / secrets.token_hex(8))
        try:
            await self._prepare(film, wanted)
        except BaseException as error:
            shutil.rmtree(film.folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise StorageFailed(f"the film could not be begun ({error.strerror}); free some disk space") from error
            raise
        finally:
            self._preparing -= 1
        self._films[film.id] = film
        self._queue.put_nowait(film)
        return film

    def require_room(self) -> None:
        """Raises Busy when the queue is full; to be asked before an upload is read."""
        self._forget_old()
        ahead = self._preparing + sum(film.state in ("waiting", "working") for film in self._films.values())
        if ahead > self._config.films.max_waiting:
            raise Busy("many films are being made already; try again in a minute", retry_after_s=60)

    def find(self, film_id: str) -> Film:
        """Raises NotFound."""
        film = self._films.get(film_id)
        if film is None:
            raise NotFound("there is no such film; films are kept for a while only, so make it again", "unknown_film")
        return film

    async def remove(self, film_id: str) -> None:
        """Stops making a film, or deletes it. Raises NotFound."""
        self._discard(self.find(film_id))

    async def _prepare(self, film: Film, wanted: Wanted) -> None:
        cues: list[tuple[int, Any]] = []
        film.folder.mkdir(parents=True)
        if wanted.photo is not None:
            (film.folder / PHOTO).write_bytes(wanted.photo)
        if wanted.audio is not None:
            film.seconds = await asyncio.to_thread(_duration_s, wanted.audio)
            (film.folder / SOUND).write_bytes(wanted.audio)
        else:
            script = marks.parse(wanted.text or "")
            if script.mistakes:
                raise BadMessage(script.mistakes[0])
            if script.is_empty:
                raise BadMessage("there is nothing to say beside the marks; add words or a pause")
            parts = [part async for part in narrate(script, self._synthesizer, wanted.voice)]
            blocks, placed_cues = placed(parts)
            cues = [(index, dict(cue.settings)) for index, cue in placed_cues]
            film.seconds = sum(map(len, blocks)) / AUDIO_RATE
            if not blocks:
                raise BadRequest("there is nothing to say in this text; write some words")
            _write_wave(film.folder / SOUND, np.concatenate(blocks))
        if film.seconds > self._config.films.max_s:
            raise TooLarge(f"a film lasts at most {self._config.films.max_s / 60:g} minutes; make it in parts")
        job = {
            "avatar": wanted.avatar,
            "size_px": self._config.avatars.size_px,
            "style": dict(wanted.style),
            "cues": cues,
            "look_ahead_ms": LOOK_AHEAD_MS,
            "device": self._config.engine.device,
            "max_s": self._config.films.max_s,
            "data_dir": str(self._config.avatars.data_dir),
        }
        (film.folder / JOB).write_text(json.dumps(job))

    async def _work(self) -> None:
        while True:
            film = await self._queue.get()
            if film.id not in self._films:
                continue
            try:
                await self._make(film)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("a film could not be made")
            _keep_the_film_only(film.folder)
            if film.state != "done":
                film.state = "failed"
                film.error = film.error or {
                    "error": {"code": "film_failed", "message": "this film failed on the server; try it again"}
                }

    async def _make(self, film: Film) -> None:
        film.state = "working"
        film.process = process = await asyncio.create_subprocess_exec(
            *self._command, str(film.folder), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        assert process.stdout is not None
        frames = max(1, math.ceil(film.seconds * FPS))
        try:
            async for line in process.stdout:
                said = json.loads(line)
                if film.seconds:
                    film.progress = min(said.get("frames", 0) / frames, 0.99)
                film.error = {"error": said["error"]} if "error" in said else None
            if await process.wait() == 0 and film.file.exists():
                film.state, film.progress = "done", 1.0
        finally:
            film.process = None
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _remove_leftovers(self) -> None:
        """Films of servers that did not end in peace, once nobody can be waiting for them."""
        for folder in self._folder.parent.glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > self._config.films.keep_s:
                    shutil.rmtree(folder)

    def _forget_old(self) -> None:
        limits, now = self._config.films, time.monotonic()
        finished = [film for film in self._films.values() if film.state in ("done", "failed")]
        too_many = len(finished) - limits.max_kept
        for place, film in enumerate(finished):
            if now - film.made_at > limits.keep_s or place < too_many:
                self._discard(film)

    def _discard(self, film: Film) -> None:
        self._films.pop(film.id, None)
        if film.process:
            film.process.kill()
        shutil.rmtree(film.folder, ignore_errors=True)


def _keep_the_film_only(folder: Path) -> None:
    """What was sent is not kept."""
    for left in folder.glob("*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif left.name != FILM:
            left.unlink(missing_ok=True)


def _duration_s(audio: bytes) -> float:
    """Raises BadSound."""
    return sound.duration_s(audio) or 0.0


def _write_wave(file: Path, samples: np.ndarray) -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(AUDIO_RATE)
        out.writeframes(to_int16(samples).astype("<i2").tobytes())
