"""Every setting of a style goes every way in: flags, the stored avatar, HTTP, the data channel and the page."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from models.style import FEELINGS, LOOKS, Style
from realtime.arguments import parser
from realtime.commands import manner
from realtime.identities import AvatarStore
from realtime.protocol import NewSession
from tests import fakes
from tests.fake_media import until

PAGE = Path(__file__).parent.parent / "web_client"
OTHER: dict[str, Any] = {
    "mouth": 0.5,
    "head": 0.25,
    "gaze": 1.5,
    "blink": False,
    "feeling": "sad",
    "intensity": 0.75,
    "look": "left",
    "listening": 0.5,
}
"""A value for each setting that is not its natural one."""

every_setting = pytest.mark.parametrize("name", [field.name for field in fields(Style)])


def test_the_tests_know_every_setting() -> None:
    natural = asdict(Style())
    assert OTHER.keys() == natural.keys() and all(OTHER[name] != natural[name] for name in natural)


@every_setting
def test_flags(name: str) -> None:
    value = OTHER[name]
    flag = [f"--no-{name}"] if value is False else [f"--{name}", str(value)]
    for command in (["render", "--out", "x.mp4", "--avatar", "iris"], ["motion", "--out", "x.csv"]):
        options = parser().parse_args([*command, "--audio", "x.wav", *flag])
        assert manner(options, Style()) == Style(**{name: value})


@every_setting
def test_the_stored_avatar_and_the_session_that_it_starts(name: str, tmp_path: Path) -> None:
    store = AvatarStore(fakes.config(tmp_path), fakes.fake_enroll)
    store.add(fakes.photo(), "me")
    store.set_style("me", Style(**{name: OTHER[name]}))
    assert AvatarStore(fakes.config(tmp_path)).style("me") == Style(**{name: OTHER[name]})


async def test_http_and_the_data_channel(tmp_path: Path, aiohttp_client: Any) -> None:
    from realtime.routes import create_app

    settings = fakes.config(tmp_path)
    service, peers, _ = fakes.service(settings)
    await service.start()
    client = await aiohttp_client(create_app(settings, service))
    session, _ = await service.sessions.begin(NewSession("v=0\r\n"))
    expected = asdict(Style()) | {"avatar": "iris"}
    for name, value in OTHER.items():
        expected |= {name: value}
        answer = await client.post(f"/sessions/{session.id}/style", json={name: value})
        assert await answer.json() == expected
    for told, (name, value) in enumerate(asdict(Style()).items(), start=len(OTHER) + 1):
        expected |= {name: value}
        peers.last.events.on_message({"type": "style", name: value})
        await until(lambda told=told: len(peers.last.of_type("style")) == told)
        assert peers.last.of_type("style")[-1] == {"type": "style"} | expected
    await service.stop()


def test_the_page() -> None:
    form = re.search(r'<form class="card" id="manner".*?</form>', (PAGE / "index.html").read_text(), re.DOTALL)
    script = (PAGE / "manner.js").read_text()
    assert form
    names = set(re.findall(r'name="(\w+)"', form[0])) | set(re.findall(r'name: "(\w+)", value', script))
    assert names == {field.name for field in fields(Style)}
    assert tuple(re.findall(r'name="look" value="(\w+)"', form[0])) == LOOKS
    feelings = re.search(r"const FEELINGS = \{(.*?)\n\};", script, re.DOTALL)
    natural = re.search(r"const NATURAL = Object.freeze\(\{(.*?)\}\);", script, re.DOTALL)
    assert feelings and natural
    assert tuple(re.findall(r"^  (\w+): \[", feelings[1], re.MULTILINE)) == FEELINGS
    said = {name: value.strip('"') for name, value in re.findall(r'(\w+): ([\w".]+),', natural[1])}
    for name, value in asdict(Style()).items():
        assert said[name] == (f"{value:g}" if isinstance(value, float) else str(value).lower())
