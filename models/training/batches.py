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
from models.visemes import PHONEMES, TABLE

SHARES = {
    "so762": 0.36,
    "wuw": 0.18,
    "alphanum": 0.1,
    "wakewords": 0.04,
    "ljspeech": 0.08,
    "grid_s1": 0.04,
    "nonspeech": 0.03,
}
"""How often each set is drawn; the made voices share what is left."""

PLAIN = 0.5
"""Share of rows that are heard in the quiet room they were recorded in, by another throat and microphone only."""

TRUST = 0.5
"""Share of the teacher's belief in what is learned; the rest is the label."""

_ONE_HOT = np.zeros((256, len(PHONEMES)), np.float32)
_ONE_HOT[: len(PHONEMES)] = np.eye(len(PHONEMES))  # all zero for UNLABELLED
_NO_BELIEF = np.zeros((10_000, len(PHONEMES)), np.uint8)
_START = np.array([row.start for row in TABLE], np.float32)
_END = np.array([row.end for row in TABLE], np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """features (B, T, 80); phoneme (B, T) int64, -100 where unlabelled; belief (B, T, P) how likely each phoneme is,
    all zero where unlabelled; articulation (B, T, A); pitch (B, T) Hz, 0 where unvoiced."""

    features: NDArray[np.float32]
    phoneme: NDArray[np.int64]
    belief: NDArray[np.float32]
    articulation: NDArray[np.float32]
    pitch: NDArray[np.float32]


def targets(phoneme: NDArray[np.uint8], progress: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """(phoneme, articulation) of labelled frames, as in `Batch`."""
    known = np.where(phoneme == UNLABELLED, 0, phoneme).astype(np.int64)
    glide = np.clip((progress / np.float32(255) - 0.25) / 0.5, 0, 1)[..., None]
    return np.where(phoneme == UNLABELLED, -100, known), (1 - glide) * _START[known] + glide * _END[known]


class Sampler:
    """Draws batches from shards, the first of which holds the plain sound. Deterministic for a seed and a sequence of
    calls."""

    def __init__(self, shards: Sequence[Shard], rows: int, frames: int, seed: int, plain: float = PLAIN) -> None:
        self._rows, self._frames, self._plain = rows, frames, plain
        self._random = np.random.default_rng(seed)
        self._places: dict[str, list[tuple[Shard, int, int]]] = {}
        for shard in shards:
            for group, spans in shard.spans.items():
                name = group if group in SHARES else "made"
                self._places.setdefault(name, []).append((shard, spans[0][0], spans[-1][1]))
        self._groups = list(self._places)
        shares = np.array([SHARES.get(group, 1 - sum(SHARES.values())) for group in self._groups])
        self._shares = shares / shares.sum()

    def draw(self) -> Batch:
        plain = self._random.random(self._rows) < self._plain
        rows = [self._stretch(str(self._random.choice(self._groups, p=self._shares)), only) for only in plain]
        spectrum, phoneme, progress, believed, pitch = (np.stack(part) for part in zip(*rows, strict=True))
        true, articulation = targets(phoneme, progress)
        label = _ONE_HOT[phoneme]
        taught = believed.any(axis=2, keepdims=True)
        belief = np.where(taught, (1 - TRUST) * label + TRUST / 255 * believed.astype(np.float32), label)
        spectrum = spectrum.astype(np.float32)
        spectrum, higher = self._another_throat(spectrum)
        if not plain.all():
            spectrum[~plain] = self._disguise(spectrum[~plain])
        features = self._heard(spectrum)
        return Batch(features, true, belief, articulation, pitch.astype(np.float32) * higher[:, None])

    def _stretch(self, group: str, plain: bool) -> tuple[NDArray, ...]:
        places = self._places[group]
        at_first = plain and group != "made"
        shard, first, last = places[0 if at_first else self._random.integers(len(places))]
        at = int(self._random.integers(first, max(first + 1, last - self._frames)))
        cut = slice(at, at + self._frames)
        believed = _NO_BELIEF[: self._frames] if shard.belief is None else shard.belief[cut]
        return shard.spectrum[cut], shard.phoneme[cut], shard.progress[cut], believed, shard.pitch[cut]

    def _another_throat(self, spectrum: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Spectra of other vocal tracts before other microphones, and how much higher the voice of each row became."""
        random, rows = self._random, len(spectrum)
        higher = np.exp(random.uniform(-0.12, 0.12, rows) * (random.random(rows) < 0.5))
        curve = random.random((rows, 1, 1)).astype(np.float32) * curves(random, rows)[:, None, :]
        return warp(spectrum, higher) + curve, higher.astype(np.float32)

    def _disguise(self, spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
        """Spectra with sudden gains, noise, other voices and narrow wires."""
        random, rows = self._random, len(spectrum)
        for row in np.flatnonzero(random.random(rows) < 0.2):  # somebody turns the microphone
            spectrum[row, random.integers(spectrum.shape[1]) :] += np.float32(random.uniform(-3, 3))
        self._noise(spectrum)
        for row in np.flatnonzero(random.random(rows) < 0.12):  # a narrow wire
            spectrum[row, :, random.integers(45, mel.BANDS) :] -= np.float32(random.uniform(4, 12))
        return spectrum

    def _heard(self, spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of spectra at random loudness, heard by a level follower that may still be elsewhere."""
        random, rows = self._random, len(spectrum)
        spectrum = spectrum + random.uniform(-4, 1.5, (rows, 1, 1)).astype(np.float32)
        start = random.uniform(-16, -5, rows).astype(np.float32)
        features, _ = mel.normalise(np.maximum(spectrum, np.log(1e-10)), start)
        return self._mask(features + random.normal(0, 0.1, (rows, 1, 1)).astype(np.float32))

    def _noise(self, spectrum: NDArray[np.float32]) -> None:
        """Adds steady noise (15 % of rows) or other rows' voices (25 %), 0 to 30 dB below the row, in place."""
        random, (rows, frames, bands) = self._random, spectrum.shape
        kind, shapes = random.random((rows,)), curves(random, rows) * 2
        power = [np.exp(row) for row in spectrum]
        for row in map(int, np.flatnonzero(kind < 0.4)):
            if kind[row] < 0.15:
                noise = np.exp(shapes[row]) * (random.standard_exponential((frames, bands), np.float32) + 0.05)
            else:
                noise = np.sum([power[(row + k) % rows] for k in range(1, random.integers(2, 5))], axis=0)
            snr = 10 ** (random.uniform(0, 30) / 10)
            gain = np.mean(power[row]) / np.mean(noise) / snr
            spectrum[row] = np.log(power[row] + np.float32(gain) * noise + np.float32(1e-10))

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
