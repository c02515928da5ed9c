"""Text to speech: both adapters, from text to samples at 48 kHz."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from realtime.config import TtsConfig
from realtime.errors import BadRequest, SynthesisFailed
from realtime.timebase import AUDIO_RATE
from realtime.tts import LONGEST_SENTENCE_CHARS, EspeakSynthesizer, OpenAiSynthesizer, sentences, synthesizer

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


async def spoken(voice_box, text, voice=None):
    return np.concatenate([block async for block in voice_box.synthesize(text, voice)])


@given(text=st.text(st.characters(codec="utf-8"), max_size=2000))
def test_sentences_keep_every_word(text):
    assert " ".join(sentences(text)).split() == text.split()


def test_long_text_is_cut_where_a_speaker_pauses():
    assert sentences("One. Two! Three?\nFour") == ["One.", "Two!", "Three?", "Four"]
    assert max(map(len, sentences("word " * 1000))) <= LONGEST_SENTENCE_CHARS


@needs_espeak
async def test_espeak_speaks_longer_for_more_text():
    espeak = EspeakSynthesizer()
    short, long = await spoken(espeak, "Hello."), await spoken(espeak, "Hello there, this is quite a lot more to say.")
    assert 0.2 < len(short) / AUDIO_RATE < 1.5 < len(long) / AUDIO_RATE < 6
    assert 0.05 < np.abs(long).max() <= 1


@needs_espeak
async def test_espeak_lists_its_voices_and_refuses_others():
    espeak = EspeakSynthesizer("de")
    voices = await espeak.voices()
    assert voices[0].name == "de" and len(voices) > 30
    with pytest.raises(BadRequest, match="no voice 'klingon'"):
        await spoken(espeak, "Hello.", "klingon")


@needs_espeak
async def test_speech_that_is_made_lets_live_sound_pass():
    espeak, turns, between = EspeakSynthesizer(), [0], []
    await espeak.voices()

    async def live():
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(live())
    async for block in espeak.synthesize("One two three four five six seven eight nine ten. " * 2, None):
        between.append(turns[0])
        assert len(block) <= 1.1 * AUDIO_RATE
    beside.cancel()
    assert len(between) >= 6 and len(set(between)) == len(between)


async def test_espeak_missing_is_said_in_words(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SynthesisFailed, match="install the espeak-ng package"):
        await EspeakSynthesizer().voices()


@needs_espeak
async def test_text_that_looks_like_an_option_is_spoken():
    assert len(await spoken(EspeakSynthesizer(), "--version")) > AUDIO_RATE * 0.2


@pytest.fixture
async def speech_server(aiohttp_server):
    """A server that answers 0.5 s of PCM at 24 kHz in awkward pieces, and records what it was asked."""
    asked = []

    async def speech(request):
        asked.append((await request.json(), request.headers.get("Authorization")))
        if asked[-1][0]["input"] == "fail":
            return web.Response(status=401, text="bad key")
        response = web.StreamResponse()
        await response.prepare(request)
        pcm = (np.sin(np.arange(12_000) / 10) * 16_000).astype("<i2").tobytes()
        for start in range(0, len(pcm), 4097):
            await response.write(pcm[start : start + 4097])
        return response

    app = web.Application()
    app.router.add_post("/v1/audio/speech", speech)
    server = await aiohttp_server(app)
    server.asked = asked
    return server


async def test_openai_servers_are_asked_in_their_form(speech_server):
    adapter = synthesizer(TtsConfig(kind="openai", url=str(speech_server.make_url("/v1")), key="k", voice="nova"))
    samples = await spoken(adapter, "Hello")
    assert len(samples) == pytest.approx(AUDIO_RATE / 2, abs=100)
    assert np.abs(samples).max() == pytest.approx(16_000 / 32_768, rel=0.05)
    request, authorization = speech_server.asked[0]
    assert request["voice"] == "nova" and request["input"] == "Hello" and authorization == "Bearer k"


async def test_a_refusing_speech_server_is_quoted(speech_server):
    adapter = OpenAiSynthesizer(str(speech_server.make_url("/")), None, "alloy", "tts-1")
    with pytest.raises(SynthesisFailed, match="answered 401: bad key"):
        await spoken(adapter, "fail")


async def test_an_absent_speech_server_is_said(unused_tcp_port):
    adapter = OpenAiSynthesizer(f"http://127.0.0.1:{unused_tcp_port}", None, "alloy", "tts-1")
    with pytest.raises(SynthesisFailed, match="cannot be reached"):
        await spoken(adapter, "Hello")
