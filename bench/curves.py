"""Do jaw and lips move as an animator's did? A speaker and a language (Mandarin) that no model here has met.

    python -m bench.curves --data DIR [--look-ahead-ms 80]

Reads `DIR/facegood` (FACEGOOD-Audio2Face, MIT: speech with hand-made curves of another rig), computes motion only.
Figures are correlations of curves at the lag that suits them best (within 160 ms), each beside that of loudness alone.
Writes bench/results/curves.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import results
from bench.alive import film
from models.avatar import Avatar
from models.blendshapes import ARKIT_INDEX
from models.rates import DEFAULT_LOOK_AHEAD_MS, FPS, LOOK_AHEADS_MS, SPEECH_CHUNK
from models.training.corpus import read_sound

Curve = NDArray[np.float64]

LAGS = range(-4, 5)
CHANNELS = {
    "jaw": (("jawOpen",), ("mouth_stretch_c",)),
    "rounding": (("mouthPucker", "mouthFunnel"), ("mouth_oo_c", "mouth_oh_c", "mouth_pucker", "mouth_funnel")),
    "lips pressed": (("mouthPressLeft",), ("mouth_press", "mouth_suck")),
}
"""Sums of our weights, and the animator's channels (by how they begin) that mean the same."""

LEAST_LEVEL_DB = -45.0


def correlation(ours: Curve, theirs: Curve) -> float:
    """At the best lag; nan where a curve does not move."""
    if min(ours.std(), theirs.std()) < 1e-6:
        return float("nan")
    return max(float(np.corrcoef(np.roll(ours, lag), theirs)[0, 1]) for lag in LAGS)


def animated(file: Path, begins: Sequence[str], frames: int) -> Curve:
    """The sum of an animator's channels at our frames."""
    with np.load(file) as clip:
        chosen = [i for i, name in enumerate(clip["names"]) if str(name).startswith(tuple(begins))]
        values, fps = clip["weights"][:, chosen].astype(float).sum(1), float(clip["fps"])
    return np.interp((np.arange(frames) + 0.5) / FPS, np.arange(len(values)) / fps, values)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds facegood/")
    parser.add_argument("--look-ahead-ms", type=int, choices=LOOK_AHEADS_MS, default=DEFAULT_LOOK_AHEAD_MS)
    options = parser.parse_args()
    avatar, rows = Avatar(), []
    for file in sorted((options.data / "facegood").glob("*.npz")):
        sound = read_sound(file.with_suffix(".opus"))
        sound = sound[: len(sound) // SPEECH_CHUNK * SPEECH_CHUNK]
        weights = np.array([motion.weights for motion in film(avatar, sound, options.look_ahead_ms)], np.float64)
        level_db = 10 * np.log10(np.mean(sound.reshape(-1, SPEECH_CHUNK).astype(float) ** 2, axis=1) + 1e-7)
        loudness = np.maximum(level_db, LEAST_LEVEL_DB)
        row: list[object] = [file.stem]
        for ours, theirs in CHANNELS.values():
            curve = animated(file, theirs, len(weights))
            mine = weights[:, [ARKIT_INDEX[name] for name in ours]].sum(1)
            row += [round(correlation(mine, curve), 3), round(correlation(loudness, curve), 3)]
        rows.append(row)
    means = [round(float(np.nanmean([row[i] for row in rows])), 3) for i in range(1, len(rows[0]))]  # type: ignore[arg-type]
    header = ["clip", *[name for channel in CHANNELS for name in (channel, "loudness")]]
    results.table([*rows, ["mean", *means]], header)
    results.save("curves", {"look_ahead_ms": options.look_ahead_ms, "header": header, "rows": rows, "mean": means})


if __name__ == "__main__":
    main()
