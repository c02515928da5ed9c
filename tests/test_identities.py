"""Avatars are stored whole or not at all, names lead nowhere else, bad photos are refused, warm ones are shared."""

from __future__ import annotations

import asyncio
import struct
import threading
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.by_hand import ANCHORS
from models.identity import Identity
from models.style import Style
from realtime import identities
from realtime.config import load
from realtime.errors import BadPhoto, BadRequest, Conflict, NotFound, StorageFailed
from realtime.identities import AvatarStore
from realtime.identity_cache import IdentityCache, WarmAvatar, bytes_of
from realtime.photos import decode_photo, photo_size_px
from tests.fakes import FakeGenerator, FakeIdentity, config, fake_enroll, photo

FORMATS = (".png", ".jpg", ".webp", ".bmp", ".tiff", ".avif", ".gif", ".ppm")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AvatarStore:
    def load(file: Path) -> FakeIdentity:
        with np.load(file) as arrays:
            return FakeIdentity(arrays["picture"])

    monkeypatch.setattr(Identity, "load", staticmethod(load))
    built_in = tmp_path / "built_in" / "iris"
    built_in.mkdir(parents=True)
    (built_in / "photo.png").write_bytes(photo())
    (built_in / "avatar.json").write_text('{"title": "Iris", "origin": "drawn", "licence": "CC0"}')
    return AvatarStore(config(tmp_path / "data"), fake_enroll, tmp_path / "built_in")


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# --- the store ---


def test_the_default_avatar_comes_first(tmp_path: Path) -> None:
    for name in ("ann", "ben", "cleo"):
        (tmp_path / "built_in" / name).mkdir(parents=True)
        (tmp_path / "built_in" / name / "photo.png").write_bytes(photo())
        (tmp_path / "built_in" / name / "avatar.json").write_text("{}")
    chosen = load(None, {"avatars.data_dir": tmp_path / "data", "avatars.default": "cleo"})
    store = AvatarStore(chosen, fake_enroll, tmp_path / "built_in")
    assert [avatar.name for avatar in store.list()] == ["cleo", "ann", "ben"]
    assert store.default() == "cleo"


def test_an_enrolled_photo_is_an_avatar_from_then_on(store: AvatarStore, tmp_path: Path) -> None:
    added = store.add(photo(), "me")
    assert added.body() | {"quality": None} == {
        "name": "me", "title": "me", "width": 128, "height": 128, "origin": "enrolled from a photo", "licence": "",
        "builtin": False, "thumbnail": "/avatars/me/thumbnail.jpg", "quality": None,
        "style": asdict(Style()),
    }  # fmt: skip
    assert [note.severity for note in added.quality] == ["good"]
    again = AvatarStore(config(tmp_path / "data"), fake_enroll, tmp_path / "built_in")
    assert [avatar.name for avatar in again.list()] == ["iris", "me"]
    assert again.find("me") == added
    assert cv2.imdecode(np.frombuffer(again.thumbnail("me"), np.uint8), 1).shape == (128, 128, 3)


def test_an_avatar_keeps_the_style_that_it_is_given(store: AvatarStore, tmp_path: Path) -> None:
    assert store.add(photo(), "me", style=Style(head=0.5)).style == Style(head=0.5)
    store.set_style("me", Style(mouth=1.5))
    again = AvatarStore(config(tmp_path / "data"), fake_enroll, tmp_path / "built_in")
    assert again.style("me") == again.find("me").style == Style(mouth=1.5)
    assert again.find("me").quality and again.style("nobody") == Style()
    with pytest.raises(Conflict, match="ships with the program"):
        store.set_style("iris", Style())
    file = tmp_path / "data" / "avatars" / "me" / "avatar.json"
    file.write_text(file.read_text().replace("1.5", "15"))
    assert again.find("me").style == Style()
    assert sorted(path.name for path in file.parent.iterdir()) == ["avatar.json", "photo.bin", "thumbnail.jpg"]


def test_a_photo_is_enrolled_once(store: AvatarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(photo(), "me")
    monkeypatch.setattr(store, "_enroll_photo", None)
    assert store.identity("me").picture.shape == (128, 128, 3)


def test_a_face_that_was_pointed_at_stays_where_it_was_said(tmp_path: Path) -> None:
    told = []

    def enroll(picture: Any, size_px: int, points: Any) -> Any:
        told.append(points)
        return fake_enroll(picture, size_px, points)

    points = {name: (0.4, 0.5) for name in ANCHORS}
    store = AvatarStore(config(tmp_path), enroll)
    store.add(photo(), "me", points=points)
    store.add(photo(), "found")
    assert told == [points, None], "the same photo with other points is another identity"
    for kept in (tmp_path / "identities").iterdir():
        kept.unlink()
    store.identity("me")
    assert store.find("me").points == told[-1] == points


def test_a_damaged_identity_file_is_made_again(tmp_path: Path) -> None:
    calls = []

    def enroll(picture: Any, size_px: int, points: Any) -> Any:
        calls.append(size_px)
        return fake_enroll(picture, size_px, points)

    store = AvatarStore(config(tmp_path), enroll)
    store.add(photo(), "me")
    (kept,) = (tmp_path / "identities").iterdir()
    kept.write_bytes(b"rubbish")
    store.identity("me")
    assert len(calls) == 2


def test_a_name_is_taken_once_and_a_built_in_one_stays(store: AvatarStore) -> None:
    store.add(photo(), "me")
    for name in ("me", "iris"):
        with pytest.raises(Conflict, match="already"):
            store.add(photo(), name)
    with pytest.raises(Conflict, match="stays"):
        store.remove("iris")
    store.remove("me")
    with pytest.raises(NotFound):
        store.find("me")
    store.add(photo(), "me")


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".hidden", "A", "a b", "x" * 49, "é", "a\0", "-a"])
def test_a_name_leads_nowhere_else(store: AvatarStore, tmp_path: Path, name: str) -> None:
    before = files_in(tmp_path)
    with pytest.raises(BadRequest, match="a-z, 0-9"):
        store.add(photo(), name)
    for call in (store.find, store.remove, store.thumbnail, store.identity):
        with pytest.raises(NotFound):
            call(name)
    assert files_in(tmp_path) == before


def test_without_a_name_it_gets_one(store: AvatarStore) -> None:
    added = [store.add(photo(), None, "holiday") for _ in range(3)]
    assert len({avatar.name for avatar in added}) == 3
    assert {avatar.title for avatar in added} == {"holiday"}


def test_a_full_disk_leaves_nothing_behind(store: AvatarStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(photo(), "first")
    before = files_in(tmp_path)

    def full(self: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageFailed, match="No space left"):
        store.add(photo(), "second")
    assert files_in(tmp_path) == before
    assert [avatar.name for avatar in store.list()] == ["iris", "first"]


def test_no_face_is_told_and_nothing_is_stored(store: AvatarStore, tmp_path: Path) -> None:
    before = files_in(tmp_path)
    black = cv2.imencode(".png", np.zeros((100, 100, 3), np.uint8))[1].tobytes()
    with pytest.raises(BadPhoto) as caught:
        store.add(black, "nobody")
    assert caught.value.code == "no_face" and files_in(tmp_path) == before


def test_a_damaged_folder_is_left_out(store: AvatarStore, tmp_path: Path) -> None:
    store.add(photo(), "me")
    (tmp_path / "data/avatars/me/avatar.json").write_text("{")
    assert [avatar.name for avatar in store.list()] == ["iris"]


def test_every_avatar_that_ships_says_where_it_comes_from(tmp_path: Path) -> None:
    shipped = AvatarStore(config(tmp_path), fake_enroll, identities.BUILT_IN).list()
    assert len(shipped) >= 3
    assert all(avatar.origin and avatar.licence and avatar.builtin for avatar in shipped)


# --- photos ---


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_header_tells_the_size_of_every_format(suffix: str) -> None:
    data = photo(160, 96, suffix)
    assert photo_size_px(data) == (160, 96)
    assert decode_photo(data).shape == (96, 160, 3)


def png_that_claims(width: int, height: int) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 1000)) + part(b"IEND", b"")
    )


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(BadPhoto, match="100 megapixels; scale it down to at most 50"):
        decode_photo(png_that_claims(10_000, 10_000))
    with pytest.raises(BadPhoto, match="10 by 10 pixels"):
        decode_photo(png_that_claims(10, 10))


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%PDF-1.7", b"\xff\xd8\xff", b"RIFF1234WEBP", b"BM", b"II*\0" + b"\xff" * 8]
)
def test_what_is_no_picture_is_told(data: bytes) -> None:
    with pytest.raises(BadPhoto):
        decode_photo(data)


@pytest.mark.parametrize("suffix", FORMATS)
@given(keep=st.floats(0.0, 0.99), seed=st.integers(0, 100))
@settings(max_examples=6, deadline=None)
def test_a_damaged_picture_is_refused_or_read_never_a_crash(suffix: str, keep: float, seed: int) -> None:
    data = bytearray(photo(160, 96, suffix))[: int(len(photo(160, 96, suffix)) * keep)]
    for at in np.random.default_rng(seed).integers(0, max(len(data), 1), 3):
        if len(data):
            data[at] ^= 0x55
    try:
        assert decode_photo(bytes(data), 1_000_000).ndim == 3
    except BadPhoto as error:
        assert "\n" not in str(error)


def test_a_photo_is_turned_upright() -> None:
    picture = np.zeros((64, 128, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIIi", 8, 1, 0x0112, 3, 1, 6, 0)
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    assert decode_photo(turned).shape == (128, 64, 3)


def coloured(size: int = 96) -> np.ndarray:
    rows, columns = np.indices((size, size)) * (255 / size)
    return np.stack([rows, columns, 255 - rows], -1).astype(np.uint8)


def test_a_cut_out_gets_a_backdrop_whatever_is_under_its_transparent_parts() -> None:
    cut_out = np.dstack([coloured(), np.full((96, 96), 255, np.uint8)])
    cut_out[:, :40] = 0
    for suffix, data in ((".png", cut_out), (".png", cut_out.astype(np.uint16) * 257), (".webp", cut_out)):
        picture = decode_photo(cv2.imencode(suffix, data, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes())
        assert (picture[:, :40] == 200).all()
        assert np.abs(picture[:, 40:].astype(int) - coloured()[:, 40:]).max() <= 1


def test_sixteen_bits_and_grey_pictures_are_read() -> None:
    grey = cv2.cvtColor(coloured(), cv2.COLOR_BGR2GRAY)
    deep = decode_photo(cv2.imencode(".png", coloured().astype(np.uint16) * 257)[1].tobytes())
    assert np.abs(deep.astype(int) - coloured()).max() <= 1
    for stored in (grey, grey.astype(np.uint16) * 257):
        picture = decode_photo(cv2.imencode(".png", stored)[1].tobytes())
        assert np.abs(picture.astype(int) - grey[..., None]).max() <= 1


def test_a_picture_for_print_is_read_in_its_colours() -> None:
    """cmyk.jpg: the colours above, 96 pixels a side, as four inks."""
    picture = decode_photo((Path(__file__).parent / "data" / "cmyk.jpg").read_bytes())
    assert np.abs(picture.astype(int) - coloured()).mean() < 6


# --- the warm cache ---


class Loader:
    """Counts loadings; each waits for `gate`."""

    def __init__(self, bytes_held: int = 10) -> None:
        self.names: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.bytes_held = bytes_held

    def __call__(self, name: str) -> WarmAvatar:
        self.names.append(name)
        self.gate.wait(5)
        if name == "bad":
            raise BadPhoto("no face")
        generator: Any = FakeGenerator()
        return WarmAvatar(name, generator, np.zeros((4, 6, 3), np.uint8), self.bytes_held)


async def test_two_who_ask_at_once_share_one_loading() -> None:
    loader = Loader()
    loader.gate.clear()
    cache = IdentityCache(loader, bound_bytes=100)
    asking = [asyncio.create_task(cache.get("a")) for _ in range(5)]
    await asyncio.sleep(0.02)
    asking[0].cancel()
    loader.gate.set()
    given_up, *avatars = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(given_up, asyncio.CancelledError)
    assert loader.names == ["a"] and len({id(avatar) for avatar in avatars}) == 1
    assert (await cache.get("a")).size_px == (6, 4)


async def test_the_least_recently_used_makes_room() -> None:
    cache = IdentityCache(loader := Loader(bytes_held=40), bound_bytes=100)
    for name in ("a", "b", "a", "c"):
        await cache.get(name)
    assert cache.names == ["a", "c"] and cache.bytes_held == 80
    await cache.get("b")
    assert loader.names == ["a", "b", "c", "b"]


async def test_an_avatar_on_air_is_shared_even_when_it_had_to_make_room() -> None:
    cache = IdentityCache(loader := Loader(bytes_held=60), bound_bytes=100)
    on_air = await cache.get("a")
    await cache.get("b")
    assert cache.names == ["b"] and cache.bytes_held == 120  # what is on air counts, and cannot go
    assert await cache.get("a") is on_air and loader.names == ["a", "b"]
    del on_air
    await cache.get("b")
    assert cache.names == ["b"] and cache.bytes_held == 60


def test_memory_that_is_shared_counts_once() -> None:
    whole = np.zeros(1000, np.uint8)
    assert bytes_of({"whole": whole, "parts": [whole[:10], whole[10:].reshape(2, -1)], "other": np.zeros(5)}) == 1040


async def test_an_avatar_fetched_early_is_loaded_once() -> None:
    cache = IdentityCache(loader := Loader(), bound_bytes=100)
    cache.prefetch("a")
    cache.prefetch("bad")
    await cache.get("a")
    cache.prefetch("a")
    assert loader.names.count("a") == 1


async def test_a_failure_is_not_kept() -> None:
    cache = IdentityCache(loader := Loader(), bound_bytes=100)
    for _ in range(2):
        with pytest.raises(BadPhoto):
            await cache.get("bad")
    assert loader.names == ["bad", "bad"] and cache.names == []


async def test_one_deleted_while_loading_is_not_kept() -> None:
    loader = Loader()
    loader.gate.clear()
    cache = IdentityCache(loader, bound_bytes=100)
    asking = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0.02)
    cache.forget("a")
    loader.gate.set()
    await asking
    assert cache.names == []
