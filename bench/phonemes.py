"""How well the phoneme encoder hears people that no training heard: `python -m bench.phonemes --data DIR`.

Reads the held-out clips below DIR (`models.training.corpus` names the speakers) and makes speech with the voices that
no training heard (`engines.HELD_OUT_VOICES`, espeak-ng's Italian) and with some that it did; writes
bench/results/phonemes.json. Frames are 10 ms; every clip goes through the streaming encoder chunk by chunk. Two
baselines: one knows only loudness (each level is given the viseme most common at it, fitted on these very frames, so it
is the best of its kind), one is our own answer to another moment of the same voice.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import foreign, noises
from bench.hearing import (
    MAIN,
    SHOWN,
    Heard,
    Sound,
    Utterance,
    accuracy,
    confusion,
    events,
    f1,
    figures,
    hear,
    joined,
    loudness_only,
    near_accuracy,
)
from bench.results import save, table
from models.phonemes import PhonemeEncoder
from models.rates import LOOK_AHEADS_MS, SPEECH_CHUNK
from models.training import augment, corpus, engines, espeak
from models.visemes import VISEMES

CONDITIONS: dict[str, Callable[[Sound, np.random.Generator], Sound]] = {
    "clean": lambda sound, random: sound,
    "10 dB": lambda sound, random: augment.noise(sound, random, snr_db=10, colour=1.0),
    "Opus 16k": lambda sound, random: augment.opus(sound, kbit_s=16),
}


def kept_back(data: Path, split: corpus.Split) -> list[Utterance]:
    return [
        Utterance(c.group, c.speaker, corpus.read_sound(c.path), c.segments)
        for c in corpus.real_clips(data)
        if c.split == split
    ]


def synthetic(seconds: float) -> list[Utterance]:
    """Made voices; the group says "made" and, where no training heard the voice, "unheard"."""
    random = np.random.default_rng(5)
    spoken = {
        f"made espeak {language}" + (", unheard" if language == espeak.HELD_OUT_LANGUAGE else ""): espeak.babble(
            language, seconds, random
        )
        for language in (espeak.HELD_OUT_LANGUAGE, "en-us", "de", "es", "fr", "pl", "ru", "tr", "cmn-latn-pinyin", "hi")
    }
    for voice in engines.VOICES:
        if voice.name in engines.HELD_OUT_VOICES:
            spoken[f"made {voice.engine} {voice.name} {voice.language}, unheard"] = engines.babble(
                voice, seconds, random
            )
    return [Utterance(name, name, sound, segments) for name, said in spoken.items() for sound, segments in said]


def silence_on_noises(encoder: PhonemeEncoder) -> dict[str, float]:
    """Share of frames that are sil at 80 ms, for each kind of sound that is no speech, and of all."""
    made = [
        Utterance(kind, "", sound, [corpus.Segment("sil", 0, 60)])
        for kind, takes in noises.sounds().items()
        for sound in takes
    ]
    heard = hear(encoder, made)
    each = {kind: joined([h for h in heard if h.group == kind]) for kind in dict.fromkeys(u.group for u in made)}
    shares = {kind: accuracy(true, said[MAIN]) for kind, (true, said) in each.items()}
    return {"all": float(np.mean(list(shares.values())))} | shares


def milliseconds_a_chunk(encoder: PhonemeEncoder, rows: int, chunks: int = 200) -> float:
    """Processor time of one step for each of `rows` sessions in a batch: the least mean of three runs."""
    sound = np.random.default_rng(0).normal(0, 0.1, (chunks, rows, SPEECH_CHUNK)).astype(np.float32)
    runs = []
    for _ in range(3):
        state, began = encoder.initial_state(rows), time.process_time()
        for chunk in sound:
            _, state = encoder.step(chunk, state)
        runs.append((time.process_time() - began) / chunks / rows * 1000)
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
    return [h for h in heard if not h.group.startswith("made")]


def details(heard: Sequence[Heard]) -> dict[str, Any]:
    """What more there is to say of real people: the baselines, each speaker, and what lips are taken for."""
    true, said = joined(heard)
    guess, elsewhere = loudness_only(heard), np.concatenate([np.roll(h.said[MAIN], len(h.true) // 2) for h in heard])
    each = {name: joined([h for h in heard if h.speaker == name]) for name in sorted({h.speaker for h in heard})}
    return {
        "loudness_only": {"accuracy": accuracy(true, guess)} | {v: f1(true, guess, v) for v in SHOWN},
        "another_moment": {"accuracy": accuracy(true, elsewhere)} | {v: f1(true, elsewhere, v) for v in SHOWN},
        "within_20_ms": {
            "ours": near_accuracy(true, said[MAIN]),
            "loudness only": near_accuracy(true, guess),
            "another moment": near_accuracy(true, elsewhere),
        },
        "events": {v: events(heard, v) for v in SHOWN[:2]},
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
    for name in ("loudness_only", "another_moment"):
        row = report[name]
        shown = ["", "", row["accuracy"], "", *(row[v] for v in SHOWN)]
        rows.append(["clean", name.replace("_", " "), *(f"{v:.3f}" if v != "" else v for v in shown)])
    table(rows, ["sound", "set", *delays, *(f"{v} F1" for v in SHOWN)])
    print("\nF1 at 80 ms. Sets named made are synthetic and decide nothing.")
    near = ", ".join(f"{name} {value:.3f}" for name, value in report["within_20_ms"].items())
    print(f"accuracy where the label may be 20 ms off, 80 ms, clean: {near}")
    for viseme, part in report["events"].items():
        whole = ", ".join(f"{name} {value:.2f}" for name, value in part.items())
        print(f"{viseme} as whole sounds, 20 ms either side: {whole}")
    for viseme, taken in report["confusion"].items():
        print(f"{viseme} is heard as", ", ".join(f"{name} {share:.0%}" for name, share in taken.items()))
    low, mid, high = np.percentile(list(report["speakers"].values()), (5, 50, 95))
    print(
        f"speakers at 80 ms: {low:.3f} (5 %)  {mid:.3f} (median)  {high:.3f} (95 %), {len(report['speakers'])} voices"
    )
    for name, row in report["mandarin"].items():
        print(f"Mandarin, {name}: r {row['encoder']:.2f} with the recorded mouth (loudness {row['loudness']:.2f})")
    quiet = ", ".join(f"{kind} {share:.1%}" for kind, share in report["nonspeech_sil"].items())
    print(f"no speech heard as sil: {quiet}")
    for rows_of, cost in report["ms_a_chunk"].items():
        print(f"{cost:.2f} ms of one core a chunk and session, {rows_of}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds speech/, ljspeech/, grid_s1/ and facegood/"
    )
    parser.add_argument("--synthetic-seconds", type=float, default=40, help="speech of each made voice")
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="dev is for taking decisions")
    options = parser.parse_args()
    encoder = PhonemeEncoder()
    utterances = kept_back(options.data, options.split) + synthetic(options.synthetic_seconds)
    heard = {condition: hear(encoder, disguised(utterances, condition)) for condition in CONDITIONS}
    report = {
        "sets": {name: {group: figures(part) for group, part in by_set(said).items()} for name, said in heard.items()},
        **details(people(heard["clean"])),
        "mandarin": foreign.agreement(encoder, options.data / "facegood"),
        "nonspeech_sil": silence_on_noises(encoder),
        "ms_a_chunk": {
            "alone": milliseconds_a_chunk(encoder, 1),
            "in a batch of 32": milliseconds_a_chunk(encoder, 32),
        },
    }
    show(report)
    save("phonemes" if options.split == "test" else f"phonemes-{options.split}", report)


if __name__ == "__main__":
    main()
