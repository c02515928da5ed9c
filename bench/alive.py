"""Is it alive? Blinks, gaze, head and lips of the avatar's motion, beside published human figures.
Computes motion only (no picture): the real encoder on sentences that espeak-ng speaks here, ten minutes of idling, ten
of a made-up talker. Writes bench/results/alive.json.

    python -m bench.alive [--minutes 10] [--look-ahead-ms 80]
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import results
from models.avatar import Avatar, StepInput
from models.blendshapes import ARKIT_INDEX, FaceMotion
from models.idle import IdleModel
from models.rates import CHUNK_MS, DEFAULT_LOOK_AHEAD_MS, FPS, LOOK_AHEADS_MS, SPEECH_CHUNK, SPEECH_RATE
from models.style import Style
from models.training.espeak import speak
from models.voice import VoiceFeatures

BLINK = ARKIT_INDEX["eyeBlinkLeft"]
LOOKS = [i for name, i in ARKIT_INDEX.items() if name.startswith("eyeLook")]
MOUTH = [i for name, i in ARKIT_INDEX.items() if name.startswith(("mouth", "jaw", "tongue"))]
JAW, CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]
JAW_GAP = 0.4
"""Gap of the lips (outer-eye-corner distances) of jawOpen 1, as on film."""

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
    "gaze away, silent": "less than talking (Kendon 1967)",
    "gaze away, talking": "0.3-0.6 (Argyle & Cook 1976)",
    "head RMS yaw pitch roll, degrees": "<= 4",
    "head power above 2 Hz, share": "most lies below 2 Hz (Hadar 1983)",
    "least head travel in 10 s of talk, degrees": "> 0",
    "head pitch against voice accent, r": "nods on accents: negative here",
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


def talker(minutes: float, seed: int, talks: bool) -> tuple[Array, Array, Array]:
    """Weights, head angles in degrees and voice accents of idle life alone; phrases of uneven length if it talks."""
    random, model = np.random.default_rng(seed), IdleModel()
    state, weights, head, accents = model.initial_state(seed), [], [], []
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
        motion, state = model.step(index, voice, Style(), state)
        weights.append(motion.weights)
        head.append(np.degrees(motion.head[:3]))
        accents.append(voice.accent)
    return np.array(weights), np.array(head), np.array(accents)


def share_above(values: Array, hz: float) -> float:
    power = np.abs(np.fft.rfft(values - values.mean(0), axis=0)) ** 2
    return float(power[np.fft.rfftfreq(len(values), 1 / FPS) > hz].sum() / max(power.sum(), 1e-12))


def life(minutes: float) -> dict[str, Any]:
    """Blinks, gaze and head of a silent and of a talking face."""
    silent, silent_head, _ = talker(minutes, 11, False)
    talking, head, accents = talker(minutes, 12, True)
    seen = [blinks(w[:, BLINK]) for w in (silent, talking)]
    ms = np.array([chunks * CHUNK_MS for _, chunks, _ in seen[0] + seen[1]])
    partial = np.array([depth < 0.85 for _, _, depth in seen[0] + seen[1]])
    eyes = talking[:, LOOKS]
    jumps = np.flatnonzero(np.abs(np.diff(eyes, axis=0)).max(1) > 0.02)
    fixations = np.diff(jumps)[np.diff(jumps) > 2] / FPS
    windows = [np.ptp(head[k : k + 250], axis=0).max() for k in range(0, len(head) - 250, 250)]
    lag = 6  # a nod is deepest some 200 ms after its accent
    return {
        "blinks a minute, silent": round(len(seen[0]) / minutes, 1),
        "blinks a minute, talking": round(len(seen[1]) / minutes, 1),
        "blink duration p5-p95, ms": [round(float(v)) for v in np.percentile(ms, (5, 95))],
        "partial blinks, share": round(float(partial.mean()), 2),
        "fixation median, s": round(float(np.median(fixations)), 2),
        "gaze away, silent": round(float((silent[:, LOOKS].max(1) > 0.16).mean()), 2),
        "gaze away, talking": round(float((eyes.max(1) > 0.16).mean()), 2),
        "head RMS yaw pitch roll, degrees": [[round(float(v), 2) for v in h.std(0)] for h in (silent_head, head)],
        "head power above 2 Hz, share": round(share_above(head, 2), 3),
        "least head travel in 10 s of talk, degrees": round(float(min(windows)), 2),
        "head pitch against voice accent, r": round(float(np.corrcoef(head[lag:, 1], accents[:-lag])[0, 1]), 2),
    }


def film(avatar: Avatar, sound: NDArray[np.float32], look_ahead_ms: int) -> list[FaceMotion]:
    """The avatar's motion for 16 kHz sound, a whole number of chunks."""
    states, shown = [avatar.initial_state(1, look_ahead_ms)], []
    late = np.zeros(look_ahead_ms // CHUNK_MS * SPEECH_CHUNK, np.float32)
    for chunk in np.concatenate([sound, late]).reshape(-1, SPEECH_CHUNK):
        frames, states = avatar.step([StepInput(chunk, None, Style())], states)
        if frames[0] is not None:
            shown.append(frames[0].motion)
    return shown


def lips(look_ahead_ms: int) -> dict[str, Any]:
    """What the mouth does in and after real sound."""
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
            gap = JAW_GAP * weights[:, JAW] * (1 - weights[:, CLOSE])
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
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--look-ahead-ms", type=int, choices=LOOK_AHEADS_MS, default=DEFAULT_LOOK_AHEAD_MS)
    options = parser.parse_args()
    figures = life(options.minutes) | lips(options.look_ahead_ms)
    results.table(
        [(name, value, HUMAN[name]) for name, value in figures.items()], ("figure", "avatar", "people, or goal")
    )
    results.save("alive", {"look_ahead_ms": options.look_ahead_ms, "figures": figures, "human": HUMAN})


if __name__ == "__main__":
    main()
