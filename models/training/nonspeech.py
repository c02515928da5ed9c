"""Sounds that are no speech, made by arithmetic: breath, keyboard, hum, music, machines, bells and room tone. The mouth
must rest on them.

Pure functions of a random generator; touches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from models.rates import SPEECH_RATE

Sound = NDArray[np.floating]


def sounds(random: np.random.Generator, count: int, seconds: float = 6.0) -> Iterator[NDArray[np.float32]]:
    """`count` sounds of (N,) samples, every kind in turn, at random loudness."""
    kinds = (breath, keyboard, hum, music, machine, bells, room_tone)
    for i in range(count):
        sound = kinds[i % len(kinds)](random, int(seconds * SPEECH_RATE))
        loud = 10 ** (random.uniform(-45, -8) / 20) / max(float(np.abs(sound).max()), 1e-9)
        yield np.asarray(sound * loud, np.float32)


def breath(random: np.random.Generator, samples: int) -> Sound:
    """Band noise that swells and fades with each breath of 0.5 to 2 s."""
    sound, at = np.zeros(samples), 0
    while at < samples:
        length = int(random.uniform(0.5, 2) * SPEECH_RATE)
        low = random.uniform(200, 1200)
        band = butter(2, (low, low * random.uniform(2, 5)), "bandpass", fs=SPEECH_RATE, output="sos")
        puff = sosfilt(band, random.standard_normal(length)) * np.sin(np.linspace(0, np.pi, length)) ** 2
        end = min(samples, at + length)
        sound[at:end] = puff[: end - at]
        at = end + int(random.uniform(0.1, 1) * SPEECH_RATE)
    return sound + 1e-3 * random.standard_normal(samples)


def keyboard(random: np.random.Generator, samples: int) -> Sound:
    """Clicks of 5 to 30 ms, three to nine a second, press and release."""
    sound = 1e-3 * random.standard_normal(samples)
    rate = random.uniform(3, 9)
    for start in np.cumsum(random.exponential(SPEECH_RATE / rate, int(samples / SPEECH_RATE * rate * 1.5))):
        for after, loud in ((0, 1.0), (random.uniform(0.05, 0.1), 0.5)):
            at, length = int(start + after * SPEECH_RATE), int(random.uniform(0.005, 0.03) * SPEECH_RATE)
            if at + length < samples:
                knock = random.standard_normal(length) * np.exp(-6 * np.arange(length) / length)
                ring = np.sin(2 * np.pi * random.uniform(800, 4000) * np.arange(length) / SPEECH_RATE)
                sound[at : at + length] += loud * random.uniform(0.4, 1) * knock * (1 + ring)
    return sound


def hum(random: np.random.Generator, samples: int) -> Sound:
    """Mains at 50 or 60 Hz with its harmonics, over a fan's noise."""
    time_s, mains = np.arange(samples) / SPEECH_RATE, random.choice((50, 60))
    tones = sum(
        random.uniform(0, 1) / k * np.sin(2 * np.pi * mains * k * time_s + random.uniform(0, 6)) for k in range(1, 20)
    )
    return tones + 0.1 * room_tone(random, samples)


def music(random: np.random.Generator, samples: int) -> Sound:
    """Plucked and held notes of one to four voices in a scale, with overtones."""
    sound, scale = np.zeros(samples), np.array([0, 2, 4, 5, 7, 9, 11, 12])
    for _ in range(random.integers(1, 5)):
        base, at = 110 * 2 ** random.uniform(0, 2.5), 0
        while at < samples:
            length = int(random.uniform(0.15, 1.2) * SPEECH_RATE)
            time_s, pitch = np.arange(length) / SPEECH_RATE, base * 2 ** (random.choice(scale) / 12)
            tone = sum(
                random.uniform(0.2, 1) / k * np.sin(2 * np.pi * pitch * k * time_s)
                for k in range(1, 9)
                if pitch * k < 7500
            )
            tone = tone * np.minimum(1, time_s / 0.02) * np.exp(-time_s * random.uniform(0, 6))
            end = min(samples, at + length)
            sound[at:end] += tone[: end - at]
            at = end
    return sound


def machine(random: np.random.Generator, samples: int) -> Sound:
    """Noise in one band or several tones, throbbing 1 to 25 times a second: fans, engines, washing machines."""
    time_s = np.arange(samples) / SPEECH_RATE
    wander = np.cumsum(random.standard_normal(samples)) / SPEECH_RATE
    throb = 1 + random.uniform(0.1, 1) * np.sin(2 * np.pi * (random.uniform(1, 25) * time_s + wander))
    if random.random() < 0.5:
        low = random.uniform(50, 600)
        band = butter(2, (low, low * random.uniform(1.5, 8)), "bandpass", fs=SPEECH_RATE, output="sos")
        return sosfilt(band, random.standard_normal(samples)) * throb
    base = random.uniform(25, 400)
    tones = sum(
        random.uniform(0, 1) * np.sin(2 * np.pi * base * k * (time_s + 0.02 * wander) + random.uniform(0, 6))
        for k in range(1, 12)
    )
    return tones * throb + 0.1 * room_tone(random, samples)


def bells(random: np.random.Generator, samples: int) -> Sound:
    """Beeps, chimes and ring tones: one to four partials that start at once and last or die away."""
    sound, at = 1e-3 * random.standard_normal(samples), int(random.uniform(0, 0.5) * SPEECH_RATE)
    while at < samples:
        length = int(np.exp(random.uniform(np.log(0.05), np.log(1.5))) * SPEECH_RATE)
        time_s = np.arange(min(length, samples - at)) / SPEECH_RATE
        for _ in range(random.integers(1, 5)):
            tone = np.sin(2 * np.pi * np.exp(random.uniform(np.log(300), np.log(4000))) * time_s)
            sound[at : at + len(time_s)] += random.uniform(0.2, 1) * tone * np.exp(-time_s * random.uniform(0, 8))
        at += length + int(random.exponential(0.3) * SPEECH_RATE)
    return sound


def room_tone(random: np.random.Generator, samples: int) -> Sound:
    """Steady noise, anywhere between white and brown."""
    bins = samples // 2 + 1
    shape = np.maximum(np.arange(bins), 60) ** (-random.uniform(0, 1))
    rough = np.fft.irfft(shape * np.exp(2j * np.pi * random.random(bins)), samples)
    return rough / np.abs(rough).max()
