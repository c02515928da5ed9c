"""Makes what Chromium's fake microphone plays in the browser tests: a sentence, then silence, over and over.

python -m tests.browser_microphone      writes tests/fixtures/microphone.wav; needs espeak-ng
"""

from __future__ import annotations

import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

from models.rates import SPEECH_RATE
from realtime import sound
from realtime.dsp import Decimator

FILE = Path(__file__).parent / "fixtures" / "microphone.wav"
SENTENCE = "Papa may buy my mother a map of Bombay."
SILENCE_S = 2.5


def make() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "-w", spoken, SENTENCE], check=True)
        decimator = Decimator()
        speech = np.concatenate([decimator.step(chunk) for chunk in sound.chunks(sound.blocks(spoken))])
    samples = np.concatenate([speech, np.zeros(int(SILENCE_S * SPEECH_RATE), np.float32)])
    with wave.open(str(FILE), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    make()
