"""Whatever a stranger sends, the server answers 4xx or goes on: no 500, no traceback in the log, no place held."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.routes import create_app
from realtime.webrtc import Peer
from tests.fake_media import Client
from tests.fakes import config, service

QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SDP = {"Content-Type": "application/sdp"}


class Complaints(logging.Handler):
    """Everything that was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))


class Site:
    """The real transport and HTTP over fake models, in a loop of its own, so that hypothesis may call it."""

    def __init__(self, folder: Any) -> None:
        self._runner, self.complaints = asyncio.Runner(), Complaints()
        logging.getLogger().addHandler(self.complaints)
        self._settings = config(folder)
        self._settings = replace(self._settings, engine=replace(self._settings.engine, capacity=200))
        self.run(self._start())

    async def _start(self) -> None:
        self.service, _, _ = service(self._settings, make_peer=Peer)
        await self.service.start()
        self.http = TestClient(TestServer(create_app(self._settings, self.service)))
        await self.http.start_server()
        client = Client()
        self.offer = await client.offer()
        await client.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def close(self) -> None:
        self.run(self.http.close())
        self.run(self.service.stop())
        self._runner.close()
        logging.getLogger().removeHandler(self.complaints)

    async def call(self, method: str, path: str, **request: Any) -> int:
        """The status. A session that came of it is ended."""
        async with self.http.request(method, path, **request) as answer:
            status, text = answer.status, await answer.text()
            if status == 201 and answer.headers.get("Location", "").startswith("/sessions"):
                async with self.http.delete(answer.headers["Location"]):
                    pass
        assert "Traceback" not in text
        return status


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("data"))
    yield made
    made.close()
    assert not made.complaints.heard, made.complaints.heard[:3]


@st.composite
def mangled(draw: st.DrawFn) -> list[tuple[str, int, str]]:
    """Changes to an offer's lines: (what, where, new text)."""
    number = st.integers(-(2**40), 2**40).map(str)
    word = st.one_of(
        number, st.text(max_size=12), st.sampled_from(["", "0", "opus/48000/2", "127.0.0.1", "sha-256 00"])
    )
    kind = st.sampled_from(["drop", "double", "swap", "value", "word", "insert"])
    return draw(st.lists(st.tuples(kind, st.integers(0, 500), word), min_size=1, max_size=4))


def apply(offer: str, changes: list[tuple[str, int, str]]) -> str:
    lines = offer.split("\r\n")
    for kind, place, text in changes:
        at = place % len(lines)
        if kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            lines[at], lines[at - 1] = lines[at - 1], lines[at]
        elif kind == "value":
            lines[at] = lines[at].split(":")[0] + ":" + text
        elif kind == "word":
            words = lines[at].split(" ")
            words[place % len(words)] = text
            lines[at] = " ".join(words)
        else:
            lines.insert(at, f"a={text}")
        lines = lines or [""]
    return "\r\n".join(lines)


@QUICK
@given(changes=mangled())
def test_a_mangled_offer_is_answered_or_refused(site: Site, changes: list[tuple[str, int, str]]) -> None:
    offer = apply(site.offer, changes).encode("utf-8", "surrogatepass")
    assert site.run(site.call("POST", "/sessions", data=offer, headers=SDP)) in (201, 400)
    assert len(site.service.sessions) == site.service.engine.sessions == 0


@QUICK
@given(body=st.binary(max_size=300), kind=st.sampled_from(["application/sdp", "application/json", "text/html", "x"]))
def test_any_body_is_refused(site: Site, body: bytes, kind: str) -> None:
    assert site.run(site.call("POST", "/sessions", data=body, headers={"Content-Type": kind})) in (400, 404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["sdp", "avatar", "look_ahead_ms", "resume_token", "text", "voice", "type", "format", "rate"])


@QUICK
@given(
    fields=st.dictionaries(FIELDS, JSON, max_size=5),
    path=st.sampled_from(["/sessions", "/sessions/x/speak", "/sessions/x/style", "/sessions/x/view"]),
)
def test_any_json_is_refused(site: Site, fields: dict[str, Any], path: str) -> None:
    assert 400 <= site.run(site.call("POST", path, json=fields)) < 500


SAID = st.one_of(
    st.binary(max_size=64),
    st.text(max_size=30),
    st.dictionaries(FIELDS, JSON, max_size=4).map(json.dumps),
    st.sampled_from(
        [
            '{"type": "hello", "format": "s16le", "rate": 16000, "channels": 1}',
            '{"type": "hello", "format": "f32le", "rate": 8000, "channels": 2}',
            '{"type": "flush"}',
            '{"type": "clear"}',
        ]
    ),
)


@settings(parent=QUICK, max_examples=25)
@given(said=st.lists(SAID, max_size=12))
def test_any_talk_on_the_socket_leaves_the_session_as_it_was(site: Site, said: list[str | bytes]) -> None:
    async def talk() -> None:
        async with site.http.post("/sessions", data=site.offer, headers=SDP) as answer:
            path = answer.headers["Location"]
        async with site.http.ws_connect(f"{path}/audio") as socket:
            for one in said:
                if socket.closed:
                    break
                await (socket.send_bytes(one) if isinstance(one, bytes) else socket.send_str(one))
            await socket.close()
        # The session is as good as before: it takes the next socket's hello.
        async with site.http.ws_connect(f"{path}/audio") as socket:
            await socket.send_str('{"type": "hello", "format": "s16le", "rate": 16000, "channels": 1}')
            answered = await socket.receive(timeout=20)
            assert answered.type is aiohttp.WSMsgType.TEXT and json.loads(answered.data) == {"type": "ready"}
        async with site.http.delete(path) as answer:
            assert answer.status == 204

    site.run(talk())
