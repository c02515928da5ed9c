"""Writes the speech that tests and benches share: `python -m models.training.speech_fixtures [--out tests/fixtures]`.

Makes speech_<language>.opus in English, German and Spanish with espeak-ng, and speech_phones.json beside them:
{language: [[phoneme, start_s, end_s], …]}, exact to the sample, closures of stops included.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.rates import SPEECH_RATE
from models.training import espeak

SPOKEN = {
    "en": ("en-us+f2", "Bob put the apples by the map. Five brave farmers moved above the valley, to see you and me."),
    "de": ("de+m3", "Papa backt am Abend Brot. Fünf Freunde fahren morgen vom Bahnhof in die Schule."),
    "es": ("es+f4", "Mi papá bebe un poco de agua. La familia viaja a Francia en febrero con su abuela."),
}


def write_opus(file: Path, sound: NDArray[np.float32], kbit_s: int = 32) -> None:
    """Ogg Opus of (N,) sound at 16 kHz; decoded, it has the length and timing of the sound."""
    with av.open(str(file), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SPEECH_RATE, layout="mono")
        stream.bit_rate = kbit_s * 1000
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = SPEECH_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tests/fixtures"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    phones = {}
    for language, (voice, text) in SPOKEN.items():
        sound, segments = espeak.speak(text, voice)
        write_opus(options.out / f"speech_{language}.opus", sound)
        phones[language] = [[s.phoneme, round(s.start_s, 4), round(s.end_s, 4)] for s in segments]
    (options.out / "speech_phones.json").write_text(json.dumps(phones, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
