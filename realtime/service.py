"""Builds a whole server from its configuration and runs it: models, engine, avatars, sessions, HTTP.

The only module that knows all the others. `run` is `mouthpiece serve`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
from aiohttp import web

from models.generator import FrameGenerator
from realtime import beside, capacity, cores, memory
from realtime.config import Config
from realtime.engine import LEAST_MEASURED, Engine, Stepper
from realtime.errors import MouthpieceError
from realtime.films import COMMAND, Films
from realtime.hosting import STOP_SIGNALS, Place, listen, log_to_console
from realtime.identities import AvatarStore
from realtime.identity_cache import IdentityCache, WarmAvatar, warm
from realtime.metrics import Metrics
from realtime.sessions import PeerMaker, Sessions
from realtime.shared import Shared
from realtime.tts import SpeechSynthesizer, synthesizer
from realtime.voice_activity import VoiceDetector

log = logging.getLogger(__name__)

WATCH_S = 0.25
SWITCH_INTERVAL_S = 0.001
"""How long the inference thread may hold the interpreter while the event loop waits for it."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the HTTP routes serve. enrolling: one enrolment at a time, for its memory and its cores."""

    config: Config
    metrics: Metrics
    engine: Engine
    store: AvatarStore
    avatars: IdentityCache
    synthesizer: SpeechSynthesizer
    sessions: Sessions
    films: Films
    enrolling: asyncio.Lock

    @staticmethod
    def build(
        config: Config,
        stepper: Stepper | None = None,
        store: AvatarStore | None = None,
        speech: SpeechSynthesizer | None = None,
        make_peer: PeerMaker | None = None,
        load_avatar: Callable[[str], WarmAvatar] | None = None,
        film_command: Sequence[str] = COMMAND,
        place: Place | None = None,
    ) -> Service:
        """Loads the models (blocking). Whatever is given takes the place of the real thing. place: among several."""
        prepare = None
        if stepper is None:
            from models.avatar import Avatar

            chosen = config.engine
            avatar = Avatar(
                chosen.device,
                chosen.threads,
                chosen.drawing_threads or cores.count(),
                chosen.gpu_cache_bytes,
                chosen.capacity or capacity.MOST,
            )
            stepper, prepare = avatar, avatar.prepare
        if make_peer is None:
            from realtime.webrtc import Peer

            make_peer = Peer
        kept = store or AvatarStore(config)
        speech = speech or synthesizer(config.tts)
        metrics = Metrics()
        least = 1 if place else LEAST_MEASURED
        engine = Engine(stepper, VoiceDetector(), config.engine.capacity, metrics, least)
        load = load_avatar or _loader(config, kept, place)
        if prepare:
            load = _prepared(load, prepare)
        avatars = IdentityCache(load, config.avatars.cache_bytes, metrics)
        shared = Shared(engine, speech, metrics, avatars.get, kept.style, config.session)
        sessions = Sessions(shared, make_peer, config.media, kept.default, place.sign if place else "")
        films = Films(config, speech, film_command)
        return Service(config, metrics, engine, kept, avatars, speech, sessions, films, asyncio.Lock())

    async def start(self) -> None:
        self.films.start()
        seconds = await self.engine.start()
        log.info("models ready: %.1f ms a step without picture", seconds * 1000)

    async def watch_loop(self) -> None:
        """Measures how late the event loop is for its timers, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + WATCH_S
            await asyncio.sleep(WATCH_S)
            self.metrics.loop_lag_s.observe(max(loop.time() - due, 0.0))

    async def warm_up(self) -> None:
        """Makes every avatar that ships ready to draw, one after the other; the first one shows what fits here."""
        measured = False
        for avatar in await asyncio.to_thread(self.store.list):
            if avatar.builtin:
                try:
                    ready = await self.avatars.get(avatar.name)
                    if not measured:
                        measured = True
                        await self.engine.measure(ready.generator)
                        log.info("room for %d sessions at once", self.engine.capacity)
                except MouthpieceError as error:
                    log.warning("the avatar '%s' cannot be used: %s", avatar.name, error)
                except Exception:
                    log.exception("the avatar '%s' could not be made ready", avatar.name)

    async def stop(self) -> None:
        """Drains the sessions and ends the engine."""
        drain_s = self.config.server.drain_s
        log.info("stopping: %d sessions on air, %g s for what is being said", len(self.sessions), drain_s)
        cut_off = await self.sessions.drain(drain_s)
        await self.films.stop()
        await self.engine.stop()
        log.info("stopped; %d sessions were cut off in the middle of their speech", cut_off)


def _loader(config: Config, store: AvatarStore, place: Place | None) -> Callable[[str], WarmAvatar]:
    """Name to avatar, ready to draw; among several processes one makes it and all share it."""
    if place is None:
        return lambda name: warm(name, store.identity(name))
    from realtime.warm_files import WarmFiles

    files = WarmFiles(place.shared, config.avatars.cache_bytes)
    return lambda name: files.get(f"{name}-{store.key(name)}", lambda: warm(name, store.identity(name)))


def _prepared(
    load: Callable[[str], WarmAvatar], prepare: Callable[[FrameGenerator], None]
) -> Callable[[str], WarmAvatar]:
    """The same, each face made ready for the device that draws it."""

    def loaded(name: str) -> WarmAvatar:
        avatar = load(name)
        prepare(avatar.generator)
        return avatar

    return loaded


SERVICE = web.AppKey("service", Service)
"""Where an application keeps its service."""


Build = Callable[..., Service]
"""Makes a service of a configuration; takes a keyword `place` where there are several processes."""


def set_up() -> None:
    """What a process that serves does first."""
    log_to_console()
    memory.keep_few_pools()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # Rows of a batch are drawn side by side; OpenCV's own threads would only wait for the same cores.
    cv2.setNumThreads(1)


def run(config: Config, build: Build = Service.build) -> None:
    """Serves until SIGINT or SIGTERM."""
    import uvloop

    set_up()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, build, None))


def run_at(place: Place, config: Config, build: Build = Service.build) -> None:
    """Serves as one process among several, until SIGTERM, or until the front is gone."""
    import uvloop

    cores.pin(place.cores)
    set_up()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, build, place))


async def _prepare(service: Service) -> None:
    await service.warm_up()
    memory.settle()


async def _orphaned(stop: asyncio.Event) -> None:
    """Stops a process whose front is gone."""
    parent = os.getppid()
    while True:
        await asyncio.sleep(1.0)
        if os.getppid() != parent:
            stop.set()


async def _serve(config: Config, build: Build, place: Place | None) -> None:
    from realtime.routes import create_app

    beside.keep_waiting_threads()
    service = build(config, place=place) if place else build(config)
    await service.start()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    app = create_app(config, service)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        if place:
            await web.UnixSite(runner, str(place.socket)).start()
        else:
            await listen(runner, config, "")
        works = [_prepare(service), service.watch_loop(), *([_orphaned(stop)] if place else [])]
        tasks = [asyncio.create_task(work) for work in works]
        await stop.wait()
        # A second signal ends the process at once.
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
        for task in tasks:
            task.cancel()
        await service.stop()
    finally:
        await runner.cleanup()
