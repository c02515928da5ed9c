"""One clip, many voices, rooms, microphones and wires: augmentation of sound before its features are cached.

Pure functions of (sound, random generator); touches no file. `render` draws a chain of them; what it answers says how
much longer the sound became, so that labels can follow. All keep the sound's timing otherwise (checked by a test).
"""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from models.rates import SPEECH_RATE

Sound = NDArray[np.float32]


def render(sound: Sound, random: np.random.Generator) -> tuple[Sound, float, float]:
    """A random rendering of (N,) sound -> (new sound, its duration / the old one, its pitch / the old one)."""
    stretch = voice = 1.0
    if random.random() < 0.8:
        voice, tempo = np.exp(random.uniform(-0.17, 0.17)), np.exp(random.uniform(-0.2, 0.2))
        sound, stretch = revoice(sound, voice, tempo), 1 / tempo
    if random.random() < 0.5:  # pitch and formants moved together above: now they part
        sound = formants(sound, np.exp(random.uniform(-0.15, 0.15)))
    if random.random() < 0.4:
        sound = room(sound, random, reverberation_s=random.uniform(0.1, 0.5), direct=random.uniform(0.5, 0.9))
    if random.random() < 0.3:
        sound = noise(sound, random, snr_db=random.uniform(5, 30))
    if random.random() < 0.15:
        sound = clip(sound, peak=random.uniform(1.5, 6))
    wire = random.random()
    if wire < 0.3:
        sound = opus(sound, kbit_s=float(np.exp(random.uniform(np.log(6), np.log(32)))))
    elif wire < 0.45:
        sound = telephone(sound)
    return sound * np.float32(10 ** (random.uniform(-20, 3) / 20)), stretch, float(voice)


def revoice(sound: Sound, voice: float, tempo: float) -> Sound:
    """Pitch and formants times `voice`, speed times `tempo` (WSOLA; Verhelst & Roelands, ICASSP 1993)."""
    rate = round(SPEECH_RATE * voice)
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=SPEECH_RATE, format="flt", layout="mono")
    steps = [
        graph.add("asetrate", str(rate)),
        graph.add("aresample", str(SPEECH_RATE)),
        graph.add("atempo", f"{tempo * SPEECH_RATE / rate:.6f}"),
        graph.add("aformat", "sample_fmts=flt"),
    ]
    graph.link_nodes(source, *steps, graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
    frame.sample_rate = SPEECH_RATE
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    early_ms = np.interp(tempo * SPEECH_RATE / rate, *_ATEMPO_LAG)
    late = np.pad(np.concatenate(pieces), (round(16 * max(0, early_ms)), SPEECH_RATE))[round(16 * max(0, -early_ms)) :]
    return late[: round(len(sound) / tempo)]


def formants(sound: Sound, factor: float) -> Sound:
    """Formants times `factor`, pitch as it was: the envelope of each short spectrum (its cepstrum below 1.6 ms) is
    stretched along frequency, and what lies below it stays."""
    window = np.hanning(_FRAME + 1)[:-1]
    padded = np.pad(sound, (_FRAME, 2 * _FRAME))
    spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:: _FRAME // 4] * window)
    cepstra = np.fft.irfft(np.log(np.abs(spectra) + 1e-5))
    lifter = np.zeros(_FRAME)
    lifter[:_LIFTER] = lifter[1 - _LIFTER :] = 1
    envelope = np.fft.rfft(cepstra * lifter).real
    at = np.clip(np.arange(envelope.shape[1]) / factor, 0, envelope.shape[1] - 1.001)
    low, share = at.astype(int), (at % 1)[None]
    moved = envelope[:, low] * (1 - share) + envelope[:, low + 1] * share
    frames = np.fft.irfft(spectra * np.exp(np.clip(moved - envelope, -4, 4))) * window
    answer = np.zeros(len(padded) + _FRAME)
    for number, frame in enumerate(frames):
        answer[number * _FRAME // 4 :][:_FRAME] += frame
    return (answer[_FRAME : _FRAME + len(sound)] / 1.5).astype(np.float32)  # four squared windows add up to 1.5


_FRAME, _LIFTER = 512, 26  # samples: 32 ms, 1.6 ms

_ATEMPO_LAG = (0.70, 0.80, 0.87, 0.95, 1.00, 1.15, 1.40), (20, 18, 17, 11, 0, -6, -8)
"""How many milliseconds too early FFmpeg's atempo answers at each tempo: medians over twenty clips of so762."""


def room(sound: Sound, random: np.random.Generator, reverberation_s: float, direct: float) -> Sound:
    """Reverberation: decaying noise after the direct sound, which holds the share `direct` of the energy."""
    time_s = np.arange(int(reverberation_s * SPEECH_RATE)) / SPEECH_RATE
    tail = random.standard_normal(len(time_s)) * np.exp(-6.9 * time_s / reverberation_s)
    tail = lfilter([1.0], [1.0, -random.uniform(0, 0.7)], tail) * (time_s > random.uniform(0.001, 0.008))
    response = tail * np.sqrt((1 - direct) / max(np.sum(tail**2), 1e-9))
    response[0] = np.sqrt(direct)
    return fftconvolve(sound, response)[: len(sound)].astype(np.float32)


def noise(sound: Sound, random: np.random.Generator, snr_db: float, colour: float | None = None) -> Sound:
    """Adds steady noise; `colour` is the power law of its spectrum (0 white, 1 pink, 2 brown; None draws one)."""
    bins = len(sound) // 2 + 1
    law = random.uniform(0, 2) if colour is None else colour
    shape = np.maximum(np.arange(bins), 30) ** (-law / 2)
    rough = np.fft.irfft(shape * np.exp(2j * np.pi * random.random(bins)), len(sound))
    loud = np.sqrt(np.mean(sound**2) / np.mean(rough**2)) * 10 ** (-snr_db / 20)
    return (sound + loud * rough).astype(np.float32)


def clip(sound: Sound, peak: float) -> Sound:
    """Drives the sound `peak` times over full scale and cuts it off there."""
    return np.clip(sound * (peak / max(float(np.abs(sound).max()), 1e-6)), -1, 1).astype(np.float32)


def telephone(sound: Sound) -> Sound:
    """300-3400 Hz and back through 8 bit mu-law (ITU-T G.711), in the time of the sound."""
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / SPEECH_RATE)
    narrow = np.fft.irfft(spectrum / (1 + (150 / np.maximum(hertz, 1)) ** 4) / (1 + (hertz / 3500) ** 24), len(sound))
    narrow = np.clip(narrow * 0.5 / max(float(np.abs(narrow).max()), 1e-6), -1, 1)
    code = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return (np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255).astype(np.float32)


def opus(sound: Sound, kbit_s: float) -> Sound:
    """Through the Opus codec (RFC 6716) at `kbit_s` and back, same length and timing."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SPEECH_RATE, layout="mono", options={"application": "voip"})
        stream.bit_rate = round(kbit_s * 1000)
        whole = (np.clip(sound, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate = SPEECH_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file, "r") as decoded:
        resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
        parts = [p.to_ndarray()[0] for f in [*decoded.decode(audio=0), None] for p in resampler.resample(f)]
    back = np.concatenate(parts)[: len(sound)]
    return np.pad(back, (0, len(sound) - len(back)))
