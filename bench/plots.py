"""One plot a bench, under bench/results/: lines, or a stair of shares (the distribution of delays).
Writes PNG files; needs matplotlib (the `bench` extra) and no screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.results import RESULTS


def lines(
    name: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    labels: tuple[str, str],
    limits: Mapping[str, float] | None = None,
) -> None:
    """Each of `series`: (x, y). labels: of the axes. limits: horizontal lines with their names."""
    figure, axes = _axes(labels)
    for words, (x, y) in series.items():
        axes.plot(x, y, marker="o", markersize=3, label=words)
    for words, level in (limits or {}).items():
        axes.axhline(level, color="grey", linestyle="--", linewidth=1, label=words)
    _save(name, figure, axes)


def shares(name: str, series: Mapping[str, Sequence[float]], label: str, limits: Mapping[str, float]) -> None:
    """Of each series, the share of values up to x. limits: vertical lines with their names."""
    figure, axes = _axes((label, "share"))
    for words, values in series.items():
        if len(values):
            axes.step(np.sort(values), np.arange(1, len(values) + 1) / len(values), where="post", label=words)
    for words, x in limits.items():
        axes.axvline(x, color="grey", linestyle="--", linewidth=1, label=words)
    _save(name, figure, axes)


def _axes(labels: tuple[str, str]) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.grid(alpha=0.3)
    return figure, axes


def _save(name: str, figure: Any, axes: Any) -> None:
    RESULTS.mkdir(exist_ok=True)
    axes.legend(fontsize=8)
    figure.savefig(RESULTS / f"{name}.png", dpi=110)
    print(f"drawn: bench/results/{name}.png")
