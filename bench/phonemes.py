"""How well the phoneme encoder hears people that no training heard: `python -m bench.phonemes --data DIR`.

Reads the held-out clips below DIR (`models.training.corpus` names the speakers) and makes espeak-ng speech; writes
bench/results/phonemes.json. Frames are 10 ms; every clip goes through the streaming encoder chunk by chunk. The
baseline knows only loudness: each level is given the viseme most common at it, fitted on these very frames, so it is
the best of its kind.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results import save, table
from models.phonemes import EncoderState, PhonemeEncoder
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, MEL_HOP, SPEECH_CHUNK
from models.training import augment, corpus, espeak, nonspeech
from models.visemes import PHONEME_VISEME, VISEME_INDEX, VISEMES

Sound = NDArray[np.float32]
MAIN = LOOK_AHEADS_MS.index(80)
ROWS = 32
SHOWN = ("PP", "FF", "aa")

CONDITIONS: dict[str, Callable[[Sound, np.random.Generator], Sound]] = {
    "clean": lambda sound, random: sound,
    "10 dB": lambda sound, random: augment.noise(sound, random, snr_db=10, colour=1.0),
    "Opus 16k": lambda sound, random: augment.opus(sound, kbit_s=16),
}


@dataclass(frozen=True, slots=True)
class Utterance:
    group: str
    speaker: str
    sound: Sound
    segments: Sequence[corpus.Segment]


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance's frames: true (T,) visemes, -1 where unknown; said (delays, T) visemes; level_db (T,)."""

    group: str
    speaker: str
    true: NDArray[np.int64]
    said: NDArray[np.int64]
    level_db: NDArray[np.float32]


def kept_back(data: Path, split: corpus.Split) -> list[Utterance]:
    return [
        Utterance(c.group, c.speaker, corpus.read_sound(c.path), c.segments)
        for c in corpus.real_clips(data)
        if c.split == split
    ]


def synthetic(seconds: float) -> list[Utterance]:
    random = np.random.default_rng(5)
    return [
        Utterance(f"espeak {language}", language, sound, segments)
        for language in (espeak.HELD_OUT_LANGUAGE, "en-us", "de", "es", "fr")
        for sound, segments in espeak.babble(language, seconds, random)
    ]


def hear(encoder: PhonemeEncoder, utterances: Sequence[Utterance]) -> list[Heard]:
    """Streams the utterances, `ROWS` at a time, longest first so that rows of a batch end together."""
    order = sorted(utterances, key=lambda u: -len(u.sound))
    return [h for i in range(0, len(order), ROWS) for h in _hear(encoder, order[i : i + ROWS])]


def _hear(encoder: PhonemeEncoder, batch: Sequence[Utterance]) -> list[Heard]:
    slowest = max(LOOK_AHEADS_MS) // 40
    chunks = -(-len(batch[0].sound) // SPEECH_CHUNK) + slowest
    sounds = np.zeros((len(batch), chunks * SPEECH_CHUNK), np.float32)
    for row, utterance in zip(sounds, batch, strict=True):
        row[: len(utterance.sound)] = utterance.sound
    state: EncoderState = encoder.initial_state(len(batch))
    said, levels = [], []
    for chunk in np.split(sounds, chunks, axis=1):
        frames, state = encoder.step(chunk, state)
        said.append(frames.viseme.argmax(3))
        levels.append(frames.level_db)
    answers = np.concatenate(said, axis=2)  # (rows, delays, frames), each still late by its delay
    level_db = np.concatenate(levels, axis=1)
    heard = []
    for at, utterance in enumerate(batch):
        count = len(utterance.sound) // MEL_HOP
        late = [ms // 40 * MEL_FRAMES for ms in LOOK_AHEADS_MS]
        prompt = np.stack([answers[at, i, late[i] : late[i] + count] for i in range(len(late))])
        label, _ = corpus.frame_labels(utterance.segments, count)
        true = np.where(label == corpus.UNLABELLED, -1, PHONEME_VISEME[np.minimum(label, len(PHONEME_VISEME) - 1)])
        heard.append(Heard(utterance.group, utterance.speaker, true, prompt, level_db[at, :count]))
    return heard


def accuracy(true: NDArray, said: NDArray) -> float:
    return float(np.mean(said[true >= 0] == true[true >= 0]))


def f1(true: NDArray, said: NDArray, viseme: str) -> float:
    index = VISEME_INDEX[viseme]
    both = np.sum((true == index) & (said == index))
    return float(2 * both / max(1, np.sum(true == index) + np.sum(said[true >= 0] == index)))


def joined(heard: Iterable[Heard]) -> tuple[NDArray, NDArray]:
    """True and said of many utterances, end to end: (T,), (delays, T)."""
    parts = [(h.true, h.said) for h in heard]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts], axis=1)


def loudness_only(heard: Sequence[Heard]) -> NDArray:
    """What the energy-only baseline says: per 3 dB below the utterance's loud level, the commonest viseme."""
    true = np.concatenate([h.true for h in heard])
    below = np.concatenate([np.percentile(h.level_db, 95) - h.level_db for h in heard])
    step = np.clip(below // 3, 0, 20).astype(int)
    best = [np.bincount(true[(step == s) & (true >= 0)], minlength=len(VISEMES)).argmax() for s in range(21)]
    return np.asarray(best)[step]


def figures(heard: Sequence[Heard]) -> dict[str, dict[str, float]]:
    """Accuracy and F1 of PP, FF and aa at every look-ahead."""
    true, said = joined(heard)
    return {
        f"{ms} ms": {"accuracy": accuracy(true, said[i])} | {v: f1(true, said[i], v) for v in SHOWN}
        for i, ms in enumerate(LOOK_AHEADS_MS)
    }


def confusion(heard: Sequence[Heard], viseme: str) -> dict[str, float]:
    """What frames of `viseme` are taken for at 80 ms, shares above 2 %."""
    true, said = joined(heard)
    counts = np.bincount(said[MAIN][true == VISEME_INDEX[viseme]], minlength=len(VISEMES))
    shares = counts / max(1, counts.sum())
    return {VISEMES[i]: round(float(shares[i]), 3) for i in np.argsort(-shares) if shares[i] > 0.02}


def silence_on_noises(encoder: PhonemeEncoder) -> float:
    """Share of frames of breath, keyboard, hum, music and room tone that are sil at 80 ms."""
    noises = [
        Utterance("nonspeech", "", sound, [corpus.Segment("sil", 0, 60)])
        for sound in nonspeech.sounds(np.random.default_rng(77), count=25)
    ]
    true, said = joined(hear(encoder, noises))
    return accuracy(true, said[MAIN])


def milliseconds_a_chunk(encoder: PhonemeEncoder, chunks: int = 300) -> float:
    """Processor time of one step of one session: the least mean of three runs."""
    sound = np.random.default_rng(0).normal(0, 0.1, (chunks, 1, SPEECH_CHUNK)).astype(np.float32)
    runs = []
    for _ in range(3):
        state, began = encoder.initial_state(), time.process_time()
        for chunk in sound:
            _, state = encoder.step(chunk, state)
        runs.append((time.process_time() - began) / chunks * 1000)
    return min(runs)


def disguised(utterances: Sequence[Utterance], condition: str) -> list[Utterance]:
    """The utterances under a condition, each with a generator seeded by its own sound."""
    change = CONDITIONS[condition]
    seeds = [np.random.default_rng(zlib.crc32(u.sound.tobytes())) for u in utterances]
    return [replace(u, sound=change(u.sound, seed)) for u, seed in zip(utterances, seeds, strict=True)]


def by_set(heard: Sequence[Heard]) -> dict[str, list[Heard]]:
    """All real people together first, then every set by name."""
    groups = sorted({h.group for h in heard})
    return {"all people": people(heard)} | {group: [h for h in heard if h.group == group] for group in groups}


def people(heard: Sequence[Heard]) -> list[Heard]:
    return [h for h in heard if not h.group.startswith("espeak")]


def details(heard: Sequence[Heard]) -> dict[str, Any]:
    """What more there is to say of real people: the baseline, each speaker, and what lips are taken for."""
    true, said = joined(heard)
    guess = loudness_only(heard)
    each = {name: joined([h for h in heard if h.speaker == name]) for name in sorted({h.speaker for h in heard})}
    return {
        "loudness_only": {"accuracy": accuracy(true, guess)} | {v: f1(true, guess, v) for v in SHOWN},
        "speakers": {name: accuracy(true, said[MAIN]) for name, (true, said) in each.items()},
        "confusion": {viseme: confusion(heard, viseme) for viseme in SHOWN},
        "f1_80_ms": {viseme: f1(true, said[MAIN], viseme) for viseme in VISEMES},
    }


def show(report: dict[str, Any]) -> None:
    delays = [f"{ms} ms" for ms in LOOK_AHEADS_MS]
    rows = []
    for condition, sets in report["sets"].items():
        for group, part in sets.items():
            shown = [part[d]["accuracy"] for d in delays] + [part[delays[MAIN]][v] for v in SHOWN]
            rows.append([condition, group, *(f"{value:.3f}" for value in shown)])
    baseline = report["loudness_only"]
    rows.append(
        ["clean", "loudness only", *[f"{baseline['accuracy']:.3f}"] * 4, *(f"{baseline[v]:.3f}" for v in SHOWN)]
    )
    table(rows, ["sound", "set", *delays, *(f"{v} F1" for v in SHOWN)])
    print("\nF1 at 80 ms. Sets named espeak are synthetic and decide nothing; Italian (it) was never trained on.")
    for viseme, taken in report["confusion"].items():
        print(f"{viseme} is heard as", ", ".join(f"{name} {share:.0%}" for name, share in taken.items()))
    low, mid, high = np.percentile(list(report["speakers"].values()), (5, 50, 95))
    print(
        f"speakers at 80 ms: {low:.3f} (5 %)  {mid:.3f} (median)  {high:.3f} (95 %), {len(report['speakers'])} voices"
    )
    print(f"no speech heard as sil: {report['nonspeech_sil']:.1%}; {report['ms_a_chunk']:.2f} ms of one core a chunk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds speech/, ljspeech/ and grid_s1/")
    parser.add_argument("--synthetic-seconds", type=float, default=40, help="espeak-ng speech of each language")
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="dev is for taking decisions")
    options = parser.parse_args()
    encoder = PhonemeEncoder()
    utterances = kept_back(options.data, options.split) + synthetic(options.synthetic_seconds)
    heard = {condition: hear(encoder, disguised(utterances, condition)) for condition in CONDITIONS}
    report = {
        "sets": {name: {group: figures(part) for group, part in by_set(said).items()} for name, said in heard.items()},
        **details(people(heard["clean"])),
        "nonspeech_sil": silence_on_noises(encoder),
        "ms_a_chunk": milliseconds_a_chunk(encoder),
    }
    show(report)
    save("phonemes", report)


if __name__ == "__main__":
    main()
