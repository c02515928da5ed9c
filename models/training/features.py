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
from models.training import augment, corpus, engines, espeak, nonspeech, pitch_track

CACHE = Path(".cache/phonemes")


@dataclass(frozen=True, slots=True)
class Shard:
    """All clips of one rendering, end to end.

    spectrum: (N, 80) float16 log power, not normalised; phoneme, progress: (N,) uint8 (`corpus.frame_labels`);
    pitch: (N,) float16 Hz, 0 where unvoiced (`pitch_track`); spans: {group: [[first, last), …]} frames of each clip,
    neighbours by the same speaker; belief: (N, P) uint8, 255 times what a teacher believes, None if none has listened.
    """

    spectrum: NDArray[np.float16]
    phoneme: NDArray[np.uint8]
    progress: NDArray[np.uint8]
    pitch: NDArray[np.float16]
    spans: dict[str, list[list[int]]]
    belief: NDArray[np.uint8] | None = None

    @staticmethod
    def load(folder: Path) -> Shard:
        arrays = {name: np.load(folder / f"{name}.npy") for name in ("spectrum", "phoneme", "progress", "pitch")}
        return Shard(**arrays, spans=json.loads((folder / "spans.json").read_text()))

    def taught(self, folder: Path) -> Shard:
        """The same with the labels that a teacher left in `folder`."""
        phoneme, progress = np.load(folder / "realigned.npy")
        return replace(self, phoneme=phoneme, progress=progress, belief=np.load(folder / "belief.npy"))

    def labelled_as(self, other: Shard) -> Shard:
        """The same with the labels of another rendering of the same clips, each stretched to its length here."""
        at = np.zeros(len(self.phoneme), np.int64)
        for group, spans in self.spans.items():
            for (first, last), (start, end) in zip(spans, other.spans[group], strict=True):
                middles = (np.arange(last - first) + 0.5) * (end - start) / (last - first)
                at[first:last] = start + middles.astype(np.int64)
        belief = None if other.belief is None else other.belief[at]
        return replace(self, phoneme=other.phoneme[at], progress=other.progress[at], belief=belief)


@dataclass(frozen=True, slots=True)
class Piece:
    """A clip as it goes into a shard; pitch has a value for each 10 ms frame."""

    group: str
    sound: NDArray[np.float32]
    segments: list[corpus.Segment]
    pitch: NDArray[np.float32]


def write_shard(folder: Path, pieces: Iterable[Piece]) -> int:
    """Writes pieces as a shard; answers its number of frames."""
    arrays: dict[str, list[NDArray]] = {"spectrum": [], "phoneme": [], "progress": [], "pitch": []}
    spans: dict[str, list[list[int]]] = {}
    tail, at = mel.initial_state(1).tail, 0
    for piece in pieces:
        frames = len(piece.sound) // MEL_HOP
        spectrum, _ = mel.log_spectrum(piece.sound[None, : frames * MEL_HOP], tail)
        labels, through = corpus.frame_labels(piece.segments, frames)
        parts = (spectrum[0].astype(np.float16), labels, through, piece.pitch[:frames].astype(np.float16))
        for array, part in zip(arrays.values(), parts, strict=True):
            array.append(part)
        spans.setdefault(piece.group, []).append([at, at + frames])
        at += frames
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.concatenate(array))
    (folder / "spans.json").write_text(json.dumps(spans))
    return at


def rendered(
    group: str, sound: NDArray[np.float32], segments: Iterable[corpus.Segment], random: np.random.Generator | None
) -> Piece:
    """A clip as it is, or in a random rendering with its labels and pitch moved along."""
    pitch = pitch_track.track(sound)
    if random is None:
        return Piece(group, sound, list(segments), pitch)
    sound, stretch, higher = augment.render(sound, random)
    moved = [replace(s, start_s=s.start_s * stretch, end_s=s.end_s * stretch) for s in segments]
    at = np.minimum((np.arange(len(sound) // MEL_HOP) + 0.5) / stretch, len(pitch) - 1).astype(np.int64)
    return Piece(group, sound, moved, pitch[at] * np.float32(higher))


def real(clips: Iterable[corpus.Clip], rendering: int) -> Iterator[Piece]:
    for clip in clips:
        seed = zlib.crc32(f"{rendering} {clip.path.name}".encode())
        random = np.random.default_rng(seed) if rendering else None
        yield rendered(clip.group, corpus.read_sound(clip.path), clip.segments, random)


def synthetic(rendering: int, seconds_per_voice: float) -> Iterator[Piece]:
    """espeak-ng in all its languages, flite and Festival."""
    random = np.random.default_rng(1000 + rendering)
    voices: dict[str, Iterator[engines.Spoken]] = {
        f"espeak-{language}": espeak.babble(language, seconds_per_voice, random) for language in espeak.LANGUAGES
    } | {
        f"{voice.engine}-{voice.name}": engines.babble(voice, seconds_per_voice, random)
        for voice in engines.VOICES
        if voice.name not in engines.HELD_OUT_VOICES
    }
    for name, spoken in voices.items():
        for sound, segments in spoken:
            yield rendered(name, sound, segments, random)


def noises(count: int) -> Iterator[Piece]:
    """Sounds that are no speech, all `sil`."""
    for sound in nonspeech.sounds(np.random.default_rng(2000), count):
        silent = np.zeros(len(sound) // MEL_HOP, np.float32)
        yield Piece("nonspeech", sound, [corpus.Segment("sil", 0, len(sound))], silent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, ljspeech/ and grid_s1/")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--renderings", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--synthetic-seconds", type=float, default=120, help="speech of each made voice")
    options = parser.parse_args()
    logging.getLogger("libav").setLevel(logging.ERROR)
    clips = {split: [c for c in corpus.real_clips(options.data) if c.split == split] for split in ("train", "dev")}
    if 0 in options.renderings:
        write_shard(options.cache / "noises", noises(count=280))
        write_shard(options.cache / "dev", real(clips["dev"], 0))
    for rendering in options.renderings:
        for name, pieces in (
            ("synthetic", synthetic(rendering, options.synthetic_seconds)),
            ("real", real(clips["train"], rendering)),
        ):
            frames = write_shard(options.cache / f"{name}-{rendering}", pieces)
            print(f"{name} {rendering}: {frames / 6000:.0f} minutes", flush=True)


if __name__ == "__main__":
    main()
