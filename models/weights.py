"""Where trained weights lie, and the manifest that says what each file is.

`models/weights/manifest.json` maps a file name to its sha256, size, licence and the command that
trained it. `path()` is the only way to a weight file; a damaged or missing one is said in words.

    python -m models.weights add FILE --licence TEXT --trained-by COMMAND    (after a training run)
    python -m models.weights check
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

WEIGHTS_DIR = Path(__file__).resolve().parent / "weights"
MANIFEST = WEIGHTS_DIR / "manifest.json"


class WeightsError(RuntimeError):
    """A weight file is missing or is not the one in the manifest."""


def manifest() -> dict[str, dict[str, str | int]]:
    return json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}


def path(name: str) -> Path:
    """Full path of the weight file `name`. Raises WeightsError if it is absent or its size is wrong."""
    entry, file = manifest().get(name), WEIGHTS_DIR / name
    if entry is None or not file.exists():
        raise WeightsError(f"weight file {name} is missing; restore it with 'git checkout models/weights'")
    if file.stat().st_size != entry["bytes"]:
        raise WeightsError(f"weight file {name} is damaged (wrong size); restore it with 'git checkout models/weights'")
    return file


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def add(name: str, licence: str, trained_by: str) -> None:
    """Records `models/weights/name` in the manifest."""
    file, entries = WEIGHTS_DIR / name, manifest()
    entries[name] = {
        "sha256": digest(file),
        "bytes": file.stat().st_size,
        "licence": licence,
        "trained_by": trained_by,
    }
    MANIFEST.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")


def damaged() -> list[str]:
    """Names whose file is missing or has another checksum than the manifest."""
    return [
        name
        for name, entry in manifest().items()
        if not (WEIGHTS_DIR / name).exists() or digest(WEIGHTS_DIR / name) != entry["sha256"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="the manifest of trained weights")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add")
    adding.add_argument("name")
    adding.add_argument("--licence", required=True)
    adding.add_argument("--trained-by", required=True)
    commands.add_parser("check")
    options = parser.parse_args()
    if options.command == "add":
        add(options.name, options.licence, options.trained_by)
        return 0
    bad = damaged()
    print("\n".join(f"damaged: {name}" for name in bad) or "all weights are as the manifest says")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
