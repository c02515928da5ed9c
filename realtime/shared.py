"""What every session of a server uses, and uses together with the others.

Values only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from models.style import Style
from realtime.config import SessionConfig
from realtime.engine import Engine
from realtime.identity_cache import WarmAvatar
from realtime.metrics import Metrics
from realtime.tts import SpeechSynthesizer


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a server use together. load_avatar raises NotFound, BadPhoto; style_of is the style that an
    avatar's sessions start with."""

    engine: Engine
    synthesizer: SpeechSynthesizer
    metrics: Metrics
    load_avatar: Callable[[str], Awaitable[WarmAvatar]]
    style_of: Callable[[str], Style]
    config: SessionConfig
