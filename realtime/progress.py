"""How far a film is, for whoever waits at a terminal."""

from __future__ import annotations

import sys
import time

from models.rates import FPS


class Progress:
    """A progress bar on standard error, where that is a terminal."""

    WIDTH = 40

    def __init__(self, seconds: float | None) -> None:
        self._total = int(seconds * FPS) if seconds else None
        self._started = time.perf_counter()
        self._shown = sys.stderr.isatty()

    def __call__(self, frames: int) -> None:
        if not self._shown or frames % 5:
            return
        speed = frames / FPS / max(time.perf_counter() - self._started, 1e-6)
        bar = ""
        if self._total:
            full = min(frames * self.WIDTH // self._total, self.WIDTH)
            bar = "[" + "#" * full + "." * (self.WIDTH - full) + "] "
        print(f"\r{bar}{frames / FPS:6.1f} s  {speed:4.1f}x real time", end="", file=sys.stderr)

    def done(self) -> None:
        if self._shown:
            print(file=sys.stderr)
