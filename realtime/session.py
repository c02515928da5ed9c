"""One avatar on air: every 40 ms a chunk of sound goes in, and one of sound and picture comes out a fixed delay later.

Touches the event loop and its clock; everything that it decides is in the pure modules it holds. It outlives its
connections for a while, so that a client can come back; what fails in it ends it alone.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.rates import FPS, look_ahead_chunks
from models.style import Style
from realtime import marks
from realtime.activity import Activity
from realtime.audience import Audience
from realtime.direction import Direction
from realtime.engine import StepResult
from realtime.errors import MouthpieceError
from realtime.hush import Hush
from realtime.identity_cache import WarmAvatar
from realtime.inbox import Inbox, Origin
from realtime.latency import LatencyMeter
from realtime.motion_feed import MotionOutlet
from realtime.other_side import OtherSide
from realtime.pacing import Pacer
from realtime.playout import Action, Playout
from realtime.protocol import Restyle, apply_style
from realtime.retouch import REDRAW_S, Look, Retouch
from realtime.shared import Shared
from realtime.speaker import PcmFeed, Speaker
from realtime.speech_queue import Utterance
from realtime.subscription import Subscription
from realtime.timebase import AUDIO_RATE

if TYPE_CHECKING:
    from realtime.connection import Connection

log = logging.getLogger(__name__)


class Session:
    """Made by the registry, `start`ed once. All methods belong to the event loop."""

    def __init__(
        self,
        session_id: str,
        avatar: WarmAvatar,
        look_ahead_ms: int,
        style: Style,
        shared: Shared,
        on_end: Callable[[Session], None],
    ) -> None:
        """Takes a slot. Raises Busy when there is none."""
        config, loop = shared.config, asyncio.get_running_loop()
        self.id = session_id
        self.resume_token = secrets.token_urlsafe(18)
        self.config = config
        self.metrics = shared.metrics
        self.now = loop.time
        self._shared = shared
        self._avatar = avatar
        self._look_ahead_ms = look_ahead_ms
        self._delay_chunks = look_ahead_chunks(look_ahead_ms)
        self._inbox = Inbox(config.microphone_queue_ms, config.speech_queue_s, config.speech_lead_ms)
        self._speaker = Speaker(self._inbox.speech, shared.synthesizer, self._tell_error)
        self._activity = Activity()
        self._direction, self._hush = Direction(style), Hush()
        self._latency = LatencyMeter(self._delay_chunks)
        self._audience = Audience(config.max_viewers, avatar.picture)
        self._ends: deque[tuple[int, Utterance]] = deque()  # whose last chunk is on its way out
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_end = on_end
        self.guests: set[Callable[[], Awaitable[Any]]] = set()  # called when the session ends
        self.motion, self.other_side = MotionOutlet(), OtherSide()
        self._ended = asyncio.Event()
        self._begun_at = self.now()
        self._alone_until = self._begun_at + config.connect_timeout_s
        self._playout = Playout(self._begun_at, self._delay_chunks, config.margin_ms / 1000, avatar.picture)
        self._pacer = Pacer(self._playout)
        self._retouch = Retouch(self._playout, self.motion, self._look, self.begin)
        self._slot = shared.engine.open(secrets.randbits(31), look_ahead_ms, self._on_result, self._on_failure)

    def start(self) -> None:
        self.metrics.sessions_started.inc()
        self.begin(self._run())

    @property
    def state(self) -> str:
        """`idle`, `listening` (a microphone is open) or `speaking`."""
        return self._activity.state

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
            "state": self.state,
        }

    def push_microphone(self, samples: NDArray[np.int16], at_samples: int) -> None:
        """(n,) int16 mono at 48 kHz; `at_samples` is the first one's place in the sender's timeline."""
        self._activity.microphone_at = self.now()
        self._inbox.microphone.push(samples, at_samples, self._activity.microphone_at)

    async def speak(self, text: str, voice: str | None) -> tuple[str, ...]:
        """Queues a text after what is being said; returns what is wrong with its marks, in sentences.

        Raises BadMessage (marks alone), TooMuchWaiting, SynthesisFailed, BadRequest (voice).
        """
        script = marks.parse(text)

        def on_end(played: bool) -> None:
            if played:
                self.tell({"type": "spoken", "text": text})

        await self._speaker.say(script, voice, on_end)
        for mistake in script.mistakes:
            self.tell({"type": "warning", "code": "unknown_mark", "message": mistake})
        return script.mistakes

    def open_pcm(self) -> PcmFeed:
        """A feed of live PCM."""
        return PcmFeed(self._inbox.speech)

    def interrupt(self) -> None:
        """Drops all speech that waits, silences what is on its way out and shuts the mouth.

        Who speaks into the microphone is not heard until his next pause: the rest of what he says was meant too.
        """
        self.metrics.interrupts.inc()
        if self._activity.is_speaking and not self._activity.is_pushed:
            self._inbox.hold()
        self._drop_speech()
        self._playout.hush(fade=not self._audience.hush())
        self._hush.begin(self._playout.first_due(self.now() + REDRAW_S), self._playout.next_take)
        self._retouch.renew(self.now())
        self.tell({"type": "interrupted"})

    async def restyle(self, request: Restyle) -> dict[str, Any]:
        """Changes style and avatar; tells everybody what is in force. Raises BadMessage, NotFound, BadPhoto."""
        if request.avatar and request.avatar != self._avatar.name:
            self._avatar = await self._shared.load_avatar(request.avatar)
            self._audience.resize(self._avatar.size_px)
            self._retouch.renew(self.now())
            self.tell(self.hello())
        self._direction.set(apply_style(request.settings, self._direction.own))
        style = asdict(self._direction.own) | {"avatar": self._avatar.name}
        self.tell({"type": "style", **style})
        return style

    def subscribe(self) -> Subscription:
        """A viewer's MediaSource. Raises Busy when there are too many."""
        return self._audience.subscribe(self._avatar.size_px)

    def add_connection(self, connection: Connection) -> list[Connection]:
        """A new connection; a speaker's takes over from the speakers before, which are returned to be closed."""
        return self._audience.add(connection)

    def remove_connection(self, connection: Connection) -> None:
        """The connection is gone. Without a speaker's the session waits `resume_s` for one to come back."""
        if self._audience.remove(connection) and connection.is_speaker:
            self._alone_until = self.now() + self.config.resume_s

    def tell(self, message: dict[str, Any]) -> None:
        """An event to every connection."""
        self._audience.tell(message)

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs something of this session's beside it, until it ends."""
        task = asyncio.create_task(work, name=f"session {self.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, reason: str, message: str | None = None) -> None:
        """Ends the session and its connections; may be called twice. message: tells clients why."""
        if self.is_over:
            await self._ended.wait()
            return
        self._slot.close()
        log.info("session %s ends: %s", self.id, reason)
        self.metrics.sessions_ended.labels(reason).inc()
        if message:
            self.tell({"type": "error", "code": f"session_{reason}", "message": message})
        self._drop_speech()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await self._audience.close()
        await asyncio.gather(*(close() for close in self.guests), return_exceptions=True)
        self._ended.set()
        self._on_end(self)

    async def _run(self) -> None:
        try:
            while not self.is_over:
                if self._playout.re_anchor(self.now()):
                    self.metrics.moved_timelines.inc()
                at, action = self._playout.next_action()
                # Even when late, the loop is let go once, so that no session starves the others.
                await asyncio.sleep(max(at - self.now(), 0.0))
                if action is Action.TAKE:
                    self._take()
                self._audience.play(self._playout.sounds_due(at))
                if action is Action.RELEASE:
                    self._release()
        except Exception as error:
            self._on_failure(error)

    def _take(self) -> None:
        """A chunk goes in: to be played later, and to the models."""
        index, now = self._playout.next_take, self.now()
        chunk = self._inbox.take()
        if self._inbox.is_held and chunk.origin is Origin.MICROPHONE:
            self._hush.hold(index)
        self._playout.put_sound(chunk.sound)
        self._speaker.made_room()
        self._ends.extend((index, utterance) for utterance in chunk.ended)
        self._latency.taken(index, now, chunk.received_at)
        self._pacer.ticked(now, chunk.received_at)
        for cue in chunk.cues:
            self._direction.cue(index, cue)
        frame = index - self._delay_chunks
        style, look = self._direction.style(frame), self._retouch.asked(frame)
        heard = max(style.listening, self.other_side.level(now))
        if look.strength != 1.0 or heard != style.listening:
            style = replace(style, mouth=style.mouth * look.strength, listening=heard)
        self._slot.submit(index, chunk.speech, look.generator, style, self._playout.due(frame))
        self._activity.is_pushed = chunk.origin is Origin.SPEECH

    def _on_result(self, result: StepResult) -> None:
        if result.frame is not None:
            self._latency.ready(result.index, result.ready_at, result.queue_ms, result.frame.stage_ms)
            if result.frame.picture is not None:
                self._pacer.ready(result.index, result.ready_at)
            self._retouch.drawn(result.index, result.frame)
        self._inbox.heard(result.is_speaking)
        for message in self._activity.heard(result.heard, result.voice, result.is_speaking, self.now()):
            self.tell(message)

    def _release(self) -> None:
        """A chunk comes out: to the viewers, with what was to be told at that moment."""
        late_before = self._playout.late
        chunk = self._playout.release()
        late = self._playout.late - late_before
        self._audience.show(chunk)
        self.motion.release(chunk.index)
        self._retouch.shown(chunk.index)
        while self._ends and self._ends[0][0] <= chunk.index:
            _tell_end(self._ends.popleft()[1], played=True)
        now = self.now()
        stages, report = self._latency.released(chunk.index, now, bool(late))
        self.metrics.chunks.inc()
        self.metrics.late_pictures.inc(late)
        for stage, ms in stages.items():
            self.metrics.stage_s.labels(stage).observe(ms / 1000)
        if report:
            self.tell(report.message())
            self._look_after(now)

    def _look_after(self, now: float) -> None:
        """Twice a second: lets silent clients go, and ends a session that nobody has come back to."""
        microphone = self._inbox.microphone
        self.metrics.microphone_trimmed_s.inc(microphone.trimmed / AUDIO_RATE)
        self.metrics.microphone_dropped_s.inc(microphone.dropped / AUDIO_RATE)
        microphone.trimmed = microphone.dropped = 0
        self._audience.observe(self.metrics)
        for connection in self._audience.silent(now, self.config.ping_timeout_s):
            self.begin(connection.close())
        if self._audience.has_speaker:
            self._alone_until = now + self.config.resume_s
        elif now > self._alone_until:
            self.begin(self.end("abandoned"))
        if now - self._begun_at > self.config.max_s:
            hours = self.config.max_s / 3600
            self.begin(self.end("expired", f"a session lasts at most {hours:g} hours; start a new one"))

    def _look(self, frame: int) -> Look:
        return Look(self._avatar.generator, self._hush.strength(frame))

    def _drop_speech(self) -> None:
        self._speaker.cancel()
        self._direction.drop()
        cut_off = [utterance for _, utterance in self._ends] + self._inbox.clear()
        self._ends.clear()
        for utterance in cut_off:
            _tell_end(utterance, played=False)

    def _on_failure(self, error: BaseException) -> None:
        log.error("session %s failed", self.id, exc_info=error)
        self.begin(self.end("failed", "this session failed on the server; start a new one"))

    def _tell_error(self, error: MouthpieceError) -> None:
        self.tell({"type": "error", "code": error.code, "message": str(error)})


def _tell_end(utterance: Utterance, played: bool) -> None:
    if utterance.on_end:
        utterance.on_end(played)
