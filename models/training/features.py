"""Features of the corpus on disk: every clip heard once as it is, and again in random renderings.

    python -m models.training.features --data DIR [--cache DIR] --renderings 0 1 2

Writes one folder of arrays per rendering (0 is the plain sound) below the cache folder; each rendering is seeded by its
number, so that the cache can be made again. `Shard` opens one.
"""

from __future__ import annotations

import argparse
import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import mel
from models.rates import MEL_HOP
from models.training import augment, corpus, espeak, nonspeech

CACHE = Path(".cache/phonemes")


@dataclass(frozen=True, slots=True)
class Shard:
    """All clips of one rendering, end to end.

    spectrum: (N, 80) float16 log power, not normalised; phoneme, progress: (N,) uint8 (`corpus.frame_labels`);
    spans: {group: [[first, last), …]} frames of each clip, training clips only, neighbours by the same speaker.
    """

    spectrum: NDArray[np.float16]
    phoneme: NDArray[np.uint8]
    progress: NDArray[np.uint8]
    spans: dict[str, list[list[int]]]

    @staticmethod
    def load(folder: Path) -> Shard:
        spectrum, phoneme, progress = (np.load(folder / f"{name}.npy") for name in ("spectrum", "phoneme", "progress"))
        return Shard(spectrum, phoneme, progress, json.loads((folder / "spans.json").read_text()))


def write_shard(folder: Path, pieces: Iterable[tuple[str, NDArray[np.float32], list[corpus.Segment]]]) -> int:
    """Writes (group, sound, segments) pieces as a shard; answers its number of frames."""
    spectra, phonemes, progress, at = [], [], [], 0
    spans: dict[str, list[list[int]]] = {}
    tail = mel.initial_state(1).tail
    for group, sound, segments in pieces:
        frames = len(sound) // MEL_HOP
        spectrum, _ = mel.log_spectrum(sound[None, : frames * MEL_HOP], tail)
        labels, through = corpus.frame_labels(segments, frames)
        spectra.append(spectrum[0].astype(np.float16))
        phonemes.append(labels)
        progress.append(through)
        spans.setdefault(group, []).append([at, at + frames])
        at += frames
    folder.mkdir(parents=True, exist_ok=True)
    for name, arrays in (("spectrum", spectra), ("phoneme", phonemes), ("progress", progress)):
        np.save(folder / f"{name}.npy", np.concatenate(arrays))
    (folder / "spans.json").write_text(json.dumps(spans))
    return at


def rendered(clips: Iterable[corpus.Clip], rendering: int) -> Iterator[tuple[str, NDArray[np.float32], list]]:
    for clip in clips:
        sound, stretch = corpus.read_sound(clip.path), 1.0
        if rendering:
            seed = zlib.crc32(f"{rendering} {clip.path.name}".encode())
            sound, stretch = augment.render(sound, np.random.default_rng(seed))
        yield clip.group, sound, stretched(clip.segments, stretch)


def stretched(segments: Iterable[corpus.Segment], stretch: float) -> list[corpus.Segment]:
    return [replace(s, start_s=s.start_s * stretch, end_s=s.end_s * stretch) for s in segments]


def synthetic(rendering: int, seconds_per_language: float) -> Iterator[tuple[str, NDArray[np.float32], list]]:
    """espeak-ng in all its languages, and sounds that are no speech (all `sil`)."""
    random = np.random.default_rng(1000 + rendering)
    for language in espeak.LANGUAGES:
        for sound, segments in espeak.babble(language, seconds_per_language, random):
            sound, stretch = augment.render(sound, random)
            yield f"espeak-{language}", sound, stretched(segments, stretch)
    for sound in nonspeech.sounds(random, count=60):
        yield "nonspeech", sound, [corpus.Segment("sil", 0, len(sound))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, ljspeech/ and grid_s1/")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--renderings", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--synthetic-seconds", type=float, default=120, help="espeak-ng speech of each language")
    options = parser.parse_args()
    logging.getLogger("libav").setLevel(logging.ERROR)
    clips = [clip for clip in corpus.real_clips(options.data) if not clip.held_out]
    for rendering in options.renderings:
        for name, pieces in (
            ("synthetic", synthetic(rendering, options.synthetic_seconds)),
            ("real", rendered(clips, rendering)),
        ):
            frames = write_shard(options.cache / f"{name}-{rendering}", pieces)
            print(f"{name} {rendering}: {frames / 6000:.0f} minutes", flush=True)


if __name__ == "__main__":
    main()
