"""The speech that the phoneme encoder learns from: real clips with forced alignments, and who is kept back.

Reads a data folder (`--data`), writes nothing. A `Clip` carries its sound's place and gapless segments of phonemes.
Whole speakers are kept back by name, twice over: `dev` for taking decisions, `test` for nothing but the report.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from models.rates import MEL_HOP, SPEECH_RATE
from models.visemes import PHONEME_INDEX, from_arpabet

UNLABELLED = 255

# Beside these, every session of wuw whose number ends in 7 is for the test, and in 13, 33, 53, 73, 93 for decisions.
TEST_SPEAKERS = frozenset({
    # so762: 12 of 112, 5 women and 7 men
    "0120", "0461", "0981", "1029", "1186", "1372", "2022", "2129", "2355", "9601", "9619", "9630",
    # alphanum: 7 of 70
    "R_1DN3Yy2ILEefmz8", "R_34i05S8YXzyAyGE", "R_41aiHA1p9OLYbuY", "R_4TIdkLil27HhMH3", "R_5F0Zpg07Mr16uBz",
    "R_6thxkopa8CNYELv", "R_7NCxNP8jSj5mq6n",
})  # fmt: skip
DEV_SPEAKERS = frozenset({
    # so762: 3 women, 3 men; alphanum: 2 women, 2 men; drawn with seed 11
    "2438", "9643", "2981", "3023", "2937", "9609",
    "R_4Cbjs7mWxj4Ri7v", "R_49dhghc8TaDIOhr", "R_7EOlSvi9ctgFRBL", "R_4gezxpDDRaPXKIs",
})  # fmt: skip
_DEV_SESSIONS = ("13", "33", "53", "73", "93")

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Segment:
    phoneme: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Clip:
    """group is the set it comes from, language an espeak-ng language code, speaker "" where nobody says who speaks."""

    group: str
    language: str
    speaker: str
    path: Path
    segments: tuple[Segment, ...]

    @property
    def split(self) -> Split:
        if self.speaker in TEST_SPEAKERS or (self.group == "wuw" and self.speaker.endswith("7")):
            return "test"
        if self.speaker in DEV_SPEAKERS or (self.group == "wuw" and self.speaker.endswith(_DEV_SESSIONS)):
            return "dev"
        return "train"


def real_clips(data: Path) -> Iterator[Clip]:
    """Every aligned clip of the real sets under `data`."""
    phones = json.loads((data / "speech/phones.json").read_text())
    with (data / "speech/clips.tsv").open(newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["id"] in phones:
                path = data / "speech" / f"{row['id']}.opus"
                yield Clip(row["set"], "en", row["speaker"], path, segments_of(phones[row["id"]]))
    for group, speaker in (("ljspeech", "lj"), ("grid_s1", "s1")):
        for name, rows in sorted(json.loads((data / group / "phones.json").read_text()).items()):
            yield Clip(group, "en", speaker, data / group / f"{name}.opus", segments_of(rows))


def segments_of(rows: Sequence[Sequence]) -> tuple[Segment, ...]:
    """Segments of `[[arpabet, start_s, end_s], …]`."""
    return tuple(Segment(from_arpabet(label), start, end) for label, start, end in rows)


def read_sound(path: Path) -> NDArray[np.float32]:
    """(N,) mono sound at 16 kHz in -1..1."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
        parts = [
            piece.to_ndarray()[0] for frame in [*container.decode(audio=0), None] for piece in resampler.resample(frame)
        ]
    return np.concatenate(parts)


def frame_labels(segments: Sequence[Segment], frames: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Phoneme index (frames,) at the centre of each 10 ms frame, `UNLABELLED` outside the segments, and the
    progress 0..255 (frames,) through its segment."""
    phoneme = np.full(frames, UNLABELLED, np.uint8)
    progress = np.zeros(frames, np.uint8)
    hop_s = MEL_HOP / SPEECH_RATE
    for segment in segments:
        first, last = (max(0, round(edge / hop_s)) for edge in (segment.start_s, segment.end_s))
        last = min(last, frames)
        if last > first:
            phoneme[first:last] = PHONEME_INDEX[segment.phoneme]
            progress[first:last] = np.linspace(0, 255, 2 * (last - first) + 1)[1::2]
    return phoneme, progress
