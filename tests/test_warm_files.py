"""What processes share is made once, read as it was written, and lies in memory once."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.blendshapes import ARKIT_INDEX, FaceMotion
from realtime.config import load
from realtime.identities import AvatarStore
from realtime.identity_cache import WarmAvatar, warm
from realtime.warm_files import WarmFiles


def numbers(count: int = 100_000) -> dict[str, object]:
    return {"many": np.arange(count, dtype=np.float32), "few": np.ones((2, 3)), "none": np.zeros(0), "word": "so"}


def refuse() -> dict[str, object]:
    raise AssertionError("made twice")


def test_what_is_read_is_what_was_made_and_cannot_be_changed(tmp_path: Path) -> None:
    files = WarmFiles(tmp_path, 10**9)
    first, second = files.get("a", numbers), files.get("a", refuse)
    for read in (first, second):
        assert read["word"] == "so"
        for name in ("many", "few", "none"):
            np.testing.assert_array_equal(read[name], numbers()[name])
        with pytest.raises(ValueError, match="read-only"):
            read["many"][0] = 1


def in_another_process(folder: Path, key: str) -> None:
    assert WarmFiles(folder, 10**9).get(key, refuse)["many"][-1] == 99_999


def test_another_process_maps_the_same_file(tmp_path: Path) -> None:
    WarmFiles(tmp_path, 10**9).get("a", numbers)
    process = multiprocessing.get_context("spawn").Process(target=in_another_process, args=(tmp_path, "a"))
    process.start()
    process.join(30)
    assert process.exitcode == 0


def test_who_comes_while_it_is_made_waits_for_it(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly() -> dict[str, object]:
        begun.set()
        assert go.wait(5)
        return numbers()

    read: list[dict[str, object]] = []

    def get(make: Callable[[], dict[str, object]]) -> None:
        read.append(WarmFiles(tmp_path, 10**9).get("a", make))

    threads = [threading.Thread(target=get, args=[make]) for make in (slowly, refuse)]
    threads[0].start()
    assert begun.wait(5)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(5)
    assert len(read) == 2


def test_the_oldest_make_room_and_stay_with_those_who_have_them(tmp_path: Path) -> None:
    files = WarmFiles(tmp_path, 900_000)
    first = files.get("a", numbers)
    for key in ("b", "c"):
        files.get(key, numbers)
    assert sorted(file.name for file in tmp_path.glob("*.warm")) == ["b.warm", "c.warm"]
    np.testing.assert_array_equal(first["many"], numbers()["many"])


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    files = WarmFiles(tmp_path, 10**9)
    with pytest.raises(AssertionError, match="made twice"):
        files.get("a", refuse)
    assert files.get("a", numbers)["word"] == "so"


def test_a_full_disk_costs_the_sharing_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("realtime.warm_files.os.replace", full)
    assert WarmFiles(tmp_path, 10**9).get("a", numbers)["word"] == "so"
    assert [file.suffix for file in tmp_path.iterdir()] == [".lock"]


def test_an_avatar_from_the_file_draws_the_same_picture(tmp_path: Path) -> None:
    store = AvatarStore(load(None, {"avatars.data_dir": tmp_path / "data", "avatars.size_px": 128}))
    made: list[WarmAvatar] = []

    def make() -> WarmAvatar:
        made.append(warm("elias", store.identity("elias")))
        return made[0]

    avatar = WarmFiles(tmp_path, 10**9).get("elias", make)
    motion = FaceMotion.rest()
    motion.weights[ARKIT_INDEX["jawOpen"]], motion.weights[ARKIT_INDEX["eyeBlinkLeft"]] = 0.6, 0.8
    motion.head[:2] = 0.1, -0.05
    np.testing.assert_array_equal(avatar.generator.render(motion), made[0].generator.render(motion))
    assert avatar.bytes_held == made[0].bytes_held
