"""The HTTP calls of docs/architecture.md: each answers as written, and every mistake gets its status and a sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import FormData, WSMsgType
from aiohttp.test_utils import TestClient, TestServer

from models.blendshapes import FaceMotion
from models.style import Style
from realtime.config import Config
from realtime.routes import create_app
from realtime.service import Service
from tests import fakes
from tests.fake_media import until
from tests.fakes import FakePeers, config, service, tone

OFFER = "v=0\r\n"
SDP = {"Content-Type": "application/sdp"}


class Site:
    """A running application over fakes and a client of it."""

    def __init__(self, client: TestClient, peers: FakePeers, service: Service) -> None:
        self.client, self.peers, self.service = client, peers, service

    async def begin(self) -> str:
        """A session's path."""
        answer = await self.client.post("/sessions", data=OFFER, headers=SDP)
        assert answer.status == 201
        return answer.headers["Location"]


async def serving(settings: Config) -> AsyncIterator[Site]:
    made, peers, _ = service(settings)
    await made.start()
    async with TestClient(TestServer(create_app(settings, made))) as client:
        yield Site(client, peers, made)
        await made.stop()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = config(tmp_path, speech_queue_s=2.0)
    settings = replace(
        settings,
        engine=replace(settings.engine, capacity=2),
        server=replace(settings.server, drain_s=0.0),
        avatars=replace(settings.avatars, max_upload_bytes=100_000),
    )
    async for made in serving(settings):
        yield made


async def refusal(answer: aiohttp.ClientResponse, status: int) -> dict[str, Any]:
    """The error of an answer that must be a proper refusal."""
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/json"
    body = await answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}
    assert "Traceback" not in body["error"]["message"] and "\n" not in body["error"]["message"]
    return body["error"]


# --- sessions ---


async def test_whip_begins_and_ends_a_session(site: Site) -> None:
    answer = await site.client.post("/sessions?avatar=otto&look_ahead_ms=40", data=OFFER, headers=SDP)
    assert (answer.status, answer.content_type) == (201, "application/sdp")
    assert (await answer.text()).startswith("v=0")
    path = answer.headers["Location"]
    await until(lambda: site.peers.last.of_type("hello"))
    hello = site.peers.last.of_type("hello")[0]
    assert (hello["avatar"], hello["look_ahead_ms"], f"/sessions/{hello['session']}") == ("otto", 40, path)
    assert (await site.client.delete(path)).status == 204
    await refusal(await site.client.delete(path), 404)


async def test_json_begins_and_resumes_a_session(site: Site) -> None:
    first = await (await site.client.post("/sessions", json={"sdp": OFFER, "look_ahead_ms": 0})).json()
    assert set(first) == {"id", "sdp", "type", "resume_token"} and first["type"] == "answer"
    again = await site.client.post("/sessions", json={"sdp": OFFER, "resume_token": first["resume_token"]})
    assert again.status == 201 and (await again.json())["id"] == first["id"]
    await refusal(await site.client.post("/sessions", json={"sdp": OFFER, "resume_token": "x"}), 404)


@pytest.mark.parametrize(
    ("query", "body", "headers", "status"),
    [
        ("", "garbage", SDP, 400),
        ("", b"\xff\xfe", SDP, 400),
        ("", OFFER, {"Content-Type": "text/html"}, 400),
        ("", "{", {"Content-Type": "application/json"}, 400),
        ("", "[]", {"Content-Type": "application/json"}, 400),
        ("", '{"sdp": 3}', {"Content-Type": "application/json"}, 400),
        ("", "x" * 400_000, SDP, 413),
        ("?avatar=nobody", OFFER, SDP, 404),
        ("?look_ahead_ms=70", OFFER, SDP, 400),
    ],
)
async def test_a_bad_offer_is_refused_and_holds_no_place(
    site: Site, query: str, body: Any, headers: dict[str, str], status: int
) -> None:
    await refusal(await site.client.post(f"/sessions{query}", data=body, headers=headers), status)
    assert (await (await site.client.get("/healthz")).json())["sessions"] == 0


async def test_a_full_server_says_when_to_come_back(site: Site) -> None:
    await site.begin(), await site.begin()
    answer = await site.client.post("/sessions", data=OFFER, headers=SDP)
    assert (await refusal(answer, 503))["code"] == "busy"
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_session_is_driven_by_http(site: Site) -> None:
    path = await site.begin()
    assert (await site.client.post(f"{path}/speak", json={"text": "hello"})).status == 202
    await until(lambda: site.peers.last.of_type("spoken"))
    assert (await site.client.post(f"{path}/interrupt")).status == 204
    answer = await site.client.post(f"{path}/style", json={"mouth": 0.5, "avatar": "otto"})
    assert await answer.json() == asdict(Style(mouth=0.5)) | {"avatar": "otto"}
    watching = await site.client.post(f"{path}/view", data=OFFER, headers=SDP)
    assert watching.status == 201
    assert (await site.client.delete(watching.headers["Location"])).status == 204


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("speak", {"text": "x" * 100_000}, 413),
        ("speak", {"text": ""}, 400),
        ("speak", {"words": "hello"}, 400),
        ("speak", {"text": "hello", "voice": "nobody"}, 400),
        ("style", {"mouth": 9}, 400),
        ("style", {"avatar": "nobody"}, 404),
    ],
)
async def test_a_wrong_request_is_told_and_the_session_goes_on(
    site: Site, call: str, body: dict[str, Any], status: int
) -> None:
    path = await site.begin()
    await refusal(await site.client.post(f"{path}/{call}", json=body), status)
    assert (await site.client.post(f"{path}/interrupt")).status == 204


@pytest.mark.parametrize("call", ["speak", "style", "interrupt", "view"])
async def test_an_unknown_session_is_not_found(site: Site, call: str) -> None:
    await refusal(await site.client.post(f"/sessions/none/{call}", json={"text": "hello"}), 404)


# --- pushed PCM ---

HELLO = {"type": "hello", "format": "f32le", "rate": 48_000, "channels": 1}


async def test_pcm_is_played_and_flushed(site: Site) -> None:
    path = await site.begin()
    async with site.client.ws_connect(f"{path}/audio") as socket:
        await socket.send_json(HELLO)
        assert await socket.receive_json() == {"type": "ready"}
        await socket.send_bytes(tone(0.4).tobytes())
        await socket.send_json({"type": "flush"})
        assert await socket.receive_json(timeout=20) == {"type": "flushed", "interrupted": False}
        heard = np.concatenate([chunk.audio for chunk in site.peers.last.audio])
        assert np.abs(heard.astype(int)).max() > 10_000
        await socket.send_bytes(tone(1.5).tobytes())
        await socket.send_json({"type": "flush"})
        await socket.send_json({"type": "clear"})
        answers = [await socket.receive_json(timeout=20) for _ in range(2)]
        assert {"type": "cleared"} in answers and {"type": "flushed", "interrupted": True} in answers


async def test_a_wrong_pcm_message_is_told(site: Site) -> None:
    path = await site.begin()
    async with site.client.ws_connect(f"{path}/audio") as socket:
        for wrong in ("nonsense", json.dumps(HELLO | {"rate": 1}), '{"type": "dance"}'):
            await socket.send_str(wrong)
            assert (await socket.receive_json())["type"] == "error"
        await socket.send_json(HELLO)
        assert await socket.receive_json() == {"type": "ready"}
        await socket.send_bytes(tone(2.5).tobytes())
        assert (await socket.receive_json())["code"] == "too_much_waiting"
    async with site.client.ws_connect(f"{path}/audio") as socket:
        await socket.send_bytes(b"1234")
        assert (await socket.receive_json())["code"] == "no_hello"
        assert (await socket.receive()).type is WSMsgType.CLOSE
    await refusal(await site.client.get(f"{path}/audio"), 400)


async def test_the_end_of_a_session_closes_its_pcm(site: Site) -> None:
    path = await site.begin()
    async with site.client.ws_connect(f"{path}/audio") as socket:
        await socket.send_json(HELLO)
        await socket.receive_json()
        assert (await site.client.delete(path)).status == 204
        assert (await socket.receive(timeout=20)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)


async def test_motion_leaves_by_a_socket(site: Site) -> None:
    path = await site.begin()
    await refusal(await site.client.get(f"{path}/motion"), 400)
    await refusal(await site.client.get("/sessions/gone/motion"), 404)
    async with site.client.ws_connect(f"{path}/motion") as socket:
        told = await socket.receive_json(timeout=20)
        assert told["type"] == "motion_header" and told["fps"] == 25 and f"/sessions/{told['session']}" == path
        frames = [await socket.receive_bytes(timeout=20) for _ in range(5)]
        assert {len(frame) for frame in frames} == {4 + 4 * len(told["columns"])}
        indices = [int.from_bytes(frame[:4], "little") for frame in frames]
        assert indices == list(range(indices[0], indices[0] + 5))
        assert (await site.client.delete(path)).status == 204
        while (message := await socket.receive(timeout=20)).type is WSMsgType.BINARY:
            pass
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)


async def test_a_motion_socket_that_is_not_read_loses_the_oldest(site: Site) -> None:
    path, frames = await site.begin(), 4000
    session = site.service.sessions.find(path.split("/")[-1])
    async with site.client.ws_connect(f"{path}/motion") as socket:
        await socket.receive_json(timeout=20)
        for index in range(10_000, 10_000 + frames):
            session.motion.put(index, FaceMotion.rest())
            session.motion.release(index)
            await asyncio.sleep(0)
        received = []
        while not received or received[-1] < 10_000 + frames - 1:
            received.append(int.from_bytes((await socket.receive_bytes(timeout=20))[:4], "little"))
        received = [index for index in received if index >= 10_000]
        assert received == sorted(received) and len(received) < frames


# --- avatars ---


def form(photo: bytes | None = None, name: str | None = None) -> FormData:
    made = FormData()
    if photo is not None:
        made.add_field("photo", photo, filename="me.png", content_type="image/png")
    if name is not None:
        made.add_field("name", name)
    made.add_field("other", "ignored")
    return made


async def test_an_avatar_is_added_listed_shown_and_deleted(site: Site) -> None:
    answer = await site.client.post("/avatars", data=form(fakes.photo(), "me"))
    assert answer.status == 201
    added = await answer.json()
    assert added["quality"] == [{"code": "good", "severity": "good", "message": "This photo suits well."}]
    listed = await (await site.client.get("/avatars")).json()
    assert [avatar["name"] for avatar in listed if not avatar["builtin"]] == ["me"]
    picture = await site.client.get(added["thumbnail"])
    assert (picture.status, picture.content_type) == (200, "image/jpeg")
    assert (await site.client.delete("/avatars/me")).status == 204
    await refusal(await site.client.delete("/avatars/me"), 404)


async def test_sessions_start_with_the_style_of_their_avatar(site: Site) -> None:
    await site.client.post("/avatars", data=form(fakes.photo(), "otto"))
    put = await site.client.put("/avatars/otto/style", json={"mouth": 0.5, "head": 0.2})
    assert (put.status, await put.json()) == (200, asdict(Style(mouth=0.5, head=0.2)))
    patched = await site.client.patch("/avatars/otto/style", json={"head": 0.0})
    assert await patched.json() == asdict(Style(mouth=0.5, head=0.0))
    listed = {avatar["name"]: avatar for avatar in await (await site.client.get("/avatars")).json()}
    assert listed["otto"]["style"] == asdict(Style(mouth=0.5, head=0.0)) and listed["iris"]["style"] == asdict(Style())
    begun = await site.client.post("/sessions?avatar=otto", data=OFFER, headers=SDP)
    in_force = await site.client.post(f"{begun.headers['Location']}/style", json={"gaze": 0.1})
    assert await in_force.json() == asdict(Style(mouth=0.5, head=0.0, gaze=0.1)) | {"avatar": "otto"}
    assert "beard" in (await refusal(await site.client.put("/avatars/otto/style", json={"beard": 1}), 400))["message"]
    await refusal(await site.client.put("/avatars/iris/style", json={}), 409)
    await refusal(await site.client.patch("/avatars/nobody/style", json={}), 404)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (form(name="me"), 400, "bad_request"),
        (form(b"no picture"), 422, "not_a_picture"),
        (form(b""), 422, "bad_photo"),
        (form(fakes.photo(), "../me"), 400, "bad_name"),
        (form(b"x" * 150_000), 413, "too_large"),
        ({"photo": "text"}, 400, "bad_request"),
    ],
)
async def test_a_bad_upload_is_told_and_stores_nothing(site: Site, data: Any, status: int, code: str) -> None:
    assert (await refusal(await site.client.post("/avatars", data=data), status))["code"] == code
    listed = await (await site.client.get("/avatars")).json()
    assert all(avatar["builtin"] for avatar in listed)


async def test_a_broken_form_is_told(site: Site) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"--y\r\n", b"--x\r\nnonsense", b""):
        await refusal(await site.client.post("/avatars", data=body, headers=headers), 400)
    await refusal(await site.client.post("/avatars", data=b"", headers={"Content-Type": "multipart/form-data"}), 400)


# --- the rest ---


async def test_the_page_and_its_files_are_served_and_nothing_else(site: Site) -> None:
    for path, kind in (("/", "text/html"), ("/view/iris", "text/html"), ("/web/app.js", "text/javascript")):
        answer = await site.client.get(path)
        assert (answer.status, answer.content_type) == (200, kind)
        assert answer.headers["Cache-Control"] == "no-cache"
    for path in ("/web/none.js", "/web/../server.py", "/web/%2e%2e/server.py", "/web/..%2fpyproject.toml", "/none"):
        await refusal(await site.client.get(path), 404)


async def test_voices_ice_health_and_metrics(site: Site) -> None:
    assert await (await site.client.get("/voices")).json() == [{"name": "tone", "language": "en", "title": "A tone"}]
    assert await (await site.client.get("/ice")).json() == []
    await site.begin()
    health = await (await site.client.get("/healthz")).json()
    assert (health["status"], health["sessions"], health["capacity"]) == ("ok", 1, 2)
    await asyncio.sleep(0.3)
    text = await (await site.client.get("/metrics")).text()
    assert "mouthpiece_sessions 1.0" in text and 'mouthpiece_stage_seconds_bucket{le="0.01",stage="queue"}' in text


async def test_a_wrong_method_is_told(site: Site) -> None:
    answer = await site.client.put("/sessions", data=OFFER)
    await refusal(answer, 405)
    assert "POST" in answer.headers["Allow"]


async def test_what_nobody_foresaw_is_no_traceback(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakes.FakeSynthesizer, "voices", None)
    assert (await refusal(await site.client.get("/voices"), 500))["code"] == "internal"


async def test_pages_of_other_origins_may_call(site: Site) -> None:
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    asked = await site.client.options("/sessions", headers=headers)
    assert asked.status == 204 and asked.headers["Access-Control-Allow-Origin"] == "*"
    answer = await site.client.delete("/sessions/none", headers={"Origin": "https://example.org"})
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]


async def test_a_token_is_asked_for_by_what_changes_something(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings = replace(settings, server=replace(settings.server, token="secret", allow_origins=("https://a.org",)))
    async for site in serving(settings):
        assert (await site.client.get("/avatars")).status == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}):
            answer = await site.client.post("/sessions", data=OFFER, headers=SDP | headers)
            await refusal(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        bearer = {"Authorization": "Bearer secret"}
        answer = await site.client.post("/sessions", data=OFFER, headers=SDP | bearer | {"Origin": "https://b.org"})
        assert answer.status == 201 and "Access-Control-Allow-Origin" not in answer.headers
        path = answer.headers["Location"]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await site.client.ws_connect(f"{path}/audio")
        async with site.client.ws_connect(f"{path}/audio?access_token=secret") as socket:
            await socket.send_json(HELLO)
            assert await socket.receive_json() == {"type": "ready"}
