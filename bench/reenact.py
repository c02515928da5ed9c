"""Reenactment: a person's own first frame driven by his own sound, beside what his mouth really did.

Reads GRID clips that nothing was trained on, tracks them with a landmarker that is not ours. Rows: the real film; ours
with the true phones; ours from the sound; ours against another clip's sound (must fail); a jaw that follows loudness
(must lose). Figures are those of `bench.measures` over all clips laid end to end, `reenactment` is the mean over clips.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bench import measures
from bench.clip import JawFlapper
from bench.landmarker import Landmarker
from models.avatar import Avatar, StepInput
from models.enroll import enroll
from models.generator import FrameGenerator
from models.landmarks import LandmarkModel
from models.phonemes import EncoderState, PhonemeEncoder, SpeechFrames
from models.rates import DEFAULT_LOOK_AHEAD_MS, SPEECH_CHUNK, SPEECH_RATE, look_ahead_chunks
from models.style import Style
from models.training import ideal_speech
from models.visemes import ARTICULATION, articulation, from_arpabet

Array = NDArray[np.float32]
HELD_OUT_EVERY = 5
"""Which clips `models.training.motion` keeps back: the first of so many, by name."""

SIZE_PX = 256
PARTED = 0.04
"""Aperture from which a mouth is open; sharpness is that of open mouths against the first frame's."""

PAUSE_S = 1.0
"""Silence laid between clips, so that no correlation reaches from one into the next."""


class Told(Avatar):
    """Ours, with phones from labels instead of the encoder's guesses."""

    def __init__(self, speech: Iterator[SpeechFrames]) -> None:
        super().__init__()
        self._encoder = _Labels(speech, self._encoder)  # type: ignore[assignment]


class _Labels:
    def __init__(self, speech: Iterator[SpeechFrames], encoder: PhonemeEncoder) -> None:
        self._speech, self._last = speech, next(speech)
        self.initial_state: Callable[[int], EncoderState] = encoder.initial_state

    def step(self, chunks: Array, state: EncoderState) -> tuple[SpeechFrames, EncoderState]:
        said, self._last = self._last, next(self._speech, self._last)
        return said, state


def film(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


def heard(path: Path) -> Array:
    resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
    with av.open(str(path)) as container:
        parts = [o.to_ndarray()[0] for f in container.decode(audio=0) for o in resampler.resample(f)]
        parts += [o.to_ndarray()[0] for o in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


def pictures(avatar: Avatar, generator: FrameGenerator, sound: Array, frames: int, ahead_ms: int) -> Iterator[Any]:
    """`frames` pictures of `avatar` for `sound`."""
    state = avatar.initial_state(7, ahead_ms)
    delay = look_ahead_chunks(ahead_ms) if not isinstance(avatar, JawFlapper) else 0
    padded = np.pad(sound, (0, max(0, (frames + delay) * SPEECH_CHUNK - len(sound))))
    for index in range(frames + delay):
        chunk = padded[index * SPEECH_CHUNK : (index + 1) * SPEECH_CHUNK]
        (shown,), (state,) = avatar.step([StepInput(chunk, None, Style())], [state])
        if shown is not None:
            yield generator.render(shown.motion)


def tracked(
    frames: Iterator[Any] | list[NDArray[np.uint8]], landmarker: Landmarker
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(T, 478, 2), a frame without a face repeating the one before; (T,) detail around the mouth."""
    points: list[NDArray[np.float64]] = []
    detail: list[float] = []
    for frame in frames:
        found = landmarker(frame)
        if found is not None or points:
            points.append(points[-1] if found is None else found)
            detail.append(mouth_detail(frame, points[-1]))
    return np.array(points), np.array(detail)


def mouth_detail(frame: NDArray[np.uint8], points: NDArray[np.float64]) -> float:
    """Laplacian variance of mouth and cheeks at eyes 64 px apart, where the grain of the source counts for little."""
    unit = float(np.hypot(*(points[263] - points[33])))
    corner = points[[61, 291]].mean(0)
    place = np.array([[64 / unit, 0, 0], [0, 64 / unit, 0]])
    place[:, 2] = 32 - place[:, :2] @ corner
    small = cv2.warpAffine(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), place, (64, 64), flags=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def measure(data: Path, task: Path, count: int) -> dict[str, dict[str, float]]:
    """Figures by row over `count` held-out clips of DATA/grid_s1."""
    folder = data / "grid_s1"
    phones = json.loads((folder / "phones.json").read_text())
    names = sorted(phones)[::HELD_OUT_EVERY]
    names = [names[k] for k in np.linspace(0, len(names) - 1, count).round().astype(int)]
    finder, encoder = LandmarkModel("cpu"), PhonemeEncoder("cpu")
    ours, flapper = Avatar(), JawFlapper()
    tracks: dict[str, list[NDArray[np.float64]]] = {}
    sharp: dict[str, list[float]] = {}
    sounds: list[Array] = []
    for number, name in enumerate(names):
        real, sound = film(folder / f"{name}.mp4"), heard(folder / f"{name}.opus")
        generator = FrameGenerator(enroll(real[0], finder, SIZE_PX).identity)
        spoken = [(from_arpabet(phone), start, end) for phone, start, end in phones[name]]
        said = ideal_speech.speak(spoken, len(real) / 25, level_db=_levels(encoder, sound, len(real)))
        ahead = DEFAULT_LOOK_AHEAD_MS
        rows: dict[str, Iterator[Any] | list[NDArray[np.uint8]]] = {
            "real video": real,
            "true phones": pictures(Told(said), generator, sound, len(real), ahead),
            "from the sound": pictures(ours, generator, sound, len(real), ahead),
            "jaw flapper": pictures(flapper, generator, sound, len(real), 0),
        }
        for row, frames in rows.items():
            points, detail = tracked(frames, Landmarker(task))
            tracks.setdefault(row, []).append(points)
            parted = aperture(points) > PARTED
            sharp.setdefault(row, []).extend((detail[parted] / detail[0]).tolist())
        sounds.append(sound)
        print(f"\rreenactment: clip {number + 1} of {len(names)}", end="", flush=True)
    print()
    labels = [[(phone, a, b) for phone, a, b in phones[name]] for name in names]
    out = {row: figures(seen, tracks["real video"], sounds, labels) for row, seen in tracks.items()}
    # Against the sound and the film of the clip after it.
    after = np.roll(np.arange(len(names)), -1).tolist()
    other = ([values[k] for k in after] for values in (tracks["real video"], sounds, labels))
    out["shuffled sound"] = figures(tracks["from the sound"], *other)  # type: ignore[arg-type]
    sharp["shuffled sound"] = sharp["from the sound"]
    for row, ratios in sharp.items():
        out[row]["sharpness"] = round(float(np.median(ratios)), 2)
    return out


def figures(
    seen: list[NDArray[np.float64]],
    real: list[NDArray[np.float64]],
    sounds: list[Array],
    labels: list[list[measures.Phone]],
) -> dict[str, float]:
    """Of one row: clips as tracked, as the real film has them, their sounds and phones."""
    matched = [correlation(aperture(a), aperture(b)) for a, b in zip(seen, real, strict=True)]
    times, points, pieces, phones, rounding, at = [], [], [], [], [], 0.0
    for track, sound, spoken in zip(seen, sounds, labels, strict=True):
        seconds = np.arange(len(track)) / 25
        times.append(at + seconds)
        points.append(track)
        length = round((len(track) / 25 + PAUSE_S) * SPEECH_RATE)
        pieces.append(np.pad(sound, (0, max(0, length - len(sound))))[:length])
        phones += [(phone, at + start, at + end) for phone, start, end in spoken]
        rounding.append(_rounding(spoken, seconds))
        at += length / SPEECH_RATE
    whole = measures.Track(np.concatenate(times), np.concatenate(points))
    heard_all = np.concatenate(pieces)
    lag_s, peak = measures.offset(whole, heard_all, SPEECH_RATE)
    closures = measures.closures(whole, phones)
    jitters = [measures.rigid_jitter(measures.Track(t, p)) for t, p in zip(times, points, strict=True)]
    return {
        "reenactment": round(float(np.mean(matched)), 3),
        "offset_ms": round(1000 * lag_s),
        "peak": round(peak, 3),
        "closure": round(closures["closure"], 3),
        "false_closure": round(closures["false_closure"], 3),
        "labiodental": round(measures.labiodentals(whole, phones), 3),
        "rounding": round(correlation(-whole.width, np.concatenate(rounding)), 3),
        "aperture_p95": round(float(np.percentile(whole.aperture, 95)), 3),
        "above_8hz": round(float(np.mean([measures.share_above(aperture(track), 8) for track in seen])), 3),
        "silent_sigma": round(measures.silent_lips(whole, heard_all, SPEECH_RATE), 4),
        "jitter": round(float(np.median(jitters)), 4),
        "clips": len(seen),
        "bilabials": closures["bilabials"],
        "open_vowels": closures["open_vowels"],
    }


def _levels(encoder: PhonemeEncoder, sound: Array, frames: int) -> Array:
    """(4 * frames,) dB full scale as the encoder measures them."""
    state, out = encoder.initial_state(1), []
    padded = np.pad(sound, (0, max(0, frames * SPEECH_CHUNK - len(sound))))
    for index in range(frames):
        said, state = encoder.step(padded[None, index * SPEECH_CHUNK : (index + 1) * SPEECH_CHUNK], state)
        out.append(said.level_db[0])
    return np.concatenate(out)


def aperture(points: NDArray[np.float64]) -> NDArray[np.floating]:
    return measures.Track(np.arange(len(points)) / 25, points).aperture


def _rounding(spoken: list[measures.Phone], seconds: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T,) the rounding that the phones ask for."""
    column = ARTICULATION.index("lip_round")
    out = np.zeros(len(seconds))
    for phone, start, end in spoken:
        out[(seconds >= start) & (seconds < end)] = articulation(from_arpabet(phone))[column]
    return np.asarray(np.convolve(np.pad(out, 2, mode="edge"), np.ones(5) / 5, mode="valid"))


def correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    count = min(len(a), len(b))
    a, b = a[:count] - a[:count].mean(), b[:count] - b[:count].mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-12))
