"""How a face is directed over time: the style that holds for each frame, from settings made now and cues in the speech.

Pure. A cue belongs to one place in the sound and takes effect at the frame of the chunk that holds it, so that a
feeling comes with its word however long speech waits. What cues set lasts until what is being said ends; then the
session's own style holds again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.style import Style


@dataclass(frozen=True, slots=True)
class Cue:
    """A change of style at one place in the sound.

    settings: checked settings of `Style`. lasting: they become the session's own, like settings that are made by hand.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False


END = Cue()
"""What is being said ends here: what its cues set is over."""


class Direction:
    """The styles of one timeline. `style` is asked with frames that rise; everything else may come in between."""

    def __init__(self, own: Style) -> None:
        self.own = own
        self._spoken: dict[str, Any] = {}
        self._pending: deque[tuple[int, Cue]] = deque()
        self._in_force = own

    def set(self, own: Style) -> None:
        """The session's own style from the next frame on; what a cue has set stays until its end."""
        self.own = own
        self._in_force = Style.from_mapping(self._spoken, own)

    def cue(self, index: int, cue: Cue) -> None:
        """A cue in the sound of chunk `index`; they come in order."""
        self._pending.append((index, cue))

    def style(self, frame: int) -> Style:
        """The style of a frame."""
        while self._pending and self._pending[0][0] <= frame:
            self._follow(self._pending.popleft()[1])
        return self._in_force

    def drop(self) -> None:
        """The speech was dropped: its cues, done and to come, are void."""
        self._pending.clear()
        self._follow(END)

    def _follow(self, cue: Cue) -> None:
        if cue is END:
            self._spoken = {}
        elif cue.lasting:
            self.own = Style.from_mapping(cue.settings, self.own)
        else:
            self._spoken |= cue.settings
        self._in_force = Style.from_mapping(self._spoken, self.own)
