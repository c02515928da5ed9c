"""How well rendered clips speak: sync, closures, silence, steadiness, judged by a landmarker that is not ours.

    python -m bench.clip --landmarker face_landmarker.task [--avatar NAME …] [--look-ahead-ms 80] [--keep DIR]

Renders synthetic speech with exact phone times (espeak-ng; the sentences are in no training set, and Italian is a
language that the encoder never heard) over the avatars that ship, decodes the film and tracks it. Beside our row: the
same film against another clip's sound (must fail), and a jaw that follows loudness alone (must lose).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from bench import measures, results
from bench.landmarker import Landmarker
from models.avatar import Avatar, AvatarFrame, AvatarState, StepInput
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.generator import FrameGenerator
from models.rates import DEFAULT_LOOK_AHEAD_MS, LOOK_AHEADS_MS, SPEECH_RATE
from models.training import espeak
from realtime import config, render, sound
from realtime.identities import AvatarStore
from realtime.timebase import AUDIO_RATE

TEXTS = {
    "en-us+f3": "Probably a member of the public will bump into my bicycle. Papa, may I borrow a map? "
    "Every vivid memory fades, but my mother still bakes apple pudding and warm bread. "
    "Fifteen brave people jumped from the boat.",
    "de+m3": "Am Abend packt Papa bunte Bälle in ein Paket. Meine Oma mag warme Pfannkuchen und Apfelmus. "
    "Viele Männer bauen Boote aus Papier. Bitte komm bald, der Bus wartet nur kurz am Bahnhof.",
    "it": "La mamma prepara la pappa per il bambino. Passami il pepe, per piacere, prima che il brodo si raffreddi. "
    "Un bravo pompiere abita sopra la farmacia. Domani forse verrà a piovere sui nostri campi.",
}
FLAPPER_JAW = 0.35


@dataclass(frozen=True, slots=True)
class Speech:
    language: str
    heard: NDArray[np.float32]
    phones: list[measures.Phone]

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        """The sound as (1920,) chunks at 48 kHz."""
        frame = av.AudioFrame.from_ndarray(self.heard[None], format="flt", layout="mono")
        frame.sample_rate = SPEECH_RATE
        resampler = av.AudioResampler("flt", "mono", AUDIO_RATE)
        return sound.chunks(out.to_ndarray()[0] for piece in (frame, None) for out in resampler.resample(piece))


class JawFlapper(Avatar):
    """The baseline to beat: the jaw follows the loudness of the sound at once, nothing else moves."""

    def step(
        self, inputs: Sequence[StepInput], states: Sequence[AvatarState]
    ) -> tuple[list[AvatarFrame | None], list[AvatarState]]:
        frames: list[AvatarFrame | None] = []
        for row, state in zip(inputs, states, strict=True):
            loud_db = 10 * np.log10(np.mean(row.chunk**2) + 1e-7)
            motion = FaceMotion.rest()
            motion.weights[ARKIT_INDEX["jawOpen"]] = FLAPPER_JAW * np.clip((loud_db + 50) / 35, 0, 1)
            frames.append(AvatarFrame(state.index, motion, None, {}))
        return frames, [replace(state, index=state.index + 1) for state in states]


def track(film: Path, landmarker: Landmarker) -> measures.Track:
    times: list[float] = []
    points: list[NDArray[np.float64]] = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            picture: Any = frame.to_ndarray(format="bgr24")
            found = landmarker(picture)
            if found is not None:
                times.append(frame.time or 0.0)
                points.append(found)
    return measures.Track(np.array(times), np.array(points))


def figures(seen: measures.Track, speech: Speech) -> dict[str, float]:
    lag_s, peak = measures.offset(seen, speech.heard, SPEECH_RATE)
    closures = measures.closures(seen, speech.phones)
    return {
        "offset_ms": round(lag_s * 1000),
        "peak": round(peak, 3),
        "closure": round(closures["closure"], 3),
        "bilabials": closures["bilabials"],
        "false_closure": round(closures["false_closure"], 3),
        "open_vowels": closures["open_vowels"],
        "aperture_p95": round(float(np.percentile(seen.aperture, 95)), 3),
        "above_8hz": round(measures.share_above(seen.aperture, 8), 3),
        "silent_sigma": round(measures.silent_lips(seen, speech.heard, SPEECH_RATE), 4),
        "jitter": round(measures.rigid_jitter(seen), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--landmarker", type=Path, required=True, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--avatar", action="append", help="avatar to render (default: all that ship)")
    parser.add_argument("--look-ahead-ms", type=int, choices=LOOK_AHEADS_MS, default=DEFAULT_LOOK_AHEAD_MS)
    parser.add_argument("--keep", type=Path, help="keep the films in this folder")
    options = parser.parse_args()

    store = AvatarStore(config.load())
    speeches = [_speech(language, text) for language, text in TEXTS.items()]
    ours, flapper = Avatar(), JawFlapper()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.avatar or [entry.name for entry in store.list() if entry.builtin]:
            generator = FrameGenerator(store.identity(name))
            for number, speech in enumerate(speeches):
                for label, avatar, ahead in (("ours", ours, options.look_ahead_ms), ("jaw flapper", flapper, 0)):
                    film = folder / f"{name}-{speech.language}-{label.replace(' ', '-')}.mp4"
                    render.render(avatar, generator, speech.chunks(), film, look_ahead_ms=ahead)
                    seen = track(film, Landmarker(options.landmarker))
                    rows.append({"row": label, "avatar": name, "speech": speech.language, **figures(seen, speech)})
                    if label == "ours":
                        other = speeches[(number + 1) % len(speeches)]
                        shuffled = {"row": "shuffled sound", "avatar": name, "speech": speech.language}
                        rows.append({**shuffled, **figures(seen, other)})
    header = list(rows[0])
    results.table([[row[column] for column in header] for row in rows], header)
    summary = {
        label: _mean([row for row in rows if row["row"] == label])
        for label in ("ours", "shuffled sound", "jaw flapper")
    }
    print()
    results.table([[label, *means.values()] for label, means in summary.items()], ["mean of", *summary["ours"]])
    results.save("clip", {"look_ahead_ms": options.look_ahead_ms, "rows": rows, "means": summary})


def _speech(language: str, text: str) -> Speech:
    heard, segments = espeak.speak(text, language)
    return Speech(language, heard, [(s.phoneme, s.start_s, s.end_s) for s in segments])


def _mean(rows: list[dict[str, object]]) -> dict[str, float]:
    names = [name for name, value in rows[0].items() if isinstance(value, int | float)]
    means = {name: float(np.nanmean([row[name] for row in rows])) for name in names}  # type: ignore[arg-type]
    means["offset_ms_worst"] = float(max(abs(row["offset_ms"]) for row in rows))  # type: ignore[arg-type]
    return {name: round(value, 4) for name, value in means.items()}


if __name__ == "__main__":
    main()
