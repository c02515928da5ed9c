"""What the phoneme encoder hears of labelled speech, and how right it is. Pure but for the encoder it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phonemes import EncoderState, PhonemeEncoder
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, MEL_HOP, SPEECH_CHUNK
from models.training import corpus
from models.visemes import PHONEME_VISEME, VISEME_INDEX, VISEMES

Sound = NDArray[np.float32]
MAIN = LOOK_AHEADS_MS.index(80)
ROWS = 32
SHOWN = ("PP", "FF", "aa")
NEAR = 2
"""Frames (10 ms) by which a closure may be heard early or late and still count as heard."""


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


def near_accuracy(true: NDArray, said: NDArray) -> float:
    """Share of frames whose answer is the label here or within `NEAR` frames: boundaries set by a forced aligner are no
    surer than that."""
    padded = np.pad(true, NEAR, constant_values=-1)
    right = np.any([padded[shift : shift + len(true)] == said for shift in range(2 * NEAR + 1)], axis=0)
    return float(np.mean(right[true >= 0]))


def f1(true: NDArray, said: NDArray, viseme: str) -> float:
    index = VISEME_INDEX[viseme]
    both = np.sum((true == index) & (said == index))
    return float(2 * both / max(1, np.sum(true == index) + np.sum(said[true >= 0] == index)))


def joined(heard: Iterable[Heard]) -> tuple[NDArray, NDArray]:
    """True and said of many utterances, end to end: (T,), (delays, T)."""
    parts = [(h.true, h.said) for h in heard]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts], axis=1)


def figures(heard: Sequence[Heard]) -> dict[str, dict[str, float]]:
    """Accuracy and F1 of PP, FF and aa at every look-ahead."""
    true, said = joined(heard)
    return {
        f"{ms} ms": {"accuracy": accuracy(true, said[i])} | {v: f1(true, said[i], v) for v in SHOWN}
        for i, ms in enumerate(LOOK_AHEADS_MS)
    }


def events(heard: Sequence[Heard], viseme: str) -> dict[str, float]:
    """At 80 ms, whole sounds instead of frames: share of true ones that are heard within `NEAR` of where they are
    (recall), share of heard ones that are so (precision), and their F1."""
    index, found, true_count, right, said_count = VISEME_INDEX[viseme], 0, 0, 0, 0
    for h in heard:
        is_so, is_heard = h.true == index, h.said[MAIN] == index
        for first, last in _runs(is_so):
            found += bool(is_heard[max(0, first - NEAR) : last + NEAR].any())
            true_count += 1
        for first, last in _runs(is_heard & (h.true >= 0)):
            right += bool(is_so[max(0, first - NEAR) : last + NEAR].any())
            said_count += 1
    recall, precision = found / max(1, true_count), right / max(1, said_count)
    return {"recall": recall, "precision": precision, "f1": 2 * recall * precision / max(1e-9, recall + precision)}


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marked.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def loudness_only(heard: Sequence[Heard]) -> NDArray:
    """What the energy-only baseline says: per 3 dB below the utterance's loud level, the commonest viseme."""
    true = np.concatenate([h.true for h in heard])
    below = np.concatenate([np.percentile(h.level_db, 95) - h.level_db for h in heard])
    step = np.clip(below // 3, 0, 20).astype(int)
    best = [np.bincount(true[(step == s) & (true >= 0)], minlength=len(VISEMES)).argmax() for s in range(21)]
    return np.asarray(best)[step]


def confusion(heard: Sequence[Heard], viseme: str) -> dict[str, float]:
    """What frames of `viseme` are taken for at 80 ms, shares above 2 %."""
    true, said = joined(heard)
    counts = np.bincount(said[MAIN][true == VISEME_INDEX[viseme]], minlength=len(VISEMES))
    shares = counts / max(1, counts.sum())
    return {VISEMES[i]: round(float(shares[i]), 3) for i in np.argsort(-shares) if shares[i] > 0.02}
