"""Speech is heard, silence and noise are not, and one session's voice never leaks into another's."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.rates import SPEECH_CHUNK, SPEECH_RATE
from realtime.dsp import Decimator
from realtime.voice_activity import (
    START_WINDOWS,
    STOP_WINDOWS,
    SpeechStarted,
    SpeechStopped,
    VoiceDetector,
    VoiceState,
    hysteresis,
)


@pytest.fixture(scope="module")
def detector() -> VoiceDetector:
    return VoiceDetector()


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.float32]:
    """A second of silence, a spoken sentence, a second of silence; 16 kHz."""
    if not shutil.which("espeak-ng"):
        pytest.skip("needs espeak-ng")
    wave = subprocess.run(["espeak-ng", "--stdout", "good morning everybody"], capture_output=True, check=True).stdout
    spoken = np.frombuffer(wave[44 : len(wave) // 2 * 2], "<i2").astype(np.float32) / 32768
    at_48k = np.interp(np.arange(0, len(spoken), 22_050 / 48_000), np.arange(len(spoken)), spoken).astype(np.float32)
    spoken = Decimator().step(at_48k[: len(at_48k) // 3 * 3])
    still = np.zeros(SPEECH_RATE, np.float32)
    sound = np.concatenate([still, spoken, still])
    return sound[: len(sound) // SPEECH_CHUNK * SPEECH_CHUNK]


def events_of(
    detector: VoiceDetector, sound: NDArray[np.float32], piece: int = SPEECH_CHUNK, state: VoiceState | None = None
) -> list[tuple[int, type]]:
    state, found = state or VoiceState(), []
    for at in range(0, len(sound), piece):
        (events,), (state,) = detector.step([sound[at : at + piece]], [state])
        found += [(at // SPEECH_CHUNK, type(event)) for event in events]
    return found


def test_a_sentence_starts_and_stops_where_it_is(detector: VoiceDetector, sentence: NDArray[np.float32]) -> None:
    events = events_of(detector, sentence)
    assert [kind for _, kind in events] == [SpeechStarted, SpeechStopped]
    started, stopped = (chunk for chunk, _ in events)
    assert 25 <= started <= 33
    assert len(sentence) // SPEECH_CHUNK - 25 <= stopped <= len(sentence) // SPEECH_CHUNK


def test_chunks_of_any_length_tell_the_same(detector: VoiceDetector, sentence: NDArray[np.float32]) -> None:
    kinds = [kind for _, kind in events_of(detector, sentence)]
    assert [kind for _, kind in events_of(detector, sentence, piece=213)] == kinds
    assert [kind for _, kind in events_of(detector, sentence, piece=len(sentence))] == kinds


def test_silence_hum_and_noise_are_no_speech(detector: VoiceDetector) -> None:
    at_s = np.arange(3 * SPEECH_RATE) / SPEECH_RATE
    noise = np.random.default_rng(0).standard_normal(len(at_s))
    for sound in (0 * at_s, 0.3 * np.sin(2 * np.pi * 50 * at_s), 0.05 * noise):
        assert events_of(detector, sound.astype(np.float32)) == []


def test_sessions_do_not_hear_each_other(detector: VoiceDetector, sentence: NDArray[np.float32]) -> None:
    """Together, in any order and with windows that end at different places, each hears what it would hear alone."""
    sounds = [sentence, np.zeros_like(sentence), np.roll(sentence, 5000), sentence]
    states = [VoiceState(waiting=np.zeros(waiting, np.float32)) for waiting in (0, 100, 250, 500)]
    alone = [events_of(detector, sound, state=state) for sound, state in zip(sounds, states, strict=True)]
    together: list[list[tuple[int, type]]] = [[] for _ in sounds]
    for at in range(0, len(sentence), SPEECH_CHUNK):
        rows = np.roll(range(len(sounds)), at).tolist()
        events, after = detector.step([sounds[r][at : at + SPEECH_CHUNK] for r in rows], [states[r] for r in rows])
        for row, its, state in zip(rows, events, after, strict=True):
            states[row] = state
            together[row] += [(at // SPEECH_CHUNK, type(event)) for event in its]
    assert [kind for _, kind in alone[0]] == [SpeechStarted, SpeechStopped] and not alone[1]
    assert together == alone


def test_a_click_does_not_start_speech_nor_a_breath_end_it() -> None:
    speaking, run = False, 0
    for probability in [0.9] * (START_WINDOWS - 1) + [0.1] * 5:
        speaking, run, event = hysteresis(speaking, run, probability)
        assert event is None
    for probability in [0.9] * START_WINDOWS:
        speaking, run, event = hysteresis(speaking, run, probability)
    assert event == SpeechStarted()
    for probability in [0.1] * (STOP_WINDOWS - 1) + [0.4]:
        speaking, run, event = hysteresis(speaking, run, probability)
        assert event is None and speaking


def test_torch_is_not_loaded_for_it() -> None:
    code = "import sys, realtime.voice_activity as v; v.VoiceDetector(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
