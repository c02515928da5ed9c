"""Says a sentence with espeak-ng and tells when each word begins: `espeak_words.py VOICE WORDS_PER_MINUTE < text`.

A program of its own, run as a child process: it loads libespeak-ng, which keeps global state and has another licence.
Writes one line of JSON, `{"rate": Hz, "words": [[character, sample], …]}` (where words begin in the text and in the
sound), then the sound as 16-bit little-endian PCM. Fails with a traceback and status 1.
"""

from __future__ import annotations

import ctypes
import json
import sys

SYNCHRONOUS, UTF8, END_PAUSE, RATE_PARAMETER, WORD_EVENT = 2, 1, 0x1000, 1, 1
"""Constants of speak_lib.h."""


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # of the word's first character, from 1
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def say(text: str, voice: str, words_per_minute: int) -> tuple[int, list[tuple[int, int]], bytes]:
    """Samples a second, (character, sample) of each word, and the sound. Raises OSError, RuntimeError."""
    library = ctypes.CDLL("libespeak-ng.so.1")
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, None, 0)
    words: list[tuple[int, int]] = []
    sound = bytearray()

    def receive(samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if samples and count:
            sound.extend(ctypes.string_at(samples, 2 * count))
        at = 0
        while events[at].type:
            if events[at].type == WORD_EVENT:
                words.append((events[at].text_position - 1, events[at].sample))
            at += 1
        return 0

    callback = _CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    data = text.encode() + b"\0"
    failed = (
        rate <= 0
        # As the program itself does: a voice by its name, else by its language.
        or (
            library.espeak_SetVoiceByName(voice.encode())
            and library.espeak_SetVoiceByProperties(ctypes.byref(_Voice(languages=voice.encode())))
        )
        or library.espeak_SetParameter(RATE_PARAMETER, words_per_minute, 0)
        or library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, UTF8 | END_PAUSE, None, None)
    )
    if failed:
        raise RuntimeError(f"espeak-ng cannot say this with the voice {voice}")
    return rate, words, bytes(sound)


if __name__ == "__main__":
    said_rate, said_words, said_sound = say(sys.stdin.buffer.read().decode(), sys.argv[1], int(sys.argv[2]))
    sys.stdout.buffer.write(json.dumps({"rate": said_rate, "words": said_words}).encode() + b"\n" + said_sound)
