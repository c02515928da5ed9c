"""Fits the motion model's dominances, kernels and target corrections to a filmed speaker (GRID speaker 1).

Reads `DATA/grid_s1` (phones, sound, measured blendshapes) and the lip gaps of `models.training.film_lips`, writes
`models/weights/motion.json`, prints figures on held-out clips. Phonemes come from the labels, so the encoder's errors
are not learned. Targets stay near the phonetic table (ridge): one speaker and 51 words must not teach what German
vowels look like; phonemes that GRID lacks keep it.

    python -m models.training.motion --data DIR --lips .cache/motion/lips.npz
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from models import weights
from models.motion import FRAME_MS, GAIN_LEAST, GAIN_MOST, GAIN_SIGMA_MS, PARAMETER_FILE, SMOOTH
from models.rates import MEL_FRAMES, MEL_HOP, SPEECH_RATE
from models.training.ideal_speech import labels
from models.visemes import ARTICULATION, PHONEME_VISEME, PHONEMES, VISEME_INDEX, from_arpabet

MEASURED = ("jaw_open", "lip_open", "lip_round")
"""Channels that the film can teach: the landmarker sees too little of the others on this speaker."""

JAW_WIDE, LIPS_WIDE, PUCKERED = 0.36, 0.125, 0.6
"""What the film shows at a target of 1: jawOpen and lip gap of the widest vowels, root of mouthPucker of W."""

JAW_HIGH = ("SS", "CH", "DD", "TH", "FF", "I")
"""Visemes whose jaw stays as in the table: the landmarker reads jawOpen off the lips, and these part them more than
they lower the jaw."""

TEETH_HELD, HELD_DOMINANCE = ("SS", "CH"), 2.0
"""Sibilants need the teeth together: they hold the jaw against any neighbour (Keating et al. 1994)."""

TONGUE_SHOWN = ("TH",)
"""Visemes whose lips part as in the table, though this speaker hides his tongue: a viewer expects to see it."""

LIPS_IDLE, IDLE_DOMINANCE = ("TH", "DD", "kk", "SS", "nn"), 0.5
"""Made by the tongue alone: a neighbour's rounding spreads through them (Perkell & Matthies 1992)."""

LEAST_AHEAD_MS = (0.1, 0.1, 65.0)
"""Rounding begins 100 to 200 ms ahead in running speech; GRID's clipped commands, often after a pause, hide it."""

HELD_OUT_EVERY = 5
MOST_CORRECTION, MOST_LOG_DOMINANCE = 0.3, 1.4
CORRECTION_RIDGE, DOMINANCE_RIDGE = 0.15, 0.04
REACH = 30  # 10 ms frames to each side of a film frame that may pull on it
LICENCE = "fitted to GRID speaker 1 (CC BY 4.0, Cooke, Barker, Cunningham and Shao 2006); MIT with attribution"


@dataclass(frozen=True, slots=True)
class Clip:
    """phoneme (F, P), target (F, C), louder (F,) in 10 dB over the clip's speech, F = 4 frames a film frame; measured
    (frames, len(MEASURED)) in units of the targets, not a number where it is not known."""

    phoneme: NDArray[np.float32]
    target: NDArray[np.float32]
    louder: NDArray[np.float32]
    measured: NDArray[np.float32]


def sound(path: Path) -> NDArray[np.float32]:
    """Mono samples at 16 kHz."""
    resampler = av.AudioResampler("flt", "mono", SPEECH_RATE)
    with av.open(str(path)) as container:
        parts = [o.to_ndarray()[0] for f in container.decode(audio=0) for o in resampler.resample(f)]
        parts += [o.to_ndarray()[0] for o in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


def level_db(samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    padded = np.pad(samples, (0, max(0, frames * MEL_HOP - len(samples))))[: frames * MEL_HOP]
    return 10 * np.log10(np.mean(padded.reshape(frames, MEL_HOP) ** 2, axis=1) + 1e-10)


def read_clip(folder: Path, name: str, phones: list, measured: NDArray[np.float32]) -> Clip:
    frames = len(measured) * MEL_FRAMES
    phoneme, said = labels([(from_arpabet(p), start, end) for p, start, end in phones], frames)
    flare = phoneme[:, VISEME_INDEX["CH"] == PHONEME_VISEME].sum(1)
    target = np.column_stack([said[:, [ARTICULATION.index(n) for n in SMOOTH[:4]]], flare])
    level = level_db(sound(folder / f"{name}.opus"), frames)
    spoken = phoneme[:, 0] < 0.5
    louder = np.clip((level - level[spoken].mean()) / 10, -1.5, 1.5) * spoken
    return Clip(phoneme, target, louder.astype(np.float32), measured)


def film_targets(film: NDArray[np.float32], names: list[str], gap: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(frames, 3) from measured shapes (frames, 52) and lip gaps. The landmarker's pucker is near 0 until the lips are
    far forward; its root is about linear in the width of the mouth."""
    lips = np.full(len(film), np.nan) if gap is None else gap / LIPS_WIDE
    pucker = np.sqrt(np.maximum(film[:, names.index("mouthPucker")], 0)) / PUCKERED
    return np.column_stack([film[:, names.index("jawOpen")] / JAW_WIDE, lips, pucker]).astype(np.float32)


def read(data: Path, lips: Path) -> tuple[list[Clip], list[Clip]]:
    """Clips to fit and clips held out."""
    folder = data / "grid_s1"
    phones = json.loads((folder / "phones.json").read_text())
    with np.load(folder / "blendshapes.npz") as film, np.load(lips) as gaps:
        names = list(film["names"])
        clips = [
            read_clip(folder, n, phones[n], film_targets(film[n].astype(np.float32), names, gaps.get(n)))
            for n in sorted(phones)
        ]
    held = [clip for i, clip in enumerate(clips) if i % HELD_OUT_EVERY == 0]
    return [clip for i, clip in enumerate(clips) if i % HELD_OUT_EVERY], held


class Dominance(torch.nn.Module):
    """The smooth part of `models.motion`, differentiable, for the measured channels."""

    def __init__(self) -> None:
        super().__init__()
        count = len(MEASURED)
        self.columns = [SMOOTH.index(name) for name in MEASURED]
        self._log_dominance = torch.nn.Parameter(torch.zeros(len(PHONEMES), count))
        self._correction = torch.nn.Parameter(torch.zeros(len(PHONEMES), count))
        self._free = torch.ones(len(PHONEMES), count)
        self._free[_rows(JAW_HIGH), 0] = 0
        self._free[_rows(TONGUE_SHOWN), 1] = 0
        self._firm = torch.zeros(len(PHONEMES), count)
        self._firm[_rows(TEETH_HELD), 0] = math.log(HELD_DOMINANCE)
        self._firm[_rows(LIPS_IDLE), 2] = math.log(IDLE_DOMINANCE)
        self._log_ahead = torch.nn.Parameter(torch.full((count,), 60.0).log())
        self.log_carry = torch.nn.Parameter(torch.full((count,), 60.0).log())
        self.slope = torch.nn.Parameter(torch.tensor(0.2))
        self.rest = torch.nn.Parameter(torch.full((count,), 0.03))
        at_ms = (torch.arange(-REACH, REACH + MEL_FRAMES) + 0.5) * FRAME_MS - MEL_FRAMES * FRAME_MS / 2
        self.at_ms = at_ms[:, None]

    @property
    def correction(self) -> torch.Tensor:
        return MOST_CORRECTION * torch.tanh(self._correction / MOST_CORRECTION) * self._free

    @property
    def log_ahead(self) -> torch.Tensor:
        return torch.maximum(self._log_ahead, torch.tensor(LEAST_AHEAD_MS).log())

    @property
    def log_dominance(self) -> torch.Tensor:
        bounded = MOST_LOG_DOMINANCE * torch.tanh(self._log_dominance / MOST_LOG_DOMINANCE)
        return torch.where(self._firm != 0, self._firm, bounded)

    def forward(self, phoneme: torch.Tensor, target: torch.Tensor, louder: torch.Tensor) -> torch.Tensor:
        """(B, F, P), (B, F, C), (B, F) → (B, F / 4, measured)."""
        sigma = torch.where(self.at_ms > 0, self.log_ahead.exp(), self.log_carry.exp())
        kernel = torch.exp(-0.5 * (self.at_ms / sigma) ** 2).T[:, None]
        dominance = phoneme @ self.log_dominance.exp()
        goal = (target[:, :, self.columns] + phoneme @ self.correction).clamp(0, 1.2)

        def blend(values: torch.Tensor) -> torch.Tensor:
            padded = torch.nn.functional.pad(values.transpose(1, 2), (REACH, REACH), mode="replicate")
            return torch.nn.functional.conv1d(padded, kernel, stride=MEL_FRAMES, groups=len(self.columns)).transpose(
                1, 2
            )

        smooth = blend(dominance * goal) / blend(dominance)
        wide = torch.exp(-0.5 * (self.at_ms[:, 0] / GAIN_SIGMA_MS) ** 2)
        louder = torch.nn.functional.pad(louder[:, None], (REACH, REACH))
        louder = torch.nn.functional.conv1d(louder, (wide / wide.sum())[None, None], stride=MEL_FRAMES)[:, 0]
        opening = torch.ones_like(smooth)
        opening[..., :2] = (1 + self.slope * louder).clamp(GAIN_LEAST, GAIN_MOST)[..., None]
        return self.rest + smooth * opening


def _rows(visemes: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.isin(PHONEME_VISEME, [VISEME_INDEX[v] for v in visemes])


def batch(clips: list[Clip]) -> list[torch.Tensor]:
    """Clips of the usual length as tensors."""
    longest = max(len(c.measured) for c in clips)
    full = [c for c in clips if len(c.measured) == longest]
    return [torch.tensor(np.stack([getattr(c, f) for c in full])) for f in ("phoneme", "target", "louder", "measured")]


def fit(clips: list[Clip], steps: int, seed: int = 0) -> Dominance:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    phoneme, target, louder, measured = batch(clips)
    known, model = ~measured.isnan(), Dominance()
    aim = measured.nan_to_num()
    spread = torch.tensor(np.nanstd(measured.numpy(), axis=(0, 1)))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rows = torch.randint(len(aim), (96,))
        said = model(phoneme[rows], target[rows], louder[rows])
        error = (((said - aim[rows]) / spread) ** 2)[known[rows]].mean()
        ridge = CORRECTION_RIDGE * (model.correction**2).mean() + DOMINANCE_RIDGE * (model.log_dominance**2).mean()
        optimiser.zero_grad()
        (error + ridge).backward()
        optimiser.step()
        decay.step()
        if step % 100 == 0:
            print(f"step {step}: error {error.item():.3f}", flush=True)
    return model


def correlations(model: Dominance, clips: list[Clip]) -> dict[str, float]:
    """Median over clips of the correlation with the film."""
    phoneme, target, louder, measured = batch(clips)
    with torch.no_grad():
        said, film = model(phoneme, target, louder).numpy(), measured.numpy()
    return {
        name: round(
            float(np.nanmedian([np.corrcoef(a[:, c], b[:, c])[0, 1] for a, b in zip(said, film, strict=True)])), 3
        )
        for c, name in enumerate(MEASURED)
    }


def to_json(model: Dominance) -> dict:
    """All of `SMOOTH`: unmeasured channels move like the measured one that they are part of."""
    like = {"jaw_open": 0, "lip_open": 1, "lip_round": 2, "lip_spread": 2, "flare": 2}
    source = [like[name] for name in SMOOTH]
    measured = [SMOOTH[c] in MEASURED for c in range(len(SMOOTH))]
    dominance = model.log_dominance.exp().detach().numpy()[:, source]
    correction = model.correction.detach().numpy()[:, source] * measured

    def row(values: NDArray[np.floating]) -> list[float]:
        return [round(float(v), 4) for v in values]

    return {
        "channels": SMOOTH,
        "ahead_ms": row(model.log_ahead.exp().detach().numpy()[source]),
        "carry_ms": row(model.log_carry.exp().detach().numpy()[source]),
        "loudness_slope": round(model.slope.item(), 4),
        "phonemes": {
            p: {"dominance": row(dominance[i]), "correction": row(correction[i])} for i, p in enumerate(PHONEMES)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds grid_s1/")
    parser.add_argument("--lips", type=Path, required=True, help="what models.training.film_lips wrote")
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    clips, held = read(options.data, options.lips)
    model = fit(clips, options.steps)
    print("correlation with the film, held-out clips:", correlations(model, held))
    (weights.WEIGHTS_DIR / PARAMETER_FILE).write_text(json.dumps(to_json(model), ensure_ascii=False, indent=1) + "\n")
    weights.add(PARAMETER_FILE, LICENCE, "python -m models.training.motion --data DIR --lips LIPS")


if __name__ == "__main__":
    main()
