"""Training batches of the phoneme encoder: random stretches of the cached shards, disguised anew every time.

Reads shards in memory only. Working on log spectra makes the cheap disguises cheap: another vocal tract is a shifted
mel axis, another microphone a smooth curve, noise and other voices an addition of powers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import mel
from models.training.corpus import UNLABELLED
from models.training.features import Shard
from models.visemes import PHONEME_VISEME, TABLE

SHARES = {
    "so762": 0.36,
    "wuw": 0.18,
    "alphanum": 0.1,
    "wakewords": 0.04,
    "ljspeech": 0.1,
    "grid_s1": 0.05,
    "nonspeech": 0.03,
}
"""How often each set is drawn; the languages of espeak-ng share what is left."""

_START = np.array([row.start for row in TABLE], np.float32)
_END = np.array([row.end for row in TABLE], np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """features (B, T, 80); viseme, phoneme (B, T) int64, -100 where unlabelled; articulation (B, T, A)."""

    features: NDArray[np.float32]
    viseme: NDArray[np.int64]
    phoneme: NDArray[np.int64]
    articulation: NDArray[np.float32]


def targets(phoneme: NDArray[np.uint8], progress: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
    """(viseme, phoneme, articulation) of labelled frames."""
    known = np.where(phoneme == UNLABELLED, 0, phoneme).astype(np.int64)
    glide = np.clip((progress / np.float32(255) - 0.25) / 0.5, 0, 1)[..., None]
    unknown = phoneme == UNLABELLED
    return (
        np.where(unknown, -100, PHONEME_VISEME[known]),
        np.where(unknown, -100, known),
        (1 - glide) * _START[known] + glide * _END[known],
    )


class Sampler:
    """Draws batches from shards. Deterministic for a seed and a sequence of calls."""

    def __init__(self, shards: Sequence[Shard], rows: int, frames: int, seed: int) -> None:
        self._shards, self._rows, self._frames = shards, rows, frames
        self._random = np.random.default_rng(seed)
        self._places: dict[str, list[tuple[Shard, int, int]]] = {}
        for shard in shards:
            for group, spans in shard.spans.items():
                name = group if group in SHARES else "synthetic"
                self._places.setdefault(name, []).append((shard, spans[0][0], spans[-1][1]))
        self._groups = list(self._places)
        shares = np.array([SHARES.get(group, 1 - sum(SHARES.values())) for group in self._groups])
        self._shares = shares / shares.sum()

    def draw(self) -> Batch:
        rows = [self._stretch(str(self._random.choice(self._groups, p=self._shares))) for _ in range(self._rows)]
        viseme, phoneme, articulation = targets(np.stack([r[1] for r in rows]), np.stack([r[2] for r in rows]))
        spectrum = np.stack([r[0] for r in rows]).astype(np.float32)
        return Batch(self._disguise(spectrum), viseme, phoneme, articulation)

    def _stretch(self, group: str) -> tuple[NDArray, NDArray, NDArray]:
        places = self._places[group]
        shard, first, last = places[self._random.integers(len(places))]
        at = int(self._random.integers(first, max(first + 1, last - self._frames)))
        cut = slice(at, at + self._frames)
        return shard.spectrum[cut], shard.phoneme[cut], shard.progress[cut]

    def _disguise(self, spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
        random, rows = self._random, len(spectrum)
        spectrum = warp(spectrum, np.exp(random.uniform(-0.12, 0.12, rows) * (random.random(rows) < 0.5)))
        spectrum += random.random((rows, 1, 1)).astype(np.float32) * curves(random, rows)[:, None, :]
        spectrum += random.uniform(-4, 1.5, (rows, 1, 1)).astype(np.float32)
        for row in np.flatnonzero(random.random(rows) < 0.2):  # somebody turns the microphone
            spectrum[row, random.integers(spectrum.shape[1]) :] += np.float32(random.uniform(-3, 3))
        spectrum = np.logaddexp(spectrum, self._noise(spectrum))
        for row in np.flatnonzero(random.random(rows) < 0.12):  # a narrow wire
            spectrum[row, :, random.integers(45, mel.BANDS) :] -= np.float32(random.uniform(4, 12))
        start = random.uniform(-16, -5, rows).astype(np.float32)
        features, _ = mel.normalise(np.maximum(spectrum, np.log(1e-10)), start)
        return self._mask(features + random.normal(0, 0.1, (rows, 1, 1)).astype(np.float32))

    def _noise(self, spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
        """Steady noise, other rows' voices, or nothing, 0 to 30 dB below each row."""
        random, (rows, frames, bands) = self._random, spectrum.shape
        loud = np.log(np.mean(np.exp(spectrum), axis=(1, 2)))
        steady = curves(random, rows)[:, None, :] * 2 + np.log(random.exponential(1, (rows, frames, bands)) + 0.05)
        others = np.logaddexp(np.roll(spectrum, 1, 0), np.logaddexp(np.roll(spectrum, 2, 0), np.roll(spectrum, 3, 0)))
        kind = random.random((rows, 1, 1))
        noise = np.where(kind < 0.25, steady, others).astype(np.float32)
        snr = random.uniform(0, 30, rows) / 10 * np.log(10)
        gain = (loud - snr - np.log(np.mean(np.exp(noise), axis=(1, 2))))[:, None, None]
        return noise + np.where(kind < 0.4, gain, -60).astype(np.float32)

    def _mask(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """SpecAugment (Park et al. 2019), and short losses of everything."""
        random = self._random
        for row in features:
            for _ in range(random.integers(0, 2)):
                band = random.integers(mel.BANDS)
                row[:, band : band + random.integers(1, 12)] = -0.5
            for _ in range(random.integers(0, 3)):
                frame = random.integers(len(row))
                row[frame : frame + random.integers(1, 7)] = random.choice((-1.5, -0.5))
        return features


def warp(spectrum: NDArray[np.float32], factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Formants of (B, T, 80) times `factors` (B,): vocal tract length perturbation (Jaitly & Hinton 2013)."""
    at = np.stack([mel.band_of(mel.BAND_HZ / factor) for factor in factors])
    low = np.clip(at.astype(np.int64), 0, mel.BANDS - 2)
    share = np.clip(at - low, 0, 1).astype(np.float32)[:, None, :]
    index = np.broadcast_to(low[:, None, :], spectrum.shape)
    return np.take_along_axis(spectrum, index, 2) * (1 - share) + np.take_along_axis(spectrum, index + 1, 2) * share


def curves(random: np.random.Generator, rows: int) -> NDArray[np.float32]:
    """(rows, 80) smooth random frequency responses, log power, some 4 dB rms."""
    place = np.linspace(0, np.pi, mel.BANDS)
    waves = np.cos(np.arange(1, 6)[:, None] * place)
    return (random.normal(0, 0.55, (rows, 5)) @ waves).astype(np.float32)
