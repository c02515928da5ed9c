"""Realignment: boundaries of a clip's phonemes, moved to where a better listener hears them.

Pure functions of arrays. The order of phonemes stays as the dictionary had it; a Viterbi search (1967) finds the times
at which the listener believes most in that order. Every phoneme keeps at least 20 ms and no boundary leaves the
neighbourhood of its old place, so that a wrong word cannot swallow its neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.training.corpus import UNLABELLED
from models.training.features import Shard

REACH = 8
"""Frames (10 ms) by which a boundary may move."""

_LEAST = 2
_FLOOR = 1e-3  # what the listener does not believe may still be so


def realign(shard: Shard, believed: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """New (phoneme, progress) of a shard, as in `corpus.frame_labels`. believed: (N, P) probabilities of each frame."""
    phoneme, progress = shard.phoneme.copy(), shard.progress.copy()
    for first, last in (span for spans in shard.spans.values() for span in spans):
        starts = runs(shard.phoneme[first:last], shard.progress[first:last])
        labels = shard.phoneme[first:last][starts]
        if len(starts) < 2 or UNLABELLED in labels[:-1]:
            continue
        end = last - first if labels[-1] != UNLABELLED else int(starts[-1])
        kept = labels != UNLABELLED
        moved = viterbi(believed[first : first + end], labels[kept], starts[kept])
        for label, start, stop in zip(labels[kept], moved, [*moved[1:], end], strict=True):
            phoneme[first + start : first + stop] = label
            progress[first + start : first + stop] = np.linspace(0, 255, 2 * (stop - start) + 1)[1::2]
    return phoneme, progress


def runs(phoneme: NDArray[np.uint8], progress: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Frames at which segments start: another phoneme, or progress that falls back."""
    falls = progress[1:].astype(int) < progress[:-1]
    return np.concatenate(([0], 1 + np.flatnonzero((phoneme[1:] != phoneme[:-1]) | falls)))


def viterbi(believed: NDArray[np.float32], labels: NDArray[np.uint8], starts: NDArray[np.int64]) -> list[int]:
    """New starts of the segments (S,) `labels` that began at frames `starts`. believed: (T, P)."""
    frames, count = len(believed), len(labels)
    score = np.log(believed[:, labels] + _FLOOR)
    # Each segment is a chain of _LEAST states, the last of which may repeat.
    at = np.arange(frames)[:, None]
    ends = np.append(starts[1:], frames)
    allowed = (at >= starts - REACH) & (at < ends + REACH)
    emit = np.repeat(np.where(allowed, score, -1e6), _LEAST, axis=1)
    repeats = np.arange(count * _LEAST) % _LEAST == _LEAST - 1
    best = np.full(count * _LEAST, -np.inf)
    best[0] = emit[0, 0]
    came = np.zeros((frames, count * _LEAST), bool)  # from the state before
    for frame in range(1, frames):
        before = np.concatenate(([-np.inf], best[:-1]))
        stay = np.where(repeats, best, -np.inf)
        came[frame] = before > stay
        best = np.maximum(before, stay) + emit[frame]
    if best[-1] < -1e5:
        return [int(s) for s in starts]  # too short for its phonemes
    state, begun = count * _LEAST - 1, [0] * count
    for frame in range(frames - 1, 0, -1):
        if came[frame, state]:
            if state % _LEAST == 0:
                begun[state // _LEAST] = frame
            state -= 1
    return begun
