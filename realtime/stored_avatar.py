"""An avatar's entry: what is known of it besides its photo, as it lies on disk and as clients are told.

Reads one small file. An entry that is damaged is left out; a style that is not usable costs itself only.

    avatar.json: {"title", "origin", "licence", "size_px", "quality": [{"code", "severity", "message"}], "style": {…},
                  "points": {…}}
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.by_hand import Anchors, read_anchors
from models.style import Style, StyleError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Note:
    """One remark about a photo. severity: `good`, `hint` or `warning`."""

    code: str
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class StoredAvatar:
    """An avatar's entry. photo: its file; size_px: side of its pictures; style: what its sessions start with; points:
    where somebody said that its face is (`models.by_hand`), None where the program found it."""

    name: str
    title: str
    origin: str
    licence: str
    builtin: bool
    size_px: int
    quality: tuple[Note, ...]
    photo: Path
    style: Style = field(default_factory=Style)
    points: Anchors | None = None

    def body(self) -> dict[str, Any]:
        """The JSON of the protocol."""
        return {
            "name": self.name,
            "title": self.title,
            "width": self.size_px,
            "height": self.size_px,
            "origin": self.origin,
            "licence": self.licence,
            "builtin": self.builtin,
            "thumbnail": f"/avatars/{self.name}/thumbnail.jpg",
            "quality": [
                {"code": note.code, "severity": note.severity, "message": note.message} for note in self.quality
            ],
            "style": asdict(self.style),
        }


def read_entry(folder: Path, builtin: bool, size_px: int) -> StoredAvatar | None:
    """The avatar in `folder`; None where there is none that can be used. size_px: if the entry says none."""
    photo = next(iter(sorted(folder.glob("photo.*"))), None)
    try:
        entry = json.loads((folder / "avatar.json").read_text())
        if photo is None:
            return None
        return StoredAvatar(
            name=folder.name,
            title=str(entry.get("title") or folder.name),
            origin=str(entry.get("origin", "")),
            licence=str(entry.get("licence", "")),
            builtin=builtin,
            size_px=int(entry.get("size_px", size_px)),
            quality=tuple(Note(n["code"], n["severity"], n["message"]) for n in entry.get("quality", [])),
            photo=photo,
            style=_style(folder.name, entry.get("style", {})),
            points=read_anchors(entry["points"]) if "points" in entry else None,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        log.warning("the avatar in %s is damaged and left out", folder)
        return None


def _style(name: str, settings: Any) -> Style:
    """A stored style; natural where it is none, for an avatar is worth more than its manner."""
    try:
        return Style.from_mapping(settings)
    except StyleError as error:
        log.warning("the style of the avatar '%s' is left out: %s", name, error)
        return Style()
