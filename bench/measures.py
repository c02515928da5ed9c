"""What the quality figures mean: functions of a tracked clip, its sound and its phones. No files, no models.

Aperture is the mean gap of the inner-lip pairs and every length is in IOD, the distance between the outer eye
corners. Points are MediaPipe's 478. Times are seconds from the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Array = NDArray[np.floating]
Phone = tuple[str, float, float]

EYE_CORNERS = (33, 263)
INNER_UPPER = [80, 81, 82, 13, 312, 311, 310]
INNER_LOWER = [88, 178, 87, 14, 317, 402, 318]
MOUTH_CORNERS = (61, 291)
RIGID = [33, 133, 362, 263, 1, 4, 5, 6, 168, 197, 195, 98, 327]

BILABIALS = {"p", "b", "m", "P", "B", "M"}
LABIODENTALS = {"f", "v", "F", "V"}
TEETH_GAP = 0.03
NOSE_TIP = 1
OPEN_VOWELS = {"a", "aː", "ɑ", "ɑː", "æ", "ɐ", "aɪ", "aʊ", "AA", "AE", "AH", "AY", "AW"}


@dataclass(frozen=True, slots=True)
class Track:
    """A clip as the landmarker sees it: time_s (T,), points (T, 478, 2) in pixels."""

    time_s: Array
    points: Array

    @property
    def iod(self) -> Array:
        left, right = self.points[:, EYE_CORNERS[0]], self.points[:, EYE_CORNERS[1]]
        return np.linalg.norm(right - left, axis=1)

    @property
    def aperture(self) -> Array:
        gaps = np.linalg.norm(self.points[:, INNER_LOWER] - self.points[:, INNER_UPPER], axis=2)
        return gaps.mean(1) / self.iod

    @property
    def width(self) -> Array:
        return np.linalg.norm(self.points[:, MOUTH_CORNERS[1]] - self.points[:, MOUTH_CORNERS[0]], axis=1) / self.iod


def level_db(sound: Array, rate: int, low_hz: float = 200, high_hz: float = 1200) -> tuple[Array, Array]:
    """Loudness of a band each 10 ms: (time_s, dB), floored 70 dB under the loudest."""
    band = sosfiltfilt(butter(4, [low_hz, high_hz], "band", fs=rate, output="sos"), sound)
    window = np.hanning(int(0.025 * rate))
    power = np.convolve(band**2, window / window.sum(), "same")[:: rate // 100]
    return np.arange(len(power)) / 100, 10 * np.log10(power + 1e-7 * max(power.max(), 1e-9))


def offset(track: Track, sound: Array, rate: int, span_s: float = 0.5) -> tuple[float, float]:
    """(lag in seconds, correlation at it) of aperture against loudness; positive = the picture comes late."""
    time_s, level = level_db(sound, rate)
    aperture = track.aperture - track.aperture.mean()
    lags = np.arange(-span_s, span_s + 1e-9, 0.01)

    def correlation(lag: float) -> float:
        heard = np.interp(track.time_s - lag, time_s, level, left=level.min(), right=level.min())
        heard = heard - heard.mean()
        return float(aperture @ heard / np.sqrt((aperture @ aperture) * (heard @ heard) + 1e-12))

    values = [correlation(lag) for lag in lags]
    best = int(np.argmax(values))
    return float(lags[best]), values[best]


def closures(track: Track, phones: list[Phone]) -> dict[str, float]:
    """Share of P/B/M that close, and of open vowels (60 ms and longer) that wrongly stay shut."""
    aperture, time_s = track.aperture, track.time_s
    limit = max(0.015, 0.15 * float(np.percentile(aperture, 95)))

    def reaches(start: float, end: float, extreme: str) -> float | None:
        inside = aperture[(time_s >= start) & (time_s <= end)]
        return float(getattr(inside, extreme)()) if len(inside) else None

    closed = [reaches(start - 0.04, end + 0.04, "min") for name, start, end in phones if plain(name) in BILABIALS]
    opened = [
        reaches(start, end, "max") for name, start, end in phones if plain(name) in OPEN_VOWELS and end - start >= 0.06
    ]
    return {
        "bilabials": len(closed),
        "closure": share([value <= limit for value in closed if value is not None]),
        "open_vowels": len(opened),
        "false_closure": share([value <= limit for value in opened if value is not None]),
    }


def labiodentals(track: Track, phones: list[Phone]) -> float:
    """Share of F/V whose lower lip comes within 0.03 of the upper one's edge, above where it is in open mouths."""
    lower = np.linalg.norm(track.points[:, INNER_LOWER].mean(1) - track.points[:, NOSE_TIP], axis=1) / track.iod
    parted = track.aperture > TEETH_GAP
    usual = float(np.median(lower[parted])) if parted.any() else np.inf
    touched = []
    for name, start, end in phones:
        inside = (track.time_s >= start - 0.02) & (track.time_s <= end + 0.02)
        if plain(name) in LABIODENTALS and inside.any():
            near = inside & (track.aperture <= TEETH_GAP)
            touched.append(bool((lower[near] <= usual).any()))
    return share(touched)


def silent_lips(track: Track, sound: Array, rate: int) -> float:
    """Standard deviation of the aperture where it has been quiet for 200 ms and stays so for 120 ms."""
    time_s, level = level_db(sound, rate, 80, 4000)
    quiet = level < level.max() - 40
    still = [quiet[(time_s > t - 0.2) & (time_s < t + 0.12)].all() for t in track.time_s]
    return float(track.aperture[still].std()) if sum(still) > 1 else float("nan")


def share_above(values: Array, hz: float, fps: float = 25) -> float:
    """Share of a signal's power (without its mean) above a frequency."""
    power = np.abs(np.fft.rfft(values - values.mean())) ** 2
    return float(power[np.fft.rfftfreq(len(values), 1 / fps) > hz].sum() / max(power[1:].sum(), 1e-12))


def rigid_jitter(track: Track) -> float:
    """Median second difference of the points that bones carry, in IOD."""
    points = track.points[:, RIGID] / track.iod[:, None, None]
    return float(np.median(np.abs(np.diff(points, 2, axis=0))))


def plain(phone: str) -> str:
    return phone.strip("ˈˌ_012")


def share(values: list[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")
