"""One avatar on air: every 40 ms a chunk of sound goes in, and one of sound and picture comes out, `delay_s` later.

Touches the event loop and its clock; everything that it decides is in the pure modules it holds. It outlives its
connections for a while, so that a client can come back; what fails in it ends it alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.rates import FPS, look_ahead_chunks
from models.style import Style
from realtime.engine import Engine, StepResult
from realtime.errors import Busy, MouthpieceError
from realtime.identity_cache import WarmAvatar
from realtime.inbox import Inbox, InboxChunk, Origin
from realtime.latency import LatencyMeter
from realtime.metrics import Metrics
from realtime.playout import Action, Picture, Playout
from realtime.protocol import Restyle, apply_style
from realtime.speaker import PcmFeed, Speaker
from realtime.speech_queue import Utterance
from realtime.subscription import Subscription
from realtime.timebase import AUDIO_RATE
from realtime.tts import SpeechSynthesizer
from realtime.voice_activity import SpeechStarted, VoiceDetector, VoiceState

if TYPE_CHECKING:
    from realtime.config import SessionConfig
    from realtime.connection import Connection

log = logging.getLogger(__name__)

LISTENING_S = 1.0
"""A microphone counts as open for so long after its last sound."""

HUSH_FRAMES = 2
"""Frames that an interrupt takes to shut the mouth, and that speech takes to open it again."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a server use together. load_avatar raises NotFound, BadPhoto."""

    engine: Engine
    detector: VoiceDetector
    synthesizer: SpeechSynthesizer
    metrics: Metrics
    load_avatar: Callable[[str], Awaitable[WarmAvatar]]
    config: SessionConfig


class Session:
    """Created by the registry, `start`ed once, over when `ended` is set. All methods belong to the event loop."""

    def __init__(
        self, session_id: str, avatar: WarmAvatar, look_ahead_ms: int, shared: Shared, on_end: Callable[[Session], None]
    ) -> None:
        """Takes a slot. Raises Busy when there is none."""
        config = shared.config
        self.id = session_id
        self.resume_token = secrets.token_urlsafe(18)
        self.config = config
        self.ended = asyncio.Event()
        self._shared = shared
        self._avatar = avatar
        self._look_ahead_ms = look_ahead_ms
        self._delay_chunks = look_ahead_chunks(look_ahead_ms)
        self._on_end = on_end
        self._inbox = Inbox(config.microphone_queue_ms, config.speech_queue_s, config.speech_lead_ms)
        self._speaker = Speaker(self._inbox.speech, shared.synthesizer, self._tell_error)
        self._voice = VoiceState()
        self._style = Style()
        self._hushed_from = self._hushed_until = -FPS
        self._state = "idle"
        self._microphone_at = float("-inf")
        self._latency = LatencyMeter(self._delay_chunks)
        self._picture: Picture = avatar.picture
        self._at_release: deque[tuple[int, Callable[[], None]]] = deque()
        self._subscriptions: set[Subscription] = set()
        self._connections: list[Connection] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._guests: set[Callable[[], Awaitable[Any]]] = set()
        self._loop = asyncio.get_running_loop()
        self._begun_at = now = self.now()
        self._playout = Playout(now, self._delay_chunks, config.margin_ms / 1000, avatar.picture)
        self._alone_until = now + config.connect_timeout_s
        self._slot = shared.engine.open(secrets.randbits(31), look_ahead_ms, self._on_frame, self._on_failure)

    def start(self) -> None:
        self._shared.metrics.sessions_started.inc()
        self.begin(self._run())

    def now(self) -> float:
        return self._loop.time()

    @property
    def avatar(self) -> str:
        return self._avatar.name

    @property
    def metrics(self) -> Metrics:
        return self._shared.metrics

    @property
    def state(self) -> str:
        """idle, listening (a microphone is open) or speaking."""
        return self._state

    @property
    def is_over(self) -> bool:
        return self._slot.closed

    def hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "session": self.id,
            "avatar": self._avatar.name,
            "size": list(self._avatar.size_px),
            "fps": FPS,
            "look_ahead_ms": self._look_ahead_ms,
            "state": self._state,
        }

    def push_microphone(self, samples: NDArray[np.int16], at_samples: int) -> None:
        """(n,) int16 mono at 48 kHz; `at_samples` is the first one's place in the sender's timeline."""
        now = self.now()
        self._microphone_at = now
        self._inbox.microphone.push(samples, at_samples, now)

    async def speak(self, text: str, voice: str | None) -> None:
        """Queues a text after what is being said. Raises TooMuchWaiting, SynthesisFailed, BadRequest (voice)."""

        def on_end(played: bool) -> None:
            if played:
                self.broadcast({"type": "spoken", "text": text})

        await self._speaker.say(text, voice, on_end)

    def open_pcm(self) -> PcmFeed:
        """A feed of live PCM; its owner closes it."""
        return PcmFeed(self._inbox.speech)

    def interrupt(self) -> None:
        """Drops all speech that waits, silences what is on its way out and shuts the mouth."""
        self._shared.metrics.interrupts.inc()
        self._speaker.cancel()
        for utterance in self._inbox.clear():
            _tell_end(utterance, played=False)
        self._playout.hush()
        first = self._playout.next_take - self._delay_chunks
        if first >= self._hushed_until:
            self._hushed_from = first
        self._hushed_until = self._playout.next_take
        self.broadcast({"type": "interrupted"})

    async def restyle(self, request: Restyle) -> dict[str, Any]:
        """Changes style and avatar; returns what is in force. Raises BadMessage, NotFound, BadPhoto."""
        style = apply_style(request.settings, self._style)
        if request.avatar and request.avatar != self._avatar.name:
            self._avatar = await self._shared.load_avatar(request.avatar)
            for subscription in self._subscriptions:
                subscription.size_px = self._avatar.size_px
            self.broadcast(self.hello())
        self._style = style
        return self.style()

    def style(self) -> dict[str, Any]:
        names = Style.__dataclass_fields__
        return {**{name: getattr(self._style, name) for name in names}, "avatar": self._avatar.name}

    def subscribe(self) -> Subscription:
        """A viewer's MediaSource. Raises Busy when there are too many."""
        if len(self._subscriptions) >= self.config.max_viewers:
            raise Busy(f"this session has {self.config.max_viewers} viewers already; close one first")
        subscription = Subscription(self._avatar.size_px, self._picture, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    def add_connection(self, connection: Connection) -> list[Connection]:
        """A new connection; a speaker's takes over from the speakers before, which are returned to be closed."""
        replaced = [other for other in self._connections if connection.is_speaker and other.is_speaker]
        self._connections = [other for other in self._connections if other not in replaced] + [connection]
        return replaced

    def remove_connection(self, connection: Connection) -> None:
        """The connection is gone. Without a speaker's the session waits `resume_s` for one to come back."""
        if connection in self._connections:
            self._connections.remove(connection)
            if connection.is_speaker:
                self._alone_until = self.now() + self.config.resume_s

    def at_end(self, close: Callable[[], Awaitable[Any]]) -> None:
        """`close` is called when the session ends, unless `not_at_end` takes it back."""
        self._guests.add(close)

    def not_at_end(self, close: Callable[[], Awaitable[Any]]) -> None:
        self._guests.discard(close)

    def broadcast(self, message: dict[str, Any]) -> None:
        """An event to every connection."""
        for connection in self._connections:
            connection.send(message)

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs something of this session's beside it, until it ends."""
        task = asyncio.create_task(work, name=f"session {self.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, reason: str, message: str | None = None) -> None:
        """Ends the session and its connections; safe to call twice. message: tells clients why."""
        if self.is_over:
            await self.ended.wait()
            return
        self._slot.close()
        log.info("session %s ends: %s", self.id, reason)
        self._shared.metrics.sessions_ended.labels(reason).inc()
        if message:
            self.broadcast({"type": "error", "code": f"session_{reason}", "message": message})
        self._speaker.cancel()
        for utterance in self._inbox.clear():
            _tell_end(utterance, played=False)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        for subscription in list(self._subscriptions):
            subscription.close()
        closing = [connection.close() for connection in list(self._connections)] + [close() for close in self._guests]
        await asyncio.gather(*closing, return_exceptions=True)
        self.ended.set()
        self._on_end(self)

    async def _run(self) -> None:
        try:
            while not self.is_over:
                if self._playout.re_anchor(self.now()):
                    self._shared.metrics.moved_timelines.inc()
                at, action = self._playout.next_action()
                # Even when late, the loop is let go once, so that no session starves the others.
                await asyncio.sleep(max(at - self.now(), 0.0))
                if action is Action.TAKE:
                    self._take()
                else:
                    self._release()
        except Exception as error:
            self._on_failure(error)

    def _take(self) -> None:
        index, now = self._playout.next_take, self.now()
        chunk = self._inbox.take()
        self._playout.put_sound(chunk.sound)
        self._speaker.made_room()
        for utterance in chunk.ended:
            self._at_release.append((index, partial(_tell_end, utterance, played=True)))
        self._latency.taken(index, now, chunk.received_at)
        self._slot.submit(
            index,
            chunk.speech,
            self._avatar.generator,
            self._style_of_frame(index - self._delay_chunks),
            self._playout.due(index - self._delay_chunks),
        )
        self._notice_speech(index, chunk, now)

    def _style_of_frame(self, index: int) -> Style:
        """The style of frame `index`, with the mouth shut for frames whose speech was interrupted."""
        shutting = 1 - (index - self._hushed_from + 1) / HUSH_FRAMES
        opening = (index - self._hushed_until) / HUSH_FRAMES
        strength = min(max(shutting, opening, 0.0), 1.0)
        return self._style if strength == 1.0 else replace(self._style, mouth=self._style.mouth * strength)

    def _notice_speech(self, index: int, chunk: InboxChunk, now: float) -> None:
        events, self._voice = self._shared.detector.step(chunk.speech, self._voice)
        for event in events:
            kind = "speech_started" if isinstance(event, SpeechStarted) else "speech_stopped"
            self.broadcast({"type": kind, "index": index})
        if self._voice.speaking or chunk.origin is Origin.SPEECH:
            state = "speaking"
        else:
            state = "listening" if now - self._microphone_at < LISTENING_S else "idle"
        if state != self._state:
            self._state = state
            self.broadcast({"type": "state", "state": state})

    def _on_frame(self, result: StepResult) -> None:
        if result.frame is not None:
            self._latency.ready(result.index, result.ready_at, result.queue_ms, result.frame.stage_ms)
            if result.frame.picture is not None:
                self._playout.put_picture(result.index, result.frame.picture)

    def _release(self) -> None:
        late_before = self._playout.late
        chunk = self._playout.release()
        now, late = self.now(), self._playout.late > late_before
        if chunk.picture is not None:
            self._picture = chunk.picture
        for subscription in self._subscriptions:
            subscription.put(chunk)
        while self._at_release and self._at_release[0][0] <= chunk.index:
            self._at_release.popleft()[1]()
        stages, report = self._latency.released(chunk.index, now, late)
        metrics = self._shared.metrics
        metrics.chunks.inc()
        metrics.late_pictures.inc(late)
        for stage, ms in stages.items():
            metrics.stage_s.labels(stage).observe(ms / 1000)
        if report:
            self.broadcast(report.message())
            self._look_after(now)

    def _look_after(self, now: float) -> None:
        """Twice a second: lets silent clients go, and ends a session that nobody has come back to."""
        microphone, metrics = self._inbox.microphone, self._shared.metrics
        metrics.microphone_trimmed_s.inc(microphone.trimmed / AUDIO_RATE)
        metrics.microphone_dropped_s.inc(microphone.dropped / AUDIO_RATE)
        microphone.trimmed = microphone.dropped = 0
        for connection in self._connections:
            if connection.is_silent(now, self.config.ping_timeout_s):
                self.begin(connection.close())
        has_speaker = any(connection.is_speaker and connection.is_connected for connection in self._connections)
        if has_speaker:
            self._alone_until = max(self._alone_until, now + self.config.resume_s)
        elif now > self._alone_until:
            self.begin(self.end("abandoned"))
        if now - self._begun_at > self.config.max_s:
            hours = self.config.max_s / 3600
            self.begin(self.end("expired", f"a session lasts at most {hours:g} hours; start a new one"))

    def _on_failure(self, error: BaseException) -> None:
        log.error("session %s failed", self.id, exc_info=error)
        self.begin(self.end("failed", "this session failed on the server; start a new one"))

    def _tell_error(self, error: MouthpieceError) -> None:
        self.broadcast({"type": "error", "code": error.code, "message": str(error)})


def _tell_end(utterance: Utterance, played: bool) -> None:
    if utterance.on_end:
        with contextlib.suppress(ConnectionError):
            utterance.on_end(played)
