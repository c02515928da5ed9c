"""Whether a session speaks, listens or idles, as its clients are told.

Pure: `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.voice_activity import SpeechStarted, VoiceDetector, VoiceState

LISTENING_S = 1.0
"""A microphone counts as open for so long after its last sound."""


class Activity:
    """state: `idle`, `listening` (a microphone is open) or `speaking`. microphone_at: when its sound last came in."""

    def __init__(self, detector: VoiceDetector) -> None:
        self.state = "idle"
        self.microphone_at = float("-inf")
        self._detector = detector
        self._voice = VoiceState()

    def step(self, index: int, speech: NDArray[np.float32], is_pushed: bool, now: float) -> Iterator[dict[str, Any]]:
        """What is to be told about chunk `index`. speech: (640,) at 16 kHz; is_pushed: it is text or PCM."""
        events, self._voice = self._detector.step(speech, self._voice)
        for event in events:
            kind = "speech_started" if isinstance(event, SpeechStarted) else "speech_stopped"
            yield {"type": kind, "index": index}
        state = "listening" if now - self.microphone_at < LISTENING_S else "idle"
        if self._voice.speaking or is_pushed:
            state = "speaking"
        if state != self.state:
            self.state = state
            yield {"type": "state", "state": state}
