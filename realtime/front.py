"""One address for several media processes: every call is passed on to the process whose session it is about.

Starts and watches the processes, each on cores of its own and on a Unix socket; media goes straight to them, only calls
and sockets pass here. Which process a session is in stands in its name and its token (`w2-…`), so nothing is
remembered. A process that dies takes its sessions with it and is started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import multiprocessing
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from realtime import cores, passing
from realtime.config import Config
from realtime.errors import BadConfig, Busy, MouthpieceError
from realtime.hosting import STOP_SIGNALS, Place, listen, log_to_console

log = logging.getLogger(__name__)

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
SIGN = re.compile(r"w(\d+)-")
OFFER_BYTES = 300_000
START_S = 120.0
STOP_S = 15.0
WATCH_S, LOOK_S = 0.5, 0.05
"""How often a process is looked at, and how often while it starts."""


IDLE_S = 5.0
"""A connection to a process that is not used for so long is closed, at the latest after twice the time."""


class Process:
    """One media process. sessions, capacity: as it last said, with what was sent to it since. sent: in all."""

    def __init__(
        self, index: int, folder: Path, cores: Sequence[int], config: Config, start: Callable[[Place, Config], Any]
    ) -> None:
        self.index = index
        self.sessions = self.sent = 0
        self.capacity = 1
        self.is_ready = False
        self._start, self._config = start, config
        self._place = Place(f"w{index}-", folder / f"{index}.sock", tuple(cores), folder)
        self._running: Any = None
        self.http = self._client(limit=0)
        # Looks go by a connection of their own: taken from those that requests left, in turn, none of these would ever
        # be idle for long enough to be closed.
        self._looks = self._client(limit=1)

    def _client(self, limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            "http://process",
            connector=aiohttp.UnixConnector(str(self._place.socket), limit=limit, keepalive_timeout=IDLE_S),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    def start(self) -> None:
        self.is_ready = False
        self._place.socket.unlink(missing_ok=True)
        self._running = self._start(self._place, self._config)
        self._running.start()

    async def look(self) -> None:
        """How it is doing; starts it again if it is dead."""
        if not self._running.is_alive():
            log.error("process %d has died; its sessions are gone", self.index)
            self.start()
        before = self.sent
        try:
            async with self._looks.get("/healthz", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                said = await answer.json()
            # What was sent to it meanwhile may be in its answer or not.
            self.sessions = said["sessions"] + self.sent - before
            self.capacity, self.is_ready = said["capacity"], True
        except (aiohttp.ClientError, TimeoutError):
            self.is_ready = False

    async def stop(self, seconds: float) -> None:
        """Asks it to drain; ends it by force after so long."""
        self._running.terminate()
        await asyncio.to_thread(self._running.join, seconds)
        if self._running.is_alive():
            log.error("process %d did not stop within %g s", self.index, seconds)
            self._running.kill()
        await self.http.close()
        await self._looks.close()


class Front:
    """The application, and the processes behind it."""

    def __init__(self, config: Config, start: Callable[[Place, Config], Any], folder: Path) -> None:
        count = config.server.processes
        groups = [tuple(group) for group in _groups(cores.available(), count)]
        self._config = config
        self._processes = [
            Process(index, folder, groups[index], part, start) for index, part in enumerate(parts(config, count))
        ]
        self._watching: asyncio.Task[None] | None = None
        self.app = web.Application(middlewares=[_answer_errors], client_max_size=OFFER_BYTES)
        self.app.router.add_get("/healthz", self._health)
        self.app.router.add_get("/metrics", self._metrics)
        self.app.router.add_post("/sessions", self._begin)
        self.app.router.add_route("*", "/{path:.*}", self._pass_on)

    async def start(self) -> None:
        """Starts the processes and waits for the first. Raises BadConfig.

        All at once: each measures what it carries while the others do, and so, as it will be when all are busy.
        """
        first = self._processes[0]
        for process in self._processes:
            process.start()
        for _ in range(round(START_S / LOOK_S)):
            await first.look()
            if first.is_ready:
                break
            await asyncio.sleep(LOOK_S)
        else:
            raise BadConfig("the media process did not start; the log above says why")
        self._watching = asyncio.create_task(self._watch(), name="watch processes")

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
        limit_s = self._config.server.drain_s + STOP_S
        await asyncio.gather(*(process.stop(limit_s) for process in self._processes))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await asyncio.gather(*(process.look() for process in self._processes))

    def _of(self, name: str) -> Process:
        """The process that a session's name or token tells of; the first for names that tell of none."""
        found = SIGN.match(name)
        index = int(found[1]) if found and len(found[1]) < 4 else 0
        return self._processes[index if index < len(self._processes) else 0]

    def _emptiest(self) -> list[Process]:
        """The processes that are ready, the emptiest first."""
        ready = [process for process in self._processes if process.is_ready]
        return sorted(ready, key=lambda process: process.sessions / process.capacity)

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        """A new session goes to the emptiest process, a resumed one to its own."""
        body = await request.read()
        token = request.query.get("resume_token", "")
        if request.content_type == "application/json":
            with contextlib.suppress(ValueError, RecursionError):
                said = json.loads(body)
                token = str(said.get("resume_token") or "") if isinstance(said, dict) else ""
        if token:
            return await passing.forward(request, self._of(token).http, body)
        refusal: MouthpieceError = Busy("no media process is ready; try again in a moment")
        for process in self._emptiest():
            process.sessions += 1
            process.sent += 1
            try:
                headers = passing.headers_of(request.headers.items())
                answer = await process.http.request("POST", request.raw_path, data=body, headers=headers)
            except aiohttp.ClientError:
                continue
            if answer.status != Busy.status:
                process.sessions -= answer.status != 201
                return await passing.passed_back(request, answer)
            answer.release()
            refusal = Busy("all places are taken; try again in a moment")
        raise refusal

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.split("/")
        if parts[1] == "warm":
            raise web.HTTPNotFound
        process = self._of(parts[2]) if parts[1] == "sessions" and len(parts) > 2 else self._processes[0]
        if parts[1] == "avatars" and request.method == "POST":
            # Enrolment takes a second or two of a process: of the one that fewest sessions would notice it in.
            process = next(iter(self._emptiest()), process)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await passing.carry_socket(request, process.http, is_live=request.path.endswith("/motion"))
        answer = await passing.forward(request, process.http, request.content if request.body_exists else None)
        if parts[1] == "avatars" and request.method in ("POST", "DELETE") and answer.status < 300:
            name = parts[2] if len(parts) > 2 else answer.headers.get("Location", "/avatars/").split("/")[2]
            for other in [other for other in self._processes if other is not process]:
                with contextlib.suppress(aiohttp.ClientError):
                    async with other.http.delete(f"/warm/{name}"):
                        pass
        return answer

    async def _health(self, request: web.Request) -> web.Response:
        await asyncio.gather(*(process.look() for process in self._processes))
        async with self._processes[0].http.get("/healthz") as answer:
            said = await answer.json()
        for name in ("sessions", "capacity"):
            said[name] = sum(getattr(process, name) for process in self._processes if process.is_ready)
        return web.json_response(said | {"processes": sum(process.is_ready for process in self._processes)})

    async def _metrics(self, request: web.Request) -> web.Response:
        texts = {}
        for process in self._processes:
            with contextlib.suppress(aiohttp.ClientError):
                async with process.http.get("/metrics") as answer:
                    texts[str(process.index)] = await answer.text()
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=merged(texts).encode(), headers=headers)


def merged(texts: dict[str, str]) -> str:
    """The metrics of several processes as one page; each sample says whose it is in the label `process`."""
    heads: dict[str, str] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        for family in text_string_to_metric_families(text):
            name = family.name + "_total" * (family.type == "counter")
            heads[name] = f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n"
            for sample in family.samples:
                labels = {**sample.labels, "process": process}
                told = ",".join(f'{key}="{value.translate(ESCAPES)}"' for key, value in labels.items())
                samples.setdefault(name, []).append(f"{sample.name}{{{told}}} {sample.value}\n")
    return "".join(head + "".join(samples.get(name, [])) for name, head in heads.items())


def parts(config: Config, count: int) -> list[Config]:
    """The settings of each of so many processes: of `engine.capacity`, where it is given, each gets its part."""
    whole = config.engine.capacity
    shares = [whole // count + (index < whole % count) for index in range(count)]
    return [replace(config, engine=replace(config.engine, capacity=share)) for share in shares]


def _groups(cores: Sequence[int], count: int) -> list[Sequence[int]]:
    """The cores in so many groups of neighbours; where there are too few, everybody has all."""
    if len(cores) < count:
        return [cores] * count
    bounds = [len(cores) * place // count for place in range(count + 1)]
    return [cores[low:high] for low, high in itertools.pairwise(bounds)]


@web.middleware
async def _answer_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)
    except MouthpieceError as error:
        answer = error
    except aiohttp.ClientError:
        answer = Busy("the process of this session is not there; if it does not come back, start a new one")
    except web.HTTPException as error:
        words = {404: "there is nothing here", 413: "the request is too large; send less"}.get(
            error.status, error.reason
        )
        return web.json_response({"error": {"code": "refused", "message": words}}, status=error.status)
    return web.json_response(answer.body(), status=answer.status, headers=answer.headers)


def _run_at(place: Place, *arguments: Any) -> None:
    """In a media process: only there are the models loaded."""
    from realtime.service import run_at

    run_at(place, *[argument for argument in arguments if argument is not None])


def run(config: Config, build: Callable[..., Any] | None = None) -> None:
    """Serves until SIGINT or SIGTERM, with `server.processes` media processes. build: `service.Build`."""
    log_to_console()
    with tempfile.TemporaryDirectory(prefix="mouthpiece-") as folder, asyncio.Runner() as runner:
        runner.run(_serve(config, build, Path(folder)))


async def _serve(config: Config, build: Callable[..., Any] | None, folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")

    def process(place: Place, config: Config) -> Any:
        return spawn.Process(target=_run_at, args=(place, config, build), daemon=True)

    front = Front(config, process, folder)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(front.app, shutdown_timeout=1.0)
    try:
        await front.start()
        await runner.setup()
        await listen(runner, config, f" with {config.server.processes} processes")
        await stop.wait()
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
    finally:
        await front.stop()
        await runner.cleanup()
