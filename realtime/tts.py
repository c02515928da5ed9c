"""Text to speech behind one small protocol, with two adapters.

`EspeakSynthesizer` runs the espeak-ng program (offline default); `OpenAiSynthesizer` asks any server that
speaks OpenAI's `/v1/audio/speech`. Both give 48 kHz blocks as soon as they have them, sentence by sentence.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import av
import numpy as np
from numpy.typing import NDArray

from realtime import beside, sound
from realtime.config import TtsConfig
from realtime.errors import BadRequest, SynthesisFailed
from realtime.timebase import AUDIO_RATE

Block = NDArray[np.float32]

log = logging.getLogger(__name__)

LONGEST_SENTENCE_CHARS = 400
WAV_HEADER_BYTES = 44
WORDS_PROGRAM = str(Path(__file__).with_name("espeak_words.py"))


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice to choose from. language: a BCP-47 tag such as `en-gb`, or empty if the voice speaks any."""

    name: str
    language: str
    title: str


Timed = tuple[Block, list[int]]
"""A whole sentence, and the sample at which each of its words (`sentence.split()`) begins."""


class SpeechSynthesizer(Protocol):
    async def voices(self) -> list[Voice]:
        """The voices to choose from, best default first. Raises SynthesisFailed."""
        ...

    def synthesize(self, text: str, voice: str | None) -> AsyncIterator[Block]:
        """Speech as mono float32 blocks at 48 kHz. Raises BadRequest for an unknown voice, SynthesisFailed."""
        ...

    async def timed(self, sentence: str, voice: str | None) -> Timed | None:
        """A sentence and when its words begin; None where that cannot be told. Raises as `synthesize`."""
        ...


def sentences(text: str) -> list[str]:
    """Text in pieces short enough to be spoken one after the other, cut where a speaker would pause."""
    pieces: list[str] = []
    for sentence in re.split(r"(?<=[.!?…。！？])\s+|\n+", text.strip()):
        words, line = sentence.split(), ""
        for word in words:
            if line and len(line) + len(word) >= LONGEST_SENTENCE_CHARS:
                pieces.append(line)
                line = ""
            line = f"{line} {word}".strip()
        if line:
            pieces.append(line)
    return pieces


class EspeakSynthesizer:
    """espeak-ng as a child process per sentence. No network, no model, some fifty languages."""

    DEFAULT_VOICE = "en-gb"

    def __init__(self, default_voice: str = DEFAULT_VOICE, words_per_minute: int = 165) -> None:
        self._default_voice = default_voice
        self._words_per_minute = words_per_minute
        self._voices: list[Voice] | None = None

    async def voices(self) -> list[Voice]:
        if self._voices is None:
            listing = (await self._espeak("--voices")).decode(errors="replace")
            self._voices = sorted(
                (voice for voice in map(_espeak_voice, listing.splitlines()[1:]) if voice),
                key=lambda voice: (voice.name != self._default_voice, voice.title),
            )
        return self._voices

    async def synthesize(self, text: str, voice: str | None) -> AsyncIterator[Block]:
        name = await self._known(voice)
        for sentence in sentences(text):
            wave = await self._espeak(
                "--stdout", "-v", name, "-s", str(self._words_per_minute), "--stdin", text=sentence
            )
            # It writes to a pipe, so its header claims an endless file.
            for block in _resampled(wave[WAV_HEADER_BYTES:], int.from_bytes(wave[24:28], "little")):
                yield block
                await asyncio.sleep(0)  # live sound goes first

    async def timed(self, sentence: str, voice: str | None) -> Timed | None:
        name = await self._known(voice)
        try:
            said = await _said((sys.executable, "-S", WORDS_PROGRAM, name, str(self._words_per_minute)), sentence)
        except SynthesisFailed as error:
            log.warning("words are not timed: %s", error)
            return None
        line, pcm = said.split(b"\n", 1)
        told = json.loads(line)
        blocks = list(_resampled(pcm, told["rate"]))
        starts, at = [], 0
        for word in sentence.split():
            at = sentence.index(word, at)
            samples = [sample for character, sample in told["words"] if character >= at]
            starts.append(round(min(samples, default=len(pcm) // 2) * AUDIO_RATE / told["rate"]))
            at += len(word)
        return np.concatenate(blocks), starts

    async def _known(self, voice: str | None) -> str:
        name = voice or self._default_voice
        # espeak-ng takes variants after a plus sign ("en-us+f3"); its own list names only the languages.
        if name.split("+")[0] not in {known.name for known in await self.voices()}:
            raise BadRequest(f"there is no voice '{name[:40]}'; GET /voices lists them")
        return name

    async def _espeak(self, *arguments: str, text: str = "") -> bytes:
        program = shutil.which("espeak-ng")
        if program is None:
            raise SynthesisFailed("text to speech needs espeak-ng: install the espeak-ng package, or configure tts.url")
        return await _said((program, *arguments), text)


async def _said(command: Sequence[str], text: str) -> bytes:
    """What espeak-ng answers to a text. Raises SynthesisFailed."""
    status, out, err = await beside.run(command, text.encode())
    if status:
        raise SynthesisFailed(f"espeak-ng failed: {err.decode(errors='replace').strip()[-200:]}")
    return out


def _espeak_voice(line: str) -> Voice | None:
    # "Pty Language  Age/Gender VoiceName  File  Other Languages"
    fields = line.split()
    if len(fields) < 4:
        return None
    return Voice(fields[1], fields[1], fields[3].replace("_", " "))


def _resampled(pcm: bytes, rate: int) -> Iterator[Block]:
    """Mono 16-bit little-endian sound at `rate` as blocks at 48 kHz, each of a second: little work at a time."""
    resampler = av.AudioResampler("fltp", "mono", AUDIO_RATE)
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    for start in range(0, len(samples), rate):
        for out in resampler.resample(sound.frame(samples[start : start + rate], rate)):
            yield out.to_ndarray()[0]
    for out in resampler.resample(None):
        yield out.to_ndarray()[0]


def synthesizer(config: TtsConfig) -> SpeechSynthesizer:
    """The adapter that the configuration asks for."""
    if config.kind == "openai":
        return OpenAiSynthesizer(config.url, config.key or None, config.voice or "alloy", config.model)
    return EspeakSynthesizer(config.voice or EspeakSynthesizer.DEFAULT_VOICE)


class OpenAiSynthesizer:
    """Any server with OpenAI's `POST /v1/audio/speech`. PCM is played while it arrives."""

    PCM_RATE = 24_000

    def __init__(self, url: str, key: str | None, voice: str, model: str, timeout_s: float = 30.0) -> None:
        self._url = url.rstrip("/")
        if not self._url.endswith("/audio/speech"):
            self._url += "/audio/speech" if self._url.endswith("/v1") else "/v1/audio/speech"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._voice = voice
        self._model = model
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s)

    async def timed(self, sentence: str, voice: str | None) -> Timed | None:
        return None

    async def voices(self) -> list[Voice]:
        return [Voice(self._voice, "", f"{self._voice} ({self._model})")]

    async def synthesize(self, text: str, voice: str | None) -> AsyncIterator[Block]:
        request = {"model": self._model, "voice": voice or self._voice, "input": text, "response_format": "pcm"}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout, headers=self._headers) as client,
                client.post(self._url, json=request) as response,
            ):
                if response.status != 200:
                    detail = (await response.text())[:200]
                    raise SynthesisFailed(f"the speech server answered {response.status}: {detail}")
                async for block in self._blocks(response):
                    yield block
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SynthesisFailed(f"the speech server at {self._url} cannot be reached; check tts.url") from error

    async def _blocks(self, response: aiohttp.ClientResponse) -> AsyncIterator[Block]:
        first = await response.content.readany()
        if first[:4] in (b"RIFF", b"OggS", b"fLaC") or first[:3] == b"ID3" or first[:2] == b"\xff\xfb":
            # A server without PCM answers with a file: decode it whole.
            for block in sound.blocks(first + await response.content.read()):
                yield block
            return
        resampler = av.AudioResampler("fltp", "mono", AUDIO_RATE)
        rest = b""
        while first:
            data = rest + first
            even = len(data) // 2 * 2
            rest = data[even:]
            if even:
                for out in resampler.resample(sound.frame(np.frombuffer(data[:even], "<i2"), self.PCM_RATE)):
                    yield out.to_ndarray()[0]
            first = await response.content.readany()
        for out in resampler.resample(None):
            yield out.to_ndarray()[0]
