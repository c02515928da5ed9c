"""Whether a session speaks, listens or idles, as its clients are told.

Pure: `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from realtime.voice_activity import SpeechStarted, VoiceEvent

LISTENING_S = 1.0
"""A microphone counts as open for so long after its last sound."""


class Activity:
    """state: `idle`, `listening` (a microphone is open) or `speaking`. microphone_at: when its sound last came in.
    is_pushed: whether what is played now is text or PCM. is_speaking: whether what was heard last is speech."""

    def __init__(self) -> None:
        self.state = "idle"
        self.microphone_at = float("-inf")
        self.is_pushed = self.is_speaking = False

    def heard(
        self, index: int, events: Iterable[VoiceEvent], is_speaking: bool, now: float
    ) -> Iterator[dict[str, Any]]:
        """What is to be told about chunk `index`, as voice detection heard it."""
        self.is_speaking = is_speaking
        for event in events:
            kind = "speech_started" if isinstance(event, SpeechStarted) else "speech_stopped"
            yield {"type": kind, "index": index}
        state = "listening" if now - self.microphone_at < LISTENING_S else "idle"
        if is_speaking or self.is_pushed:
            state = "speaking"
        if state != self.state:
            self.state = state
            yield {"type": "state", "state": state}
