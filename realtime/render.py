"""Photo and sound to a film: the live path's `Avatar.step()`, chunk by chunk, without a clock.

Reads sound blocks, writes one MP4 (H.264 + AAC, `yuv420p`, index at the front) next to its final name and renames
it when it is whole, so a broken run never leaves half a film behind.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar import Avatar, AvatarFrame, StepInput
from models.generator import FrameGenerator
from models.rates import CHUNK_MS, FPS, look_ahead_chunks
from models.style import Style
from realtime.direction import Cue, Direction
from realtime.dsp import Decimator
from realtime.errors import BadRequest
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE

Chunk = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What a render did. stages_ms: per stage {"p50", "p95"} of one frame, in milliseconds."""

    frames: int
    seconds: float
    real_time_factor: float
    look_ahead_ms: int
    size_px: tuple[int, int]
    enrolment_seconds: float
    stages_ms: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def motion_frames(
    avatar: Avatar,
    chunks: Iterable[Chunk],
    *,
    look_ahead_ms: int,
    style: Style | None = None,
    cues: Sequence[tuple[int, Cue]] = (),
    seed: int = 0,
) -> Iterator[tuple[Chunk, AvatarFrame]]:
    """Each (1920,) chunk of 48 kHz sound with the motion that belongs to it, in order and without gaps; no pictures.

    cues: in order, each with the index of the chunk whose frame it holds from.
    """
    state = avatar.initial_state(seed, look_ahead_ms)
    decimator = Decimator()
    direction = Direction(style or Style())
    for at, cue in cues:
        direction.cue(at, cue)
    delay = look_ahead_chunks(look_ahead_ms)
    taken = 0
    waiting: list[Chunk] = []

    def step(chunk: Chunk) -> AvatarFrame | None:
        nonlocal state, taken
        now = StepInput(decimator.step(chunk), None, direction.style(taken - delay))
        frames, states = avatar.step([now], [state])
        taken += 1
        state = states[0]
        return frames[0]

    for chunk in chunks:
        waiting.append(chunk)
        if frame := step(chunk):
            yield waiting.pop(0), frame
    for _ in range(delay):
        frame = step(np.zeros(AUDIO_CHUNK, np.float32))
        if frame and waiting:
            yield waiting.pop(0), frame


def drawn(
    frames: Iterable[tuple[Chunk, AvatarFrame]], generator: FrameGenerator, threads: int
) -> Iterator[tuple[Chunk, AvatarFrame]]:
    """The same with pictures. A picture depends on its motion alone, so `threads` of them are drawn at a time."""

    def draw(frame: AvatarFrame) -> AvatarFrame:
        started = time.perf_counter()
        picture = generator.render(frame.motion)
        return replace(frame, picture=picture, stage_ms=frame.stage_ms | {"picture": _ms_since(started)})

    under_way: deque[tuple[Chunk, Future[AvatarFrame]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="draw") as pool:
        for chunk, frame in frames:
            under_way.append((chunk, pool.submit(draw, frame)))
            if len(under_way) > 2 * threads:
                chunk, ready = under_way.popleft()
                yield chunk, ready.result()
        for chunk, ready in under_way:
            yield chunk, ready.result()


def render(
    avatar: Avatar,
    generator: FrameGenerator,
    chunks: Iterable[Chunk],
    out: Path,
    *,
    look_ahead_ms: int,
    style: Style | None = None,
    cues: Sequence[tuple[int, Cue]] = (),
    seed: int = 0,
    enrolment_seconds: float = 0.0,
    threads: int = os.cpu_count() or 1,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> RenderReport:
    """Writes the film `out`. threads: pictures drawn at a time, and threads that encode. `on_frame` is called with the
    number of frames done.

    Raises BadRequest if `out` cannot be written, and whatever `chunks` raises (BadSound).
    """
    if not out.parent.is_dir():
        raise BadRequest(f"there is no folder {out.parent}; make it first")
    part = out.with_name(out.name + ".part")
    started = time.perf_counter()
    stages: dict[str, list[float]] = {}
    frames = 0
    size_px = (0, 0)
    try:
        moving = motion_frames(avatar, chunks, look_ahead_ms=look_ahead_ms, style=style, cues=cues, seed=seed)
        with _Film(part, threads) as film:
            for chunk, frame in drawn(moving, generator, threads):
                assert frame.picture is not None
                encode_started = time.perf_counter()
                film.write(chunk, frame.picture)
                size_px = (frame.picture.shape[1], frame.picture.shape[0])
                for stage, ms in (*frame.stage_ms.items(), ("write", _ms_since(encode_started))):
                    stages.setdefault(stage, []).append(ms)
                frames += 1
                on_frame(frames)
        if not frames:
            raise BadRequest("there was no sound to render; give a longer recording or some text")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    seconds = frames * CHUNK_MS / 1000
    return RenderReport(
        frames=frames,
        seconds=seconds,
        real_time_factor=round((time.perf_counter() - started) / seconds, 4),
        look_ahead_ms=look_ahead_ms,
        size_px=size_px,
        enrolment_seconds=round(enrolment_seconds, 3),
        stages_ms={
            stage: {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95)}
            for stage, values in stages.items()
        },
    )


class _Film:
    """An MP4 being written: frame k and sound chunk k in, on one timeline."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        except OSError as error:
            raise BadRequest(f"cannot write {path.parent}: {error.strerror or error}") from error
        self._video = self._container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "17"})
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.thread_count = threads
        self._audio = self._container.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        self._audio.bit_rate = 128_000
        self._index = 0

    def __enter__(self) -> _Film:
        return self

    def write(self, chunk: Chunk, picture: NDArray[np.uint8]) -> None:
        if self._index == 0:
            self._video.height, self._video.width = picture.shape[:2]
        yuv: Any = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
        video = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
        video.pts, video.time_base = self._index, Fraction(1, FPS)
        self._container.mux(self._video.encode(video))
        samples = (np.clip(chunk, -1, 1) * 32767).astype(np.int16)
        audio = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        audio.sample_rate, audio.pts, audio.time_base = AUDIO_RATE, self._index * AUDIO_CHUNK, Fraction(1, AUDIO_RATE)
        self._container.mux(self._audio.encode(audio))
        self._index += 1

    def __exit__(self, *exception: object) -> None:
        if self._index and exception[0] is None:
            self._container.mux(self._video.encode(None))
            self._container.mux(self._audio.encode(None))
        self._container.close()


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
