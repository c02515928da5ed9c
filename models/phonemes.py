"""The streaming phoneme encoder: what is being said, from sound, causally, at several look-aheads at once.

Touches no clock and no file but its weights. Log-mel features go through a causal network (`models.training.phonemes`
trains it) whose memory is explicit; loudness, voicing and pitch are computed, not learned. Batch rows are sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models import mel, pitch
from models.bound_network import BoundNetwork
from models.rates import LOOK_AHEADS_MS, MEL_FRAMES, MEL_HOP, SPEECH_CHUNK, SPEECH_RATE, look_ahead_chunks
from models.runtime import Network, resolve_device
from models.visemes import PHONEMES, VISEMES

WEIGHTS = "phonemes.onnx"
_ANSWERS = ("viseme", "phoneme", "articulation", "new_memory")


@dataclass(frozen=True, slots=True)
class SpeechFrames:
    """What one step of the encoder says; chunk `i` is the one that came in.

    Axis 1 of the first three is the delay `d`, in the order of `rates.LOOK_AHEADS_MS`: those rows speak of chunk
    `i - d`. Axis 2 is the four 10 ms frames of that chunk.

    viseme: (B, 4, 4, 15) probabilities, in the order of `visemes.VISEMES`.
    phoneme: (B, 4, 4, P) probabilities, in the order of `visemes.PHONEMES`.
    articulation: (B, 4, 4, A) in 0..1, in the order of `visemes.ARTICULATION`.
    level_db: (B, 4) loudness of the frames of chunk `i`, dB full scale, at least -100.
    voicing: (B, 4) in 0..1, chunk `i`.
    pitch_hz: (B, 4), chunk `i`; 0 where unvoiced.
    """

    viseme: NDArray[np.float32]
    phoneme: NDArray[np.float32]
    articulation: NDArray[np.float32]
    level_db: NDArray[np.float32]
    voicing: NDArray[np.float32]
    pitch_hz: NDArray[np.float32]

    def split(self) -> list[SpeechFrames]:
        """The same of every row by itself, with batch 1."""
        arrays = [getattr(self, field.name) for field in fields(self)]
        return [SpeechFrames(*(array[row : row + 1] for array in arrays)) for row in range(len(self.viseme))]


@dataclass(frozen=True, slots=True)
class EncoderState:
    """What must be remembered of each session; every array has the batch as its first axis.

    mel_tail: (B, 241), mel_level: (B,) as in `mel.MelState`; sound: (B, 480) the last samples; memory: (B, S).
    """

    mel_tail: NDArray[np.float32]
    mel_level: NDArray[np.float32]
    sound: NDArray[np.float32]
    memory: NDArray[np.float32]

    @staticmethod
    def stack(states: Sequence[EncoderState]) -> EncoderState:
        """One state of all the rows of `states`, in order."""
        names = [field.name for field in fields(EncoderState)]
        return EncoderState(*(np.concatenate([getattr(state, name) for state in states]) for name in names))

    def split(self) -> list[EncoderState]:
        """A state of batch 1 for every row."""
        arrays = [getattr(self, field.name) for field in fields(self)]
        return [EncoderState(*(array[row : row + 1] for array in arrays)) for row in range(len(self.memory))]


class PhonemeEncoder:
    """Stateless: everything a session must remember is in its `EncoderState`."""

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        """Raises runtime.DeviceError or weights.WeightsError."""
        on_gpu = resolve_device(device) == "cuda"
        self._network = (
            BoundNetwork(WEIGHTS, _ANSWERS, device, threads) if on_gpu else Network(WEIGHTS, device, threads)
        )
        self._memory_size = self._network.widths["memory"]

    def initial_state(self, batch: int = 1) -> EncoderState:
        heard = mel.initial_state(batch)
        sound, memory = (np.zeros((batch, size), np.float32) for size in (pitch.HISTORY, self._memory_size))
        return EncoderState(heard.tail, heard.level, sound, memory)

    def step(self, chunk: NDArray[np.float32], state: EncoderState) -> tuple[SpeechFrames, EncoderState]:
        """What chunk `i` tells. chunk: (B, 640) at 16 kHz in -1..1; samples that are not finite count as silence.

        Raises ValueError for another shape.
        """
        if chunk.ndim != 2 or chunk.shape != (len(state.memory), SPEECH_CHUNK):
            raise ValueError(f"a chunk must be ({len(state.memory)}, {SPEECH_CHUNK}) samples, not {chunk.shape}")
        chunk = np.where(np.isfinite(chunk), np.clip(chunk, -1, 1), 0).astype(np.float32)
        features, heard = mel.step(chunk, mel.MelState(state.mel_tail, state.mel_level))
        said = self._network.run({"features": features, "memory": state.memory}, _ANSWERS)
        viseme, phoneme, articulation, memory = said
        level_db = _level_db(chunk)
        sound = np.concatenate((state.sound, chunk), axis=1)
        voicing, pitch_hz = pitch.voicing_and_pitch(sound, level_db)
        frames = SpeechFrames(viseme, phoneme, articulation, level_db, voicing, pitch_hz)
        return frames, EncoderState(heard.tail, heard.level, sound[:, -pitch.HISTORY :], memory)


def speech_track(samples: NDArray[np.float32], look_ahead_ms: int, encoder: PhonemeEncoder) -> dict[str, NDArray]:
    """What is said in a whole sound, heard chunk by chunk as live. samples: (N,) at 16 kHz.

    Answers time_s (T,) centres of 10 ms frames counted from the first sample (the delay is taken out), viseme (T, 15),
    phoneme (T, P), and their names; T covers all of the sound. Raises ValueError for an unknown look-ahead
    or for no sound.
    """
    if samples.ndim != 1 or not len(samples):
        raise ValueError("there is no sound in it; give at least one sample of mono sound")
    delay, row = look_ahead_chunks(look_ahead_ms), LOOK_AHEADS_MS.index(look_ahead_ms)
    chunks = -(-len(samples) // SPEECH_CHUNK)
    padded = np.zeros((chunks + delay) * SPEECH_CHUNK, np.float32)
    padded[: len(samples)] = samples
    state = encoder.initial_state()
    said = []
    for chunk in padded.reshape(-1, 1, SPEECH_CHUNK):
        frames, state = encoder.step(chunk, state)
        said.append((frames.viseme[0, row], frames.phoneme[0, row]))
    count = -(-len(samples) // MEL_HOP)
    viseme, phoneme = (np.concatenate(part)[delay * MEL_FRAMES :][:count] for part in zip(*said, strict=True))
    return {
        "time_s": (np.arange(count) + 0.5) * MEL_HOP / SPEECH_RATE,
        "viseme": viseme,
        "phoneme": phoneme,
        "viseme_names": np.array(VISEMES),
        "phoneme_names": np.array(PHONEMES),
    }


def _level_db(chunk: NDArray[np.float32]) -> NDArray[np.float32]:
    power = np.mean(np.square(chunk.reshape(len(chunk), MEL_FRAMES, MEL_HOP)), axis=2)
    return (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)
