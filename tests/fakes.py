"""Stand-ins for the slow or outside parts, so that a session is tested in milliseconds: no network, no weights.

Each keeps the contract of what it stands for; none is a mock that agrees with everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar import AvatarFrame, StepInput
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.by_hand import Anchors
from models.enroll import Enrolment, NoFaceError
from models.quality import QualityNote
from models.rates import look_ahead_chunks
from realtime.config import AvatarsConfig, Config, MediaConfig, SessionConfig
from realtime.errors import BadOffer, BadRequest, NotFound
from realtime.identities import AvatarStore
from realtime.identity_cache import WarmAvatar
from realtime.jitter import JitterCounts
from realtime.media import MediaChunk, MediaEnded, MediaSource, PeerEvents
from realtime.service import Service
from realtime.sessions import PeerMaker
from realtime.tts import Voice
from realtime.voice_activity import SpeechStarted, SpeechStopped, VoiceEvent, VoiceState
from realtime.webrtc import PeerStats

SIZE_PX = 64
JAW = ARKIT_INDEX["jawOpen"]


class FakeGenerator:
    """Draws the jaw as brightness: 255 is wide open. `shade` tells two avatars apart."""

    def __init__(self, shade: int = 0, size_px: int = SIZE_PX) -> None:
        self.shade = shade
        self.size_px = size_px

    def render(self, motion: FaceMotion) -> NDArray[np.uint8]:
        picture = np.full((self.size_px, self.size_px, 3), self.shade, np.uint8)
        picture[..., 2] = np.uint8(255 * np.clip(motion.weights[JAW], 0, 1))
        return picture


@dataclass(frozen=True, slots=True)
class FakeState:
    index: int
    look_ahead_chunks: int
    levels: tuple[float, ...]


class FakeAvatar:
    """Keeps `Avatar`'s contract: the frame of chunk i comes out look-ahead chunks later, its jaw is the chunk's peak.

    A chunk that starts with `POISON` makes the step raise.
    """

    POISON = 0.123456

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.before_step: Callable[[], None] = lambda: None

    def initial_state(self, seed: int, look_ahead_ms: int = 80) -> FakeState:
        return FakeState(0, look_ahead_chunks(look_ahead_ms), ())

    def step(
        self, inputs: Sequence[StepInput], states: Sequence[FakeState]
    ) -> tuple[list[AvatarFrame | None], list[FakeState]]:
        self.before_step()
        self.batches.append(len(inputs))
        if any(abs(row.chunk[0] - self.POISON) < 1e-6 for row in inputs):
            raise RuntimeError("poisoned chunk")
        rows = [self._one(row, state) for row, state in zip(inputs, states, strict=True)]
        return [frame for frame, _ in rows], [state for _, state in rows]

    def _one(self, row: StepInput, state: FakeState) -> tuple[AvatarFrame | None, FakeState]:
        levels = (*state.levels, float(np.abs(row.chunk).max()))[-1 - state.look_ahead_chunks :]
        after = FakeState(state.index + 1, state.look_ahead_chunks, levels)
        index = state.index - state.look_ahead_chunks
        if index < 0:
            return None, after
        motion = FaceMotion.rest()
        motion.weights[JAW] = levels[0] * row.style.mouth
        picture = row.generator.render(motion) if row.generator else None
        return AvatarFrame(index, motion, picture, {"encoder": 0.1, "motion": 0.1, "picture": 0.1}), after


class FakeListener:
    """Keeps `VoiceDetector`'s contract: a chunk with a sample over `LOUD` is speech, at once."""

    LOUD = 0.9

    def step(
        self, chunks: Sequence[NDArray[np.float32]], states: Sequence[VoiceState]
    ) -> tuple[list[list[VoiceEvent]], list[VoiceState]]:
        events: list[list[VoiceEvent]] = []
        after = []
        for chunk, state in zip(chunks, states, strict=True):
            speaking = bool(chunk.max() > self.LOUD)
            changed = SpeechStarted() if speaking else SpeechStopped()
            events.append([changed] if speaking != state.speaking else [])
            after.append(replace(state, speaking=speaking))
        return events, after


class FakeSynthesizer:
    """Speaks a text as one tone block of `seconds`; the voice `broken` fails."""

    def __init__(self, seconds: float = 0.4) -> None:
        self.seconds = seconds

    async def voices(self) -> list[Voice]:
        return [Voice("tone", "en", "A tone")]

    async def synthesize(self, text: str, voice: str | None) -> AsyncIterator[NDArray[np.float32]]:
        if voice not in (None, "tone"):
            raise BadRequest(f"there is no voice '{voice}'; GET /voices lists them")
        await asyncio.sleep(0)
        yield tone(self.seconds)

    async def timed(self, sentence: str, voice: str | None) -> None:
        return None


class FakePeer:
    """A `webrtc.Peer` without network: `answer` connects at once and reads the media as a real one does."""

    def __init__(self, source: MediaSource, events: PeerEvents, config: MediaConfig) -> None:
        self.source = source
        self.events = events
        self.sent: list[dict[str, Any]] = []
        self.audio: list[MediaChunk] = []
        self.video: list[MediaChunk] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    async def answer(self, offer_sdp: str) -> str:
        if not offer_sdp.startswith("v=0"):
            self._end("bad offer")
            raise BadOffer("this is not an SDP offer; send the one that the browser made")
        self._tasks = [
            asyncio.create_task(self._read(self._next_sound, self.audio)),
            asyncio.create_task(self._read(self.source.next_video, self.video)),
        ]
        asyncio.get_running_loop().call_soon(self.events.on_connected)
        return "v=0\r\nfake answer\r\n"

    def send(self, message: dict[str, Any], most_waiting: int = 1 << 18) -> None:
        self.sent.append(message)

    def rtp_origins(self) -> dict[str, int]:
        return {"audio": 7, "video": 9}

    def stats(self) -> PeerStats:
        return PeerStats("H264", len(self.video), 2.0, 500_000.0, 1_000_000, 12.0, 0.01, 20.0, JitterCounts())

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] == kind]

    async def close(self) -> None:
        self._end("closed")

    def lose(self) -> None:
        """The network is gone."""
        self._end("connection lost")

    async def _next_sound(self) -> MediaChunk:
        chunk = await self.source.next_audio()
        self.source.part(chunk, 0, len(chunk.audio))
        return chunk

    async def _read(self, read: Callable[[], Any], into: list[MediaChunk]) -> None:
        try:
            while True:
                into.append(await read())
        except MediaEnded:
            self._end("the session ended")

    def _end(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            for task in self._tasks:
                task.cancel()
            self.source.close()
            self.events.on_closed(reason)


@dataclass
class FakePeers:
    """Makes FakePeers and remembers them."""

    made: list[FakePeer] = field(default_factory=list)

    def __call__(self, source: MediaSource, events: PeerEvents, config: MediaConfig) -> FakePeer:
        self.made.append(FakePeer(source, events, config))
        return self.made[-1]

    @property
    def last(self) -> FakePeer:
        return self.made[-1]


def tone(seconds: float, amplitude: float = 0.5) -> NDArray[np.float32]:
    """(n,) float32, 440 Hz at 48 kHz."""
    at_s = np.arange(round(seconds * 48_000)) / 48_000
    return (amplitude * np.sin(2 * np.pi * 440 * at_s)).astype(np.float32)


def photo(width: int = 256, height: int = 256, suffix: str = ".png") -> bytes:
    """A picture file; `fake_enroll` finds a face in all but a black one, unless it is told where."""
    picture = np.full((height, width, 3), 200, np.uint8)
    return cv2.imencode(suffix, picture)[1].tobytes()


@dataclass(frozen=True)
class FakeIdentity:
    """Stands for `models.identity.Identity` where only storing matters."""

    picture: NDArray[np.uint8]

    def save(self, file: Path) -> None:
        with file.open("wb") as out:
            np.savez(out, picture=self.picture)


def fake_enroll(picture: NDArray[np.uint8], size_px: int, points: Anchors | None) -> Enrolment:
    if picture.max() == 0 and points is None:
        raise NoFaceError("no face was found in this photo; use one that shows a face from the front")
    square = cv2.resize(picture, (size_px, size_px))
    note = QualityNote("good", "good", "This photo suits well.")
    return Enrolment(FakeIdentity(square), [note])  # type: ignore[arg-type]


def config(data_dir: Path, **session: Any) -> Config:
    """Settings for a test: small pictures, a folder of its own."""
    return Config(
        avatars=AvatarsConfig(data_dir=data_dir, size_px=128, default="iris"), session=SessionConfig(**session)
    )


def service(
    config: Config, seconds: float = 0.4, film_command: Sequence[str] = (), make_peer: PeerMaker | None = None
) -> tuple[Service, FakePeers, FakeAvatar]:
    """A service over fakes, to be started. Its avatars are `iris` and `otto`, told apart by their shade."""
    avatar, peers = FakeAvatar(), FakePeers()

    def load_avatar(name: str) -> WarmAvatar:
        shades = {"iris": 10, "otto": 20}
        if name not in shades:
            raise NotFound(f"there is no avatar '{name}'; GET /avatars lists them", "unknown_avatar")
        generator: Any = FakeGenerator(shades[name])
        return WarmAvatar(name, generator, generator.render(FaceMotion.rest()), 1000)

    made = Service.build(
        config,
        stepper=avatar,
        store=AvatarStore(config, fake_enroll),
        speech=FakeSynthesizer(seconds),
        make_peer=make_peer or peers,
        load_avatar=load_avatar,
        film_command=film_command,
    )
    return made, peers, avatar
