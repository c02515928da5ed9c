"""Reenactment on films of your own: one frame of each person driven by his own sound, beside what his mouth really did.

    python -m bench.films --landmarker FILE FILM [FILM ...]

Any films of one person who speaks to the camera, a few seconds each; a landmarker that is not ours tracks them. The
photo is the frame whose lips are nearest to shut. Each figure is the correlation of the opening with the real one: ours
from the sound, the same `in step` with a film whose own sound is early or late, loudness alone, a jaw that follows
loudness (it must lose), ours against the next film's mouth (it must fail).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bench import results
from bench.clip import JawFlapper
from bench.landmarker import Landmarker
from bench.measures import level_db
from bench.reenact import SIZE_PX, aperture, correlation, pictures, tracked
from models.avatar import Avatar
from models.enroll import enroll
from models.generator import FrameGenerator
from models.landmarks import LandmarkModel
from models.rates import DEFAULT_LOOK_AHEAD_MS, FPS, SPEECH_RATE

Array = NDArray[np.float32]
LEAST_FRAMES = 50
MOST_LAG = 3
"""Frames by which a film's own sound may be early or late; `in step` allows for it."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film as we hear and see it: frames (T, h, w, 3) BGR at 25 fps; sound (n,) at 16 kHz from the first frame on."""

    frames: list[NDArray[np.uint8]]
    sound: Array


def read(path: Path, most_s: float) -> Film:
    """The first `most_s` seconds. A film of another rate repeats or leaves out frames."""
    with av.open(str(path)) as container:
        timed = [
            (float(f.time or 0), np.asarray(f.to_ndarray(format="bgr24"), np.uint8))
            for f in islice(container.decode(video=0), int(2.5 * most_s * FPS))
        ]
    times = np.array([time for time, _ in timed])
    shown = np.arange(times[0], min(times[-1] + 1e-3, times[0] + most_s), 1 / FPS)
    frames = [timed[k][1] for k in np.searchsorted(times, shown + 1e-3, "right") - 1]
    resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
    with av.open(str(path)) as container:
        heard = list(container.decode(audio=0))
    parts = [o.to_ndarray()[0] for f in [*heard, None] for o in resampler.resample(f)]
    late = round((float(heard[0].time or 0) - float(times[0])) * SPEECH_RATE)
    sound = np.concatenate([np.zeros(max(late, 0), np.float32), *parts])[max(-late, 0) :]
    return Film(frames, sound[: round(len(frames) / FPS * SPEECH_RATE)].astype(np.float32))


def loudness(sound: Array, frames: int) -> NDArray[np.floating]:
    """(frames,) dB of the sound under each frame."""
    time_s, level = level_db(sound, SPEECH_RATE)
    return np.interp(np.arange(frames) / FPS, time_s, level)


def in_step(drawn: NDArray[np.floating], real: NDArray[np.floating]) -> tuple[float, int]:
    """The best correlation of two tracks (T,) with one moved by up to `MOST_LAG` frames, and ms that `real` is late."""
    count, found = len(real), []
    for lag in range(-MOST_LAG, MOST_LAG + 1):
        here, there = slice(max(-lag, 0), count - max(lag, 0)), slice(max(lag, 0), count - max(-lag, 0))
        found.append((correlation(drawn[here], real[there]), round(1000 * lag / FPS)))
    return max(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path, metavar="FILM")
    parser.add_argument("--landmarker", required=True, type=Path, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--seconds", type=float, default=10, help="at most so much of each film")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    finder, ours, flapper = LandmarkModel("cpu"), Avatar(), JawFlapper()
    real: list[NDArray[np.floating]] = []
    rows: list[dict[str, str | float]] = []
    drawn: list[NDArray[np.floating]] = []
    for path in options.films:
        film = read(path, options.seconds)
        count = len(film.frames)
        points, _ = tracked(film.frames, Landmarker(options.landmarker))
        if count < LEAST_FRAMES or len(points) < count:
            print(f"{path.name}: left out; it needs a face from the first frame on, for {LEAST_FRAMES} frames")
            continue
        opening = aperture(points)
        generator = FrameGenerator(enroll(film.frames[int(opening.argmin())], finder, SIZE_PX).identity)
        openings = []
        for avatar, ahead_ms in ((ours, DEFAULT_LOOK_AHEAD_MS), (flapper, 0)):
            seen = pictures(avatar, generator, film.sound, count, ahead_ms)
            openings.append(aperture(tracked(seen, Landmarker(options.landmarker))[0]))
        real.append(opening)
        drawn.append(openings[0])
        best, lag_ms = in_step(openings[0], opening)
        rows.append(
            {
                "film": path.name,
                "frames": count,
                "from the sound": correlation(openings[0], opening),
                "in step": best,
                "lag ms": lag_ms,
                "loudness": correlation(loudness(film.sound, count), opening),
                "jaw flapper": correlation(openings[1], opening),
                "p95 real": float(np.percentile(opening, 95)),
                "p95 ours": float(np.percentile(openings[0], 95)),
            }
        )
    if not rows:
        print("no film could be used")
        return 2
    for row, mine, other in zip(rows, drawn, [*real[1:], real[0]], strict=True):
        row["next film"] = correlation(mine, other) if len(rows) > 1 else float("nan")
    figures = {name: float(np.mean([float(row[name]) for row in rows])) for name in list(rows[0])[1:]}
    shown = [[v if isinstance(v, str | int) else round(v, 3) for v in row.values()] for row in rows]
    shown.append(["mean", *(round(v, 3) for v in figures.values())])
    results.table(shown, list(rows[0]))
    results.save("films", {"films": rows, "mean": figures})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
