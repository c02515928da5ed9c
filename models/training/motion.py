"""Fits the motion model's dominances, kernels and target corrections to a filmed speaker (GRID speaker 1).

Reads `DATA/grid_s1` (phones, sound, measured blendshapes), writes `models/weights/motion.json`, prints figures on
held-out clips. Phonemes come from the labels, so the encoder's errors are not learned. Targets stay near the phonetic
table (ridge): one speaker and 51 words must not teach what German vowels look like; phonemes that GRID lacks keep it.

    python -m models.training.motion --data DIR
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from models import weights
from models.motion import FRAME_MS, PARAMETER_FILE, SMOOTH
from models.rates import MEL_FRAMES, MEL_HOP, SPEECH_RATE
from models.training.ideal_speech import labels
from models.visemes import ARTICULATION, PHONEME_VISEME, PHONEMES, VISEME_INDEX, from_arpabet

MEASURED = {"jaw_open": "jawOpen", "lip_round": "mouthPucker"}
"""Channels that the film can teach: the landmarker sees too little of the others on this speaker."""

HELD_OUT_EVERY = 5
REACH = 30  # 10 ms frames to each side of a film frame that may pull on it
LICENCE = "fitted to GRID speaker 1 (CC BY 4.0, Cooke, Barker, Cunningham and Shao 2006); MIT with attribution"


@dataclass(frozen=True, slots=True)
class Clip:
    """phoneme (F, P), target (F, C), louder (F,) in 10 dB over the clip's speech, F = 4 frames a film frame;
    measured (frames, len(MEASURED))."""

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


def read_clip(folder: Path, name: str, phones: list, shapes: NDArray[np.float32]) -> Clip:
    frames = len(shapes) * MEL_FRAMES
    phoneme, said = labels([(from_arpabet(p), start, end) for p, start, end in phones], frames)
    flare = phoneme[:, VISEME_INDEX["CH"] == PHONEME_VISEME].sum(1)
    target = np.column_stack([said[:, [ARTICULATION.index(n) for n in SMOOTH[:4]]], flare])
    level = level_db(sound(folder / f"{name}.opus"), frames)
    spoken = phoneme[:, 0] < 0.5
    louder = np.clip((level - level[spoken].mean()) / 10, -1.5, 1.5) * spoken
    return Clip(phoneme, target, louder.astype(np.float32), shapes)


def read(data: Path) -> tuple[list[Clip], list[Clip]]:
    """Clips to fit and clips held out."""
    folder = data / "grid_s1"
    phones = json.loads((folder / "phones.json").read_text())
    with np.load(folder / "blendshapes.npz") as film:
        columns = [list(film["names"]).index(name) for name in MEASURED.values()]
        clips = [read_clip(folder, n, phones[n], film[n][:, columns].astype(np.float32)) for n in sorted(phones)]
    held = [clip for i, clip in enumerate(clips) if i % HELD_OUT_EVERY == 0]
    return [clip for i, clip in enumerate(clips) if i % HELD_OUT_EVERY], held


class Dominance(torch.nn.Module):
    """The smooth part of `models.motion`, differentiable, for the measured channels."""

    def __init__(self) -> None:
        super().__init__()
        count = len(MEASURED)
        self.columns = [SMOOTH.index(name) for name in MEASURED]
        self.log_dominance = torch.nn.Parameter(torch.zeros(len(PHONEMES), count))
        self.correction = torch.nn.Parameter(torch.zeros(len(PHONEMES), count))
        self.log_ahead = torch.nn.Parameter(torch.full((count,), 60.0).log())
        self.log_carry = torch.nn.Parameter(torch.full((count,), 60.0).log())
        self.shift_ms = torch.nn.Parameter(torch.zeros(count))
        self.slope = torch.nn.Parameter(torch.tensor(0.2))
        self.scale = torch.nn.Parameter(torch.full((count,), 0.3))
        self.rest = torch.nn.Parameter(torch.full((count,), 0.03))
        at_ms = (torch.arange(-REACH, REACH + MEL_FRAMES) + 0.5) * FRAME_MS - MEL_FRAMES * FRAME_MS / 2
        self.at_ms = at_ms[:, None]

    def forward(self, phoneme: torch.Tensor, target: torch.Tensor, louder: torch.Tensor) -> torch.Tensor:
        """(B, F, P), (B, F, C), (B, F) → (B, F / 4, measured)."""
        from_peak = self.at_ms + self.shift_ms
        sigma = torch.where(from_peak > 0, self.log_ahead.exp(), self.log_carry.exp())
        kernel = torch.exp(-0.5 * (from_peak / sigma) ** 2).T[:, None]
        dominance = phoneme @ self.log_dominance.exp()
        goal = (target[:, :, self.columns] + phoneme @ self.correction).clamp(0, 1.2)

        def blend(values: torch.Tensor) -> torch.Tensor:
            padded = torch.nn.functional.pad(values.transpose(1, 2), (REACH, REACH), mode="replicate")
            return torch.nn.functional.conv1d(padded, kernel, stride=MEL_FRAMES, groups=len(self.columns)).transpose(
                1, 2
            )

        smooth = blend(dominance * goal) / blend(dominance)
        wide = torch.exp(-0.5 * (self.at_ms[:, 0] / 60) ** 2)
        louder = torch.nn.functional.pad(louder[:, None], (REACH, REACH))
        louder = torch.nn.functional.conv1d(louder, (wide / wide.sum())[None, None], stride=MEL_FRAMES)[:, 0]
        opening = torch.ones_like(smooth)
        opening[..., 0] = (1 + self.slope * louder).clamp(0.65, 1.4)
        return self.rest + self.scale * smooth * opening


def batch(clips: list[Clip]) -> list[torch.Tensor]:
    """Clips of the usual length as tensors."""
    longest = max(len(c.measured) for c in clips)
    full = [c for c in clips if len(c.measured) == longest]
    return [torch.tensor(np.stack([getattr(c, f) for c in full])) for f in ("phoneme", "target", "louder", "measured")]


def goals(measured: torch.Tensor) -> torch.Tensor:
    """The landmarker's pucker is near 0 until the lips are far forward: its root is about linear in what one sees."""
    out = measured.clone()
    out[..., 1] = measured[..., 1].clamp(min=0).sqrt()
    return out


def fit(clips: list[Clip], steps: int, seed: int = 0) -> Dominance:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    phoneme, target, louder, measured = batch(clips)
    aim, model = goals(measured), Dominance()
    spread = aim.std((0, 1))
    kernels = [model.log_ahead, model.log_carry]
    rest = [p for n, p in model.named_parameters() if n not in ("log_ahead", "log_carry", "shift_ms")]
    groups = [{"params": rest, "lr": 0.02}, {"params": kernels, "lr": 0.02}, {"params": [model.shift_ms], "lr": 0.5}]
    optimiser = torch.optim.Adam(groups)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rows = torch.randint(len(aim), (96,))
        said = model(phoneme[rows], target[rows], louder[rows])
        error = (((said - aim[rows]) / spread) ** 2).mean()
        ridge = 0.02 * (model.correction**2).mean() + 0.002 * (model.log_dominance**2).mean()
        optimiser.zero_grad()
        (error + ridge).backward()
        optimiser.step()
        decay.step()
        if step % 100 == 0:
            print(f"step {step}: error {error.item():.3f}", flush=True)
    return model


def correlations(model: Dominance, clips: list[Clip]) -> dict[str, float]:
    """Median over clips of the correlation with the film, beside loudness alone (at its best lag)."""
    phoneme, target, louder, measured = batch(clips)
    with torch.no_grad():
        said, aim = model(phoneme, target, louder).numpy(), goals(measured).numpy()
    out = {
        name: float(np.median([np.corrcoef(a[:, c], b[:, c])[0, 1] for a, b in zip(said, aim, strict=True)]))
        for c, name in enumerate(MEASURED)
    }
    return out


def to_json(model: Dominance) -> dict:
    """All of `SMOOTH`: unmeasured channels move like the measured one that they are part of."""
    like = {"jaw_open": 0, "lip_open": 0, "lip_round": 1, "lip_spread": 1, "flare": 1}
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
        "shift_ms": row(model.shift_ms.detach().numpy()[source]),
        "loudness_slope": round(model.slope.item(), 4),
        "phonemes": {
            p: {"dominance": row(dominance[i]), "correction": row(correction[i])} for i, p in enumerate(PHONEMES)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds grid_s1/")
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    clips, held = read(options.data)
    model = fit(clips, options.steps)
    print("held out:", json.dumps({k: round(v, 3) for k, v in correlations(model, held).items()}))
    print("scale", model.scale.tolist(), "rest", model.rest.tolist())
    (weights.WEIGHTS_DIR / PARAMETER_FILE).write_text(json.dumps(to_json(model), ensure_ascii=False, indent=1) + "\n")
    weights.add(PARAMETER_FILE, LICENCE, "python -m models.training.motion --data DIR")


if __name__ == "__main__":
    main()
