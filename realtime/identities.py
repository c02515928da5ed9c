"""Avatars on disk: those that ship, and those that users enrolled.

Touches two folders, the package's own (read only) and the data folder. A user's avatar appears whole or not at all
(made in a hidden folder, then renamed). Enrolled identities are kept under the photo's hash, so a photo is enrolled
once; that cache may be deleted, and does without the disk if it must.

    DATA/avatars/NAME/photo.*, avatar.json, thumbnail.jpg        DATA/identities/HASH.npz
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models import weights
from models.by_hand import AnchorError, Anchors, ByHand
from models.enroll import Enrolment, EnrolmentError, FaceTooSmallError, NoFaceError, enroll
from models.identity import FORMAT_VERSION, Identity, IdentityFileError
from models.style import Style
from realtime.config import Config
from realtime.errors import BadPhoto, BadRequest, Conflict, NotFound, StorageFailed
from realtime.photos import decode_photo
from realtime.stored_avatar import Note, StoredAvatar, read_entry

if TYPE_CHECKING:
    from models.landmarks import LandmarkModel

log = logging.getLogger(__name__)

BUILT_IN = Path(weights.__file__).parent / "avatars"
THUMBNAIL_PX = 512
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
CODES: dict[type[Exception], str] = {
    NoFaceError: "no_face",
    FaceTooSmallError: "face_too_small",
    AnchorError: "bad_points",
}

Enroll = Callable[[NDArray[np.uint8], int, Anchors | None], Enrolment]
"""(photo, size, where somebody said that the face is) to an enrolment."""


class AvatarStore:
    """All methods block and may be called from any thread."""

    def __init__(self, config: Config, enroll_photo: Enroll | None = None, built_in: Path = BUILT_IN) -> None:
        self._config = config.avatars
        self._device = config.engine.device
        self._built_in = built_in
        self._users = config.avatars.data_dir / "avatars"
        self._cache = config.avatars.data_dir / "identities"
        self._enroll_photo = enroll_photo or self._enroll_with_landmarks

    def list(self) -> list[StoredAvatar]:
        """Every avatar: the default one first, then those that ship."""
        folders = [*_folders(self._built_in), *_folders(self._users)]
        avatars = [avatar for avatar in map(self._entry, folders) if avatar]
        return sorted(avatars, key=lambda avatar: avatar.name != self._config.default)

    def find(self, name: str) -> StoredAvatar:
        """Raises NotFound."""
        if NAME.fullmatch(name):
            for parent in (self._built_in, self._users):
                avatar = self._entry(parent / name) if (parent / name).is_dir() else None
                if avatar:
                    return avatar
        raise NotFound(f"there is no avatar '{name[:48]}'; GET /avatars lists them", "unknown_avatar")

    def default(self) -> str:
        """The configured avatar, else the first. Raises NotFound if there is none at all."""
        if self._config.default:
            return self._config.default
        avatars = self.list()
        if not avatars:
            raise NotFound("there is no avatar yet; enroll a photo first", "unknown_avatar")
        return avatars[0].name

    def style(self, name: str) -> Style:
        """What a session of this avatar starts with; natural, should the avatar be gone."""
        try:
            return self.find(name).style
        except NotFound:
            return Style()

    def set_style(self, name: str, style: Style) -> StoredAvatar:
        """Sessions of this avatar start with `style` from now on. Raises NotFound, Conflict, StorageFailed."""
        avatar = self.find(name)
        if avatar.builtin:
            raise Conflict(
                f"'{name}' ships with the program and stays as it is; enroll a photo of your own", "built_in"
            )
        file = avatar.photo.parent / "avatar.json"
        part = file.with_name(f".avatar-{secrets.token_hex(4)}.json")
        try:
            entry = json.loads(file.read_text()) | {"style": asdict(style)}
            part.write_text(json.dumps(entry, indent=2, ensure_ascii=False))
            os.replace(part, file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StorageFailed(f"the style could not be stored ({error.strerror}); free some disk space") from error
        return self.find(name)

    def add(
        self,
        photo: bytes,
        name: str | None = None,
        title: str | None = None,
        style: Style | None = None,
        points: Anchors | None = None,
    ) -> StoredAvatar:
        """Enrolls a photo and stores it; without a name it gets one. points: where its face is, if it must be told.

        Raises BadPhoto, BadRequest (name), Conflict, StorageFailed.
        """
        title = name or title
        name = name or f"photo-{secrets.token_hex(3)}"
        if not NAME.fullmatch(name):
            raise BadRequest(f"'{name[:48]}' cannot be an avatar's name; use up to 48 of a-z, 0-9, - and _", "bad_name")
        if (self._built_in / name).exists() or (self._users / name).exists():
            raise Conflict(f"there is an avatar '{name}' already; choose another name", "name_taken")
        if len(_folders(self._users)) >= self._config.max_stored:
            raise Conflict(f"{self._config.max_stored} avatars are stored already; delete one first", "store_full")
        enrolment = self._enrolled(photo, self._config.size_px, points)
        notes = tuple(Note(note.code, note.severity, note.message) for note in enrolment.quality)
        entry: dict[str, Any] = {
            "title": title or name,
            "origin": "enrolled from a photo",
            "licence": "",
            "size_px": self._config.size_px,
            "quality": [{"code": n.code, "severity": n.severity, "message": n.message} for n in notes],
        }
        if style is not None:
            entry["style"] = asdict(style)
        if points is not None:
            entry["points"] = points
        try:
            self._users.mkdir(parents=True, exist_ok=True)
            self._publish(name, photo, entry, _thumbnail(enrolment.identity.picture))
        except OSError as error:
            if (self._users / name).exists():
                raise Conflict(f"there is an avatar '{name}' already; choose another name", "name_taken") from error
            raise StorageFailed(f"the avatar could not be stored ({error.strerror}); free some disk space") from error
        self._remember(_key(photo, self._config.size_px, points), enrolment.identity)
        return self.find(name)

    def remove(self, name: str) -> None:
        """Raises NotFound, Conflict for one that ships, StorageFailed."""
        avatar = self.find(name)
        if avatar.builtin:
            raise Conflict(f"'{name}' ships with the program and stays", "built_in")
        try:
            self._identity_file(_key(avatar.photo.read_bytes(), avatar.size_px, avatar.points)).unlink(missing_ok=True)
            # Out of sight in one step, so that a crash leaves no half of an avatar.
            hidden = self._users / f".gone-{secrets.token_hex(4)}"
            (self._users / name).rename(hidden)
            shutil.rmtree(hidden)
        except OSError as error:
            raise StorageFailed(f"the avatar could not be deleted ({error.strerror})") from error

    def identity(self, name: str) -> Identity:
        """The identity to draw with: from the disk cache, else enrolled now (seconds). Raises NotFound, BadPhoto."""
        avatar = self.find(name)
        photo = avatar.photo.read_bytes()
        return self.enroll(photo, avatar.size_px, avatar.points)

    def key(self, name: str) -> str:
        """Changes with all that an avatar's identity is made from. Raises NotFound."""
        avatar = self.find(name)
        return _key(avatar.photo.read_bytes(), avatar.size_px, avatar.points)

    def enroll(self, photo: bytes, size_px: int, points: Anchors | None = None) -> Identity:
        """A photo's identity, stored under no name but cached. Raises BadPhoto."""
        key = _key(photo, size_px, points)
        try:
            return Identity.load(self._identity_file(key))
        except FileNotFoundError:
            pass
        except (IdentityFileError, OSError) as error:
            log.warning("enrolling again: %s", error)
        identity = self._enrolled(photo, size_px, points).identity
        self._remember(key, identity)
        return identity

    def thumbnail(self, name: str) -> bytes:
        """A JPEG of at most 512 pixels a side. Raises NotFound."""
        avatar = self.find(name)
        file = avatar.photo.parent / "thumbnail.jpg"
        return file.read_bytes() if file.exists() else _thumbnail(decode_photo(avatar.photo.read_bytes()))

    def _entry(self, folder: Path) -> StoredAvatar | None:
        return read_entry(folder, builtin=folder.parent == self._built_in, size_px=self._config.size_px)

    def _enrolled(self, photo: bytes, size_px: int, points: Anchors | None) -> Enrolment:
        picture = decode_photo(photo, self._config.max_pixels)
        try:
            return self._enroll_photo(picture, size_px, points)
        except EnrolmentError as error:
            raise BadPhoto(str(error), CODES.get(type(error))) from error

    def _publish(self, name: str, photo: bytes, entry: dict[str, Any], thumbnail: bytes) -> None:
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self._users))
        try:
            (new / "photo.bin").write_bytes(photo)
            (new / "avatar.json").write_text(json.dumps(entry, indent=2) + "\n")
            (new / "thumbnail.jpg").write_bytes(thumbnail)
            new.rename(self._users / name)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def _identity_file(self, key: str) -> Path:
        return self._cache / f"{key}.npz"

    def _remember(self, key: str, identity: Identity) -> None:
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            part = self._cache / f".{key}-{secrets.token_hex(4)}.npz"
            try:
                identity.save(part)
                os.replace(part, self._identity_file(key))
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the identity was not kept on disk (%s); it will be made again", error.strerror)

    def _enroll_with_landmarks(self, photo: NDArray[np.uint8], size_px: int, points: Anchors | None) -> Enrolment:
        return enroll(photo, ByHand(self._landmarks, points) if points else self._landmarks, size_px)

    @cached_property
    def _landmarks(self) -> LandmarkModel:
        from models.landmarks import LandmarkModel

        return LandmarkModel(self._device)


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(folder for folder in parent.iterdir() if folder.is_dir() and NAME.fullmatch(folder.name))


def _key(photo: bytes, size_px: int, points: Anchors | None) -> str:
    """Changes with all that an identity is made from: the photo, the size, the points, the format, the weights."""
    made_from = hashlib.sha256(photo)
    if points:
        made_from.update(json.dumps(points, sort_keys=True).encode())
    made_from.update(f"{size_px} {FORMAT_VERSION}".encode())
    for name, entry in sorted(weights.manifest().items()):
        if "face" in name or "landmark" in name:
            made_from.update(f"{name} {entry['sha256']}".encode())
    return made_from.hexdigest()[:32]


def _thumbnail(picture: NDArray[np.uint8]) -> bytes:
    height, width = picture.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / max(height, width))
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
