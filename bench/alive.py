"""Is it alive? Blinks, gaze, head and lips of the avatar's motion, beside published human figures.
Computes motion only (no picture): the real encoder on sentences that espeak-ng speaks here, ten minutes of idling, ten
of a made-up talker, ten of a listener, an hour of silence. Writes bench/results/alive.json and alive.png.

    python -m bench.alive [--minutes 10] [--look-ahead-ms 80]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import results
from models.avatar import Avatar, StepInput
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.gaze import FULL_DOWN_DEG, FULL_SIDE_DEG, FULL_UP_DEG
from models.idle import IdleModel, sway_deg
from models.motion import MOUTH
from models.rates import CHUNK_MS, DEFAULT_LOOK_AHEAD_MS, FPS, LOOK_AHEADS_MS, SPEECH_CHUNK, SPEECH_RATE
from models.rig import GAP_OF_FUNNEL, GAP_OF_JAW, GAP_OF_LOWER, GAP_OF_UPPER
from models.style import Style
from models.training.espeak import speak
from models.voice import VoiceFeatures

BLINK = ARKIT_INDEX["eyeBlinkLeft"]
LOOK = {name.removeprefix("eyeLook"): i for name, i in ARKIT_INDEX.items() if name.startswith("eyeLook")}
AWAY_DEG = 4.0
CLOSE = ARKIT_INDEX["mouthClose"]
GAPS = {
    "jawOpen": GAP_OF_JAW,
    "mouthFunnel": GAP_OF_FUNNEL,
    "mouthLowerDownLeft": GAP_OF_LOWER,
    "mouthUpperUpLeft": GAP_OF_UPPER,
}
"""What parts the lips, and how far at 1, in outer-eye-corner distances."""

SENTENCES = (
    ("en", "The old boat moved slowly past the empty pier, and nobody on the bridge saw who was steering it."),
    ("en", "Please bring five more plums, two apples, and whatever else you find at the market."),
    ("de", "Am Abend gingen wir über die Brücke, und mein Bruder pfiff ein altes Lied."),
    ("es", "Por la mañana compramos pan, fruta y flores para la abuela."),
)
PAUSE_S = 1.5

HUMAN = {
    "blinks a minute, silent": "17 (Bentivoglio 1997), 17-26",
    "blinks a minute, talking": "26 (Bentivoglio 1997), 17-26",
    "blink duration p5-p95, ms": "100-400 (Stern 1984)",
    "partial blinks, share": ">= 0.20",
    "fixation median, s": "0.3-3, in conversation longer",
    "gaze away, listening": "0.25 (Argyle & Cook 1976)",
    "gaze away, silent": "less than talking (Kendon 1967)",
    "gaze away, talking": "0.25-0.6 (Kendon 1967; Argyle & Cook 1976)",
    "head RMS yaw pitch roll, degrees": "<= 4",
    "head power above 2 Hz, share": "most lies below 2 Hz (Hadar 1983)",
    "least head travel in 10 s of talk, degrees": "> 0",
    "head pitch against voice accent, r": "nods on accents: negative here",
    "nods a minute, listening": "6-10 (Poppe 2010)",
    "breaths a minute, silent": "12-20 (Tobin 1983)",
    "feeling there after, ms": "400",
    "idle hour: pose at its end, degrees": "the photo's own, +- sway",
    "idle hour: most alike to itself, r": "< 0.35: no loop",
    "silent lips, std of weights": "<= 0.01",
    "lips shut after speech, median ms": "<= 120",
    "lips shut after speech, worst ms": "<= 200",
    "aperture power above 8 Hz, share": "<= 0.05; film 0.006-0.027",
    "aperture p95, eye distances": "0.08-0.20; film 0.12",
}

Array = NDArray[np.float64]


def blinks(lid: Array) -> list[tuple[int, int, float]]:
    """(start, chunks, depth) of each; lids that only follow the eyes down are none."""
    shut = np.concatenate([[False], lid > 0.22, [False]])
    starts, ends = np.flatnonzero(~shut[:-1] & shut[1:]), np.flatnonzero(shut[:-1] & ~shut[1:])
    return [(int(s), int(e - s), float(lid[s:e].max())) for s, e in zip(starts, ends, strict=True)]


@dataclass(frozen=True, slots=True)
class Life:
    """Motion of idle life alone: weights (T, 52), head (T, 3) and gaze in space (T, 2) in degrees, rise of the chest
    (T,), and the accents (T,) of the voice."""

    weights: Array
    head: Array
    gaze: Array
    chest: Array
    accents: Array


def live(minutes: float, seed: int, talks: bool = False, style: Callable[[int], Style] = lambda _: Style()) -> Life:
    """A face that is silent or speaks phrases of uneven length, its style at each chunk."""
    random, model = np.random.default_rng(seed), IdleModel()
    state, motions, accents = model.initial_state(seed), [], []
    left, gap = int(random.integers(30, 120)), 0
    for index in range(round(minutes * 60 * FPS)):
        voice = VoiceFeatures()
        if talks and left:
            left -= 1
            accent = 0.6 if index % 23 in (0, 1, 2) and random.random() < 0.8 else 0.1
            voice, gap = VoiceFeatures(1.0, 0.5, accent, phrase_start=gap > 0), 0
        elif talks:
            gap += 1
            voice = VoiceFeatures(phrase_end=gap == 3)
            left = int(random.integers(30, 120)) if gap > 20 else 0
        motion, state = model.step(index, voice, style(index), state)
        motions.append(motion)
        accents.append(voice.accent)
    weights = np.array([motion.weights for motion in motions])
    head = np.degrees([motion.head[:3] for motion in motions])
    right, up, down = (weights[:, LOOK[name]] for name in ("OutLeft", "UpLeft", "DownLeft"))
    eyes = np.stack(
        [FULL_SIDE_DEG * (right - weights[:, LOOK["OutRight"]]), FULL_UP_DEG * up - FULL_DOWN_DEG * down], 1
    )
    return Life(weights, head, eyes + head[:, :2], np.array([motion.body[1] for motion in motions]), np.array(accents))


def away(life: Life) -> float:
    """Share of the time that the eyes are off the viewer."""
    return round(float((np.hypot(*life.gaze.T) > AWAY_DEG).mean()), 2)


def rises(values: Array) -> int:
    """How often values pass their median upwards."""
    above = values > np.median(values)
    return int(np.sum(~above[:-1] & above[1:]))


def share_above(values: Array, hz: float) -> float:
    power = np.abs(np.fft.rfft(values - values.mean(0), axis=0)) ** 2
    return float(power[np.fft.rfftfreq(len(values), 1 / FPS) > hz].sum() / max(power.sum(), 1e-12))


def life(minutes: float) -> tuple[dict[str, Any], Life]:
    """Blinks, gaze, head and breath of a silent, a talking and a listening face; and the talking one."""
    silent, talking = live(minutes, 11), live(minutes, 12, True)
    listening = live(minutes, 13, style=lambda index: Style(listening=0.8 if index % 130 < 100 else 0.0))
    still = live(minutes, 13)
    seen = [blinks(one.weights[:, BLINK]) for one in (silent, talking)]
    ms = np.array([chunks * CHUNK_MS for _, chunks, _ in seen[0] + seen[1]])
    partial = np.array([depth < 0.85 for _, _, depth in seen[0] + seen[1]])
    jumps = np.flatnonzero(np.abs(np.diff(talking.gaze, axis=0)).max(1) > 0.3)
    fixations = np.diff(jumps)[np.diff(jumps) > 2] / FPS
    head, accents = talking.head, talking.accents
    windows = [np.ptp(head[k : k + 250], axis=0).max() for k in range(0, len(head) - 250, 250)]
    lag = 6  # a nod is deepest some 200 ms after its accent
    # The same seed: only what listening adds. A doubled nod counts once.
    dips = np.convolve(still.head[:, 1] - listening.head[:, 1] > 0.6, np.ones(FPS)) > 0
    happy = live(0.05, 14, style=lambda index: Style(feeling="happy" if index >= FPS else "neutral"))
    smile = happy.weights[:, ARKIT_INDEX["mouthSmileLeft"]]
    hour = np.array([sway_deg(9, index, 0.0) for index in range(0, 3600 * FPS, 10)])
    yaw = hour[:, 0] - hour[:, 0].mean()
    alike = np.fft.irfft(np.abs(np.fft.rfft(yaw, 2 * len(yaw))) ** 2)[: len(yaw)]
    return {
        "blinks a minute, silent": round(len(seen[0]) / minutes, 1),
        "blinks a minute, talking": round(len(seen[1]) / minutes, 1),
        "blink duration p5-p95, ms": [round(float(v)) for v in np.percentile(ms, (5, 95))],
        "partial blinks, share": round(float(partial.mean()), 2),
        "fixation median, s": round(float(np.median(fixations)), 2),
        "gaze away, listening": away(listening),
        "gaze away, silent": away(silent),
        "gaze away, talking": away(talking),
        "head RMS yaw pitch roll, degrees": [[round(float(v), 2) for v in h.std(0)] for h in (silent.head, head)],
        "head power above 2 Hz, share": round(share_above(head, 2), 3),
        "least head travel in 10 s of talk, degrees": round(float(min(windows)), 2),
        "head pitch against voice accent, r": round(float(np.corrcoef(head[lag:, 1], accents[:-lag])[0, 1]), 2),
        "nods a minute, listening": round(rises(dips.astype(float)) / minutes, 1),
        "breaths a minute, silent": round(rises(silent.chest) / minutes, 1),
        "feeling there after, ms": (int(np.argmax(smile > 0.95 * smile[-1])) - FPS) * CHUNK_MS,
        "idle hour: pose at its end, degrees": [round(float(v), 2) for v in hour[-150:].mean(0)],
        "idle hour: most alike to itself, r": round(float(alike[100:].max() / alike[0]), 2),
    }, talking


def plot(talking: Life, gaps: Array) -> None:
    """Half a minute of a talking face, and where the power of head and lips lies."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = slice(20 * FPS, 50 * FPS)
    seconds = np.arange(30 * FPS) / FPS
    figure, axes = pyplot.subplots(3, 2, figsize=(12, 8), constrained_layout=True)
    for axis, name, values, labels in (
        (axes[0, 0], "lid", talking.weights[shown, BLINK], None),
        (axes[1, 0], "gaze in space, degrees", talking.gaze[shown], ("right", "up")),
        (axes[2, 0], "head, degrees; accents of the voice", talking.head[shown], ("yaw", "pitch", "roll")),
        (axes[0, 1], "rise of the chest, eye distances", talking.chest[shown], None),
    ):
        axis.plot(seconds, values, linewidth=1, label=labels)
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_xlabel("seconds")
        if labels:
            axis.legend(loc="upper right", fontsize=8)
    axes[2, 0].fill_between(seconds, -6, -6 + 4 * talking.accents[shown], color="0.8", label="accent")
    for axis, name, values in ((axes[1, 1], "head pitch", talking.head[:, 1]), (axes[2, 1], "gap of the lips", gaps)):
        hz, power = spectrum(values)
        axis.semilogy(hz, power, linewidth=1)
        axis.set_title(f"{name}: share of its power at each frequency", loc="left", fontsize=10)
        axis.set_xlabel("Hz")
    results.RESULTS.mkdir(exist_ok=True)
    figure.savefig(results.RESULTS / "alive.png", dpi=110)


def spectrum(values: Array, window: int = 256) -> tuple[Array, Array]:
    """(Hz, share of the power) by Welch's method (1967)."""
    steps = range(0, len(values) - window + 1, window // 2)
    pieces = [np.hanning(window) * (values[k : k + window] - values[k : k + window].mean()) for k in steps]
    power = np.mean(np.abs(np.fft.rfft(pieces, axis=1)) ** 2, axis=0)
    hz: Array = np.asarray(np.fft.rfftfreq(window, 1 / FPS), np.float64)
    return hz, np.asarray(power / power.sum(), np.float64)


def film(avatar: Avatar, sound: NDArray[np.float32], look_ahead_ms: int) -> list[FaceMotion]:
    """The avatar's motion for 16 kHz sound, a whole number of chunks."""
    states, shown = [avatar.initial_state(1, look_ahead_ms)], []
    late = np.zeros(look_ahead_ms // CHUNK_MS * SPEECH_CHUNK, np.float32)
    for chunk in np.concatenate([sound, late]).reshape(-1, SPEECH_CHUNK):
        frames, states = avatar.step([StepInput(chunk, None, Style())], states)
        if frames[0] is not None:
            shown.append(frames[0].motion)
    return shown


def lips(look_ahead_ms: int) -> tuple[dict[str, Any], Array]:
    """What the mouth does in and after real sound; and the gap of the lips, all sentences end to end."""
    avatar = Avatar()
    still, after_ms, power, openings = [], [], [], []
    for language, text in SENTENCES:
        for variant in ("", "+f3"):
            spoken, segments = speak(text, language + variant)
            last_s = max(s.end_s for s in segments if s.phoneme != "sil")
            quiet = np.zeros(round(PAUSE_S * SPEECH_RATE), np.float32)
            sound = np.concatenate([quiet, spoken, quiet])
            sound = np.pad(sound, (0, -len(sound) % SPEECH_CHUNK)).astype(np.float32)
            weights = np.array([m.weights for m in film(avatar, sound, look_ahead_ms)])
            gap = sum(most * weights[:, ARKIT_INDEX[name]] for name, most in GAPS.items()) * (1 - weights[:, CLOSE])
            end_s = PAUSE_S + last_s
            moving = np.flatnonzero(weights[:, MOUTH].max(1) > 0.01)
            after_ms.append(max(0.0, (moving[-1] + 1) * CHUNK_MS - end_s * 1000))
            still.append(weights[: round(1.0 * FPS), MOUTH])
            still.append(weights[round((end_s + 0.3) * FPS) :, MOUTH])
            power.append(share_above(gap, 8))
            openings.append(gap)
    return {
        "silent lips, std of weights": round(float(np.concatenate(still).std(0).max()), 4),
        "lips shut after speech, median ms": round(float(np.median(after_ms))),
        "lips shut after speech, worst ms": round(float(max(after_ms))),
        "aperture power above 8 Hz, share": round(float(np.mean(power)), 3),
        "aperture p95, eye distances": round(float(np.percentile(np.concatenate(openings), 95)), 3),
    }, np.concatenate(openings)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--look-ahead-ms", type=int, choices=LOOK_AHEADS_MS, default=DEFAULT_LOOK_AHEAD_MS)
    options = parser.parse_args()
    (alive, talking), (spoken, gaps) = life(options.minutes), lips(options.look_ahead_ms)
    figures = alive | spoken
    plot(talking, gaps)
    results.table(
        [(name, value, HUMAN[name]) for name, value in figures.items()], ("figure", "avatar", "people, or goal")
    )
    results.save("alive", {"look_ahead_ms": options.look_ahead_ms, "figures": figures, "human": HUMAN})


if __name__ == "__main__":
    main()
