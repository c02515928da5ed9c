"""Films over HTTP: made one after the other beside the live sessions, told how they go, fetched, forgotten."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from models.style import Style
from realtime.films import COMMAND, LOOK_AHEAD_MS
from realtime.routes import create_app
from realtime.service import Service
from tests import fakes

SPEECH = (Path(__file__).parent / "fixtures" / "microphone.wav").read_bytes()
STAND_IN = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
say = lambda message: print(json.dumps(message), flush=True)
say({"frames": 5})
if job["style"]["mouth"] == 0:
    say({"error": {"code": "no_face", "message": "no face was found"}})
    sys.exit(1)
if job["style"]["mouth"] == 2:
    sys.exit(3)
while job["style"]["head"] == 0 and not (folder / "go").exists():
    time.sleep(0.02)
(folder / "film.mp4").write_bytes(json.dumps(job).encode() + (folder / "sound").read_bytes())
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[TestClient, Service]]:
    settings = fakes.config(tmp_path)
    settings = replace(settings, films=replace(settings.films, max_waiting=1, max_kept=2, max_s=60.0))
    made, _, _ = fakes.service(settings, film_command=(sys.executable, "-c", STAND_IN))
    left_over, another = (tmp_path / "films" / name for name in ("left over", "another server's"))
    for folder in (left_over, another):
        folder.mkdir(parents=True)
    os.utime(left_over, (0, 0))
    await made.start()
    assert another.exists() and not left_over.exists()
    another.rmdir()
    async with TestClient(TestServer(create_app(settings, made))) as client:
        yield client, made
        await made.stop()
    assert not (tmp_path / "films").exists()


def form(**fields: Any) -> FormData:
    made = FormData()
    for name, value in fields.items():
        made.add_field(name, value, filename="file" if isinstance(value, bytes) else None)
    return made


async def film_of(client: TestClient, **fields: Any) -> str:
    """A film's address."""
    answer = await client.post("/films", data=form(**fields))
    assert answer.status == 202, await answer.text()
    return answer.headers["Location"]


async def ended(client: TestClient, place: str, patience_s: float = 30) -> dict[str, Any]:
    for _ in range(round(patience_s * 50)):
        said = await (await client.get(place)).json()
        if said["state"] in ("done", "failed"):
            return said
        await asyncio.sleep(0.02)
    raise AssertionError(said)


async def test_a_photo_and_a_recording_become_a_film(site: tuple[TestClient, Service]) -> None:
    client, service = site
    style = json.dumps({"feeling": "warm"})
    place = await film_of(client, photo=fakes.photo(), audio=SPEECH, style=style)
    said = await ended(client, place)
    assert said["state"] == "done" and said["progress"] == 1.0 and said["seconds"] > 1
    answer = await client.get(said["film"])
    assert answer.status == 200 and answer.content_type == "video/mp4"
    assert "attachment" in answer.headers["Content-Disposition"]
    data = await answer.read()
    job = json.loads(data[: data.index(b"}RIFF") + 1])
    assert job["style"] == asdict(Style(feeling="warm")) and job["look_ahead_ms"] == LOOK_AHEAD_MS
    assert data.endswith(SPEECH)
    (kept,) = (service.config.avatars.data_dir / "films").glob("*/*/*")
    assert kept.name == "film.mp4", "what was sent must not be kept"
    assert (await client.delete(place)).status == 204
    assert (await client.get(place)).status == 404


async def test_a_text_keeps_its_marks_and_an_avatar_its_style(site: tuple[TestClient, Service]) -> None:
    client, service = site
    service.store.add(fakes.photo(), "me", style=Style(gaze=0.5))
    place = await film_of(client, avatar="me", text="One [happy] two", style='{"head": 0.5}')
    data = await (await client.get((await ended(client, place))["film"])).read()
    job = json.loads(data[: data.index(b"}RIFF") + 1])
    assert job["style"] == asdict(Style(gaze=0.5, head=0.5)) and job["avatar"] == "me"
    assert job["cues"] == [[10, {"feeling": "happy", "intensity": 1.0}]]


@pytest.mark.parametrize(("mouth", "code"), [(0, "no_face"), (2, "film_failed")])
async def test_a_film_that_fails_says_why(site: tuple[TestClient, Service], mouth: float, code: str) -> None:
    client, _ = site
    place = await film_of(client, photo=fakes.photo(), text="Hello.", style=json.dumps({"mouth": mouth}))
    said = await ended(client, place)
    assert said["state"] == "failed" and said["error"]["code"] == code and said["error"]["message"]
    assert (await client.get(f"{place}/film.mp4")).status == 409
    assert (await ended(client, await film_of(client, photo=fakes.photo(), text="Hello.")))["state"] == "done"


async def test_a_full_queue_says_so_and_a_film_can_be_stopped(site: tuple[TestClient, Service]) -> None:
    client, _ = site
    slow: dict[str, Any] = {"photo": fakes.photo(), "text": "Hello.", "style": '{"head": 0}'}
    first, second = await film_of(client, **slow), await film_of(client, **slow)
    refused = await client.post("/films", data=form(**slow))
    assert refused.status == 503 and refused.headers["Retry-After"]
    assert (await (await client.get(second)).json())["state"] == "waiting"
    assert (await client.delete(first)).status == 204
    assert (await client.delete(second)).status == 204
    assert (await ended(client, await film_of(client, photo=fakes.photo(), text="Hi.")))["state"] == "done"


async def test_old_films_make_room(site: tuple[TestClient, Service]) -> None:
    client, _ = site
    places = []
    for _ in range(4):
        places.append(await film_of(client, photo=fakes.photo(), text="Hi."))
        await ended(client, places[-1])
    assert [(await client.get(place)).status for place in places] == [404, 200, 200, 200]


MISTAKES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no face": ({"text": "Hi."}, 400, "'photo'"),
    "two faces": ({"text": "Hi.", "photo": b"x", "avatar": "me"}, 400, "'photo'"),
    "nothing to say": ({"photo": fakes.photo()}, 400, "'audio'"),
    "not a picture": ({"photo": b"hello", "text": "Hi."}, 422, "not a picture"),
    "not sound": ({"photo": fakes.photo(), "audio": b"hello"}, 422, "not a sound file"),
    "unknown avatar": ({"avatar": "nobody", "text": "Hi."}, 404, "no avatar"),
    "unknown mark": ({"photo": fakes.photo(), "text": "Hi [laugh]."}, 400, "is no mark"),
    "marks alone": ({"photo": fakes.photo(), "text": "[happy]"}, 400, "nothing to say"),
    "unknown voice": ({"photo": fakes.photo(), "text": "Hi.", "voice": "none"}, 400, "no voice"),
    "wrong style": ({"photo": fakes.photo(), "text": "Hi.", "style": '{"nose": 1}'}, 400, "nose"),
    "too long": ({"photo": fakes.photo(), "text": "[pause 9000]" * 7}, 413, "at most 1 minutes"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_mistakes_are_told_at_once(site: tuple[TestClient, Service], mistake: str, tmp_path: Path) -> None:
    client, _ = site
    fields, status, words = MISTAKES[mistake]
    answer = await client.post("/films", data=form(**fields))
    assert answer.status == status
    assert words in (await answer.json())["error"]["message"]
    assert not list((tmp_path / "films").glob("*/*"))


async def test_the_real_thing_makes_a_real_film(tmp_path: Path) -> None:
    settings = fakes.config(tmp_path)
    made, _, _ = fakes.service(settings, film_command=COMMAND)
    await made.start()
    async with TestClient(TestServer(create_app(settings, made))) as client:
        place = await film_of(client, avatar="iris", text="One.")
        said = await ended(client, place, patience_s=120)
        assert said["state"] == "done", said
        (tmp_path / "film.mp4").write_bytes(await (await client.get(said["film"])).read())
        await made.stop()
    with av.open(str(tmp_path / "film.mp4")) as film:
        pictures = list(film.decode(video=0))
    assert len(pictures) == 10
    assert pictures[0].width == pictures[0].height == settings.avatars.size_px, "as large as in a session"
