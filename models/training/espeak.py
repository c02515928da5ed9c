"""Speech in many languages with exact phoneme times, from the installed espeak-ng.

Calls libespeak-ng through ctypes (its phoneme events, in IPA); reads `sentences.txt` beside it. One voice at a time:
the library keeps global state, so this is for scripts, not for servers. The events of p, t, k (and of b, d, g at the
start of a word) mark the burst, so those segments are extended back over the silent closure before it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.rates import SPEECH_RATE
from models.training.corpus import Segment
from models.visemes import from_ipa

LANGUAGES = (
    "en-us",
    "en",
    "de",
    "fr",
    "es",
    "pt-br",
    "nl",
    "pl",
    "ru",
    "tr",
    "sv",
    "fi",
    "cmn-latn-pinyin",
    "ja",
    "hi",
)
HELD_OUT_LANGUAGE = "it"
VARIANTS = (
    "",
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "klatt",
    "klatt2",
    "klatt4",
)

_SYNCHRONOUS, _PHONEME_EVENTS_IPA, _UTF8 = 2, 3, 1
_WORD, _PHONEME = 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_CLOSURE_S = 0.04


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class EspeakError(RuntimeError):
    """espeak-ng is not installed, or refuses a voice or a text."""


class _Engine:
    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise EspeakError("espeak-ng is not installed; install Debian's package espeak-ng")
        self.library = ctypes.CDLL(name)
        self.rate = self.library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IPA)
        if self.rate <= 0:
            raise EspeakError("espeak-ng does not start")
        self._callback = _CALLBACK(self._receive)  # kept, or it is collected while C still calls it
        self.library.espeak_SetSynthCallback(self._callback)
        self.sound: list[NDArray[np.int16]] = []
        self.events: list[tuple[int, float, str]] = []

    def _receive(self, samples, count: int, events) -> int:
        if samples and count:
            self.sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events[at].type:
            event = events[at]
            if event.type in (_WORD, _PHONEME):
                text = event.string if event.type == _PHONEME else b""
                self.events.append((event.type, event.sample / self.rate, text.decode("utf-8", "ignore")))
            at += 1
        return 0

    def check(self, code: int, doing: str) -> None:
        if code != 0:
            raise EspeakError(f"espeak-ng fails at {doing} (code {code})")


@cache
def _engine() -> _Engine:
    return _Engine()


def speak(
    text: str, voice: str, words_per_minute: int = 175, pitch: int = 50, intonation: int = 50
) -> tuple[NDArray[np.float32], list[Segment]]:
    """(N,) sound at 16 kHz and its gapless segments. `voice` is a language with an optional variant ("de+f2").

    Raises EspeakError.
    """
    engine = _engine()
    library = engine.library
    engine.check(library.espeak_SetVoiceByName(voice.encode()), f"voice {voice}")
    for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, intonation)):
        engine.check(library.espeak_SetParameter(parameter, value, 0), "its parameters")
    engine.sound.clear()
    engine.events.clear()
    data = text.encode() + b"\0"
    engine.check(
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, _UTF8, None, None), f"the text {text!r}"
    )
    sound = np.concatenate(engine.sound).astype(np.float32) / np.float32(32768)
    return _to_speech_rate(sound, engine.rate), _segments(engine.events, len(sound) / engine.rate)


def babble(
    language: str, seconds: float, random: np.random.Generator
) -> Iterator[tuple[NDArray[np.float32], list[Segment]]]:
    """At least `seconds` of sentences, shuffled words and numbers, each in another voice of `language`."""
    spoken = 0.0
    while spoken < seconds:
        text = random_text(language, random)
        variant = random.choice(VARIANTS)
        sound, segments = speak(
            text,
            f"{language}+{variant}" if variant else language,
            words_per_minute=int(random.integers(120, 230)),
            pitch=int(random.integers(20, 80)),
            intonation=int(random.integers(20, 80)),
        )
        spoken += len(sound) / SPEECH_RATE
        yield sound, segments


def random_text(language: str, random: np.random.Generator) -> str:
    """A sentence, shuffled words or a few numbers in `language`. Raises EspeakError if sentences.txt has none of it."""
    sentences = _sentences(language)
    kind = random.random()
    if kind < 0.4:
        return str(random.choice(sentences))
    if kind < 0.8:
        return " ".join(random.choice(" ".join(sentences).split(), size=random.integers(4, 9)))
    return ", ".join(str(n) for n in random.integers(0, 10 ** random.integers(1, 5), size=3))


def _sentences(language: str) -> list[str]:
    for line in (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines():
        name, text = line.split("\t")
        if name in (language, language.split("-")[0]):
            return [sentence.strip() for sentence in text.split("|")]
    raise EspeakError(f"sentences.txt has none in {language}")


def _segments(events: list[tuple[int, float, str]], duration_s: float) -> list[Segment]:
    words_s = {at_s for kind, at_s, _ in events if kind == _WORD}
    spoken = [(at_s, from_ipa(text)) for kind, at_s, text in events if kind == _PHONEME and from_ipa(text)]
    segments = [Segment("sil", 0.0, spoken[0][0] if spoken else duration_s)]
    for (at_s, parts), (next_s, _) in pairwise([*spoken, (duration_s, ())]):
        each_s = (next_s - at_s) / len(parts)
        for number, phoneme in enumerate(parts):
            segment = Segment(phoneme, at_s + number * each_s, at_s + (number + 1) * each_s)
            if phoneme in ("p", "t", "k") or (phoneme in ("b", "d", "ɡ") and at_s in words_s):
                segment = _with_closure(segments, segment)
            segments.append(segment)
    return [s for s in segments if s.end_s > s.start_s]


def _with_closure(before: list[Segment], stop: Segment) -> Segment:
    """The stop with the closure ahead of its burst, which is taken from the last of `before`."""
    last = before[-1]
    share = 1.0 if last.phoneme == "sil" else 0.5
    start_s = stop.start_s - min(_CLOSURE_S, share * (last.end_s - last.start_s))
    before[-1] = replace(last, end_s=start_s)
    return replace(stop, start_s=start_s)


def _to_speech_rate(sound: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
    return np.concatenate([p.to_ndarray()[0] for f in (frame, None) for p in resampler.resample(f)])
