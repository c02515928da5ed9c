"""How benches say what they measured: percentiles, a plain table, and a JSON file under bench/results/.
Writes one file per bench; reads the load of the machine, so that a figure says what else ran.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).with_name("results")


def percentiles(values: Iterable[float]) -> dict[str, float | int | None]:
    """p50, p95, p99 and the count; None where there is nothing."""
    data = np.asarray(list(values), dtype=float)
    if not data.size:
        return {"p50": None, "p95": None, "p99": None, "n": 0}
    p50, p95, p99 = (round(float(v), 1) for v in np.percentile(data, (50, 95, 99)))
    return {"p50": p50, "p95": p95, "p99": p99, "n": int(data.size)}


def save(name: str, figures: dict[str, Any]) -> Path:
    """Write bench/results/NAME.json and say where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    load = [round(v, 2) for v in os.getloadavg()]
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load_average": load}
    path.write_text(json.dumps({"bench": name, "machine": machine, **figures}, indent=1, default=asdict) + "\n")
    print(f"\nwritten: bench/results/{path.name}  (load average {load[0]} on {os.cpu_count()} CPUs)")
    return path


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> None:
    """Print rows under a header, columns aligned."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
