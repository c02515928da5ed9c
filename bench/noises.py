"""Sounds that are no speech, by other generators than those of training: the mouth must rest on them.

Runs FFmpeg's sound sources and filters through PyAV; touches no file. Every sound is (N,) float32 at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from models.rates import SPEECH_RATE

Sound = NDArray[np.float32]
SECONDS = 8

# Source, then filters, as FFmpeg writes them; {seed} differs between takes.
_GRAPHS = {
    "breath": (
        "anoisesrc=d={s}:c=pink:r=16000:a=0.3:seed={seed}",
        "tremolo=f=0.35:d=0.97,highpass=f=350,lowpass=f=2500",
    ),
    "sniff": (
        "anoisesrc=d={s}:c=white:r=16000:a=0.25:seed={seed}",
        "tremolo=f=1.3:d=0.99,bandpass=f=1800:width_type=q:w=0.7",
    ),
    "fan": (
        "anoisesrc=d={s}:c=brown:r=16000:a=0.4:seed={seed}",
        "tremolo=f=6:d=0.3,lowpass=f=900",
    ),
    "mains": (
        "aevalsrc='0.2*(mod(50*t,1)-0.5)+0.1*(lt(mod(100*t,1),0.1))':s=16000:d={s}",
        "lowpass=f=1200",
    ),
    "engine": (
        "aevalsrc='0.3*sin(2*PI*(38+4*sin(0.7*t))*t)*(1+0.6*sin(2*PI*19*t))':s=16000:d={s}",
        "acrusher=bits=6:mix=0.4,lowpass=f=900",
    ),
    "tones": (
        "aevalsrc='0.15*gt(mod(t,1.1),0.3)*(sin(2*PI*941*t)+sin(2*PI*1336*t))':s=16000:d={s}",
        "aecho=0.8:0.7:60:0.3",
    ),
}


def sounds(takes: int = 3) -> dict[str, list[Sound]]:
    """`takes` sounds of each kind."""
    kinds: dict[str, Callable[[int], Sound]] = {name: _made_by(graph) for name, graph in _GRAPHS.items()}
    kinds |= {"typing": typing, "plucked strings": plucked_strings, "organ": organ, "drums": drums}
    return {name: [make(seed) for seed in range(takes)] for name, make in kinds.items()}


def typing(seed: int) -> Sound:
    """Key strokes as struck resonances: a thud of the table, a click of the key, both decaying; uneven rhythm."""
    random = np.random.default_rng(seed)
    struck = np.zeros(SECONDS * SPEECH_RATE)
    at = 0.3
    while at < SECONDS - 0.3:
        struck[int(at * SPEECH_RATE)] = random.uniform(0.3, 1)
        struck[int((at + random.uniform(0.06, 0.12)) * SPEECH_RATE)] = random.uniform(0.1, 0.4)
        at += random.choice((0.09, 0.14, 0.2, 0.6), p=(0.3, 0.4, 0.2, 0.1)) * random.uniform(0.8, 1.2)
    parts = [_resonance(struck, hertz, decay_s) for hertz, decay_s in ((180, 0.02), (2600, 0.004), (4700, 0.003))]
    room = random.normal(0, 3e-4, len(struck))
    return _at_level(sum(parts) + room, random)


def plucked_strings(seed: int) -> Sound:
    """Chords of plucked strings (Karplus & Strong, Computer Music Journal 1983)."""
    random = np.random.default_rng(seed)
    sound = np.zeros(SECONDS * SPEECH_RATE)
    for beat in range(2 * SECONDS - 2):
        root = random.choice((82.4, 110.0, 146.8, 196.0))
        for ratio in random.choice((1, 1.25, 1.5, 2, 2.5, 3), size=3, replace=False):
            period = round(SPEECH_RATE / (root * ratio))
            pick = np.zeros(SPEECH_RATE * 3 // 2)
            pick[:period] = random.uniform(-1, 1, period)
            feedback = np.zeros(period + 2)
            feedback[0], feedback[period], feedback[period + 1] = 1, -0.498, -0.498
            first = int((0.5 * beat + 0.03 * random.random()) * SPEECH_RATE)
            tail = lfilter([1.0], feedback, pick)[: len(sound) - first]
            sound[first : first + len(tail)] += tail
    return _at_level(sound, random)


def organ(seed: int) -> Sound:
    """Held chords of drawbar tones with a slow swell."""
    random = np.random.default_rng(seed)
    time_s = np.arange(SECONDS * SPEECH_RATE) / SPEECH_RATE
    sound = np.zeros(len(time_s))
    for start in range(0, SECONDS, 2):
        inside = (time_s >= start) & (time_s < start + 1.9)
        root = 65.4 * 2 ** (random.integers(0, 24) / 12)
        for ratio in (1, 1.26, 1.5):
            for drawbar in (1, 2, 3, 4, 6, 8):
                sound += inside * np.sin(2 * np.pi * root * ratio * drawbar * time_s + random.uniform(0, 6)) / drawbar
    return _at_level(sound * (1 + 0.2 * np.sin(2 * np.pi * 5.5 * time_s)), random)


def drums(seed: int) -> Sound:
    """A falling sine for each kick, filtered noise for each snare and hat, four to the bar."""
    random = np.random.default_rng(seed)
    sound = np.zeros(SECONDS * SPEECH_RATE)
    time_s = np.arange(SPEECH_RATE // 4) / SPEECH_RATE
    hiss = random.normal(0, 1, len(time_s))
    hits = (
        np.sin(2 * np.pi * (50 * time_s - 8 * np.exp(-30 * time_s))) * np.exp(-12 * time_s),
        hiss * np.exp(-18 * time_s) * 0.5,
        np.diff(hiss, prepend=0) * np.exp(-70 * time_s) * 0.3,
    )
    for eighth in range(4 * SECONDS - 1):
        for hit in (hits[2], *([hits[0]] if eighth % 4 == 0 else []), *([hits[1]] if eighth % 4 == 2 else [])):
            sound[eighth * SPEECH_RATE // 4 :][: len(hit)] += hit
    return _at_level(sound, random)


def _resonance(struck: NDArray, hertz: float, decay_s: float) -> NDArray:
    radius = np.exp(-1 / (decay_s * SPEECH_RATE))
    return lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * hertz / SPEECH_RATE), radius**2], struck)


def _at_level(sound: NDArray, random: np.random.Generator) -> Sound:
    loud = 10 ** (random.uniform(-30, -6) / 20)
    return (sound * loud / np.abs(sound).max()).astype(np.float32)


def _made_by(graph: tuple[str, str]) -> Callable[[int], Sound]:
    def make(seed: int) -> Sound:
        source, filters = graph[0].format(s=SECONDS, seed=seed + 1), graph[1].split(",")
        net = av.filter.Graph()
        chain = [_add(net, text) for text in (source, *filters)]
        chain.append(net.add("aformat", "sample_fmts=flt:channel_layouts=mono:sample_rates=16000"))
        chain.append(net.add("abuffersink"))
        net.link_nodes(*chain).configure()
        pieces = []
        while True:
            try:
                pieces.append(net.pull().to_ndarray()[0])
            except (av.error.EOFError, av.error.BlockingIOError):
                return np.concatenate(pieces).astype(np.float32) * np.float32(10 ** (-0.4 * seed))

    return make


def _add(net: av.filter.Graph, text: str) -> av.filter.FilterContext:
    name, _, arguments = text.partition("=")
    return net.add(name, arguments)
