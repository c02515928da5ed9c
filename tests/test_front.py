"""Several media processes look like one server: sessions spread, calls find theirs, a process that dies is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from realtime.config import load
from realtime.front import _groups, merged, parts
from realtime.metrics import Metrics
from realtime.passing import KEPT_MESSAGES, Newest
from tests.fake_media import Client
from tests.fakes import photo

ROOT = Path(__file__).resolve().parent.parent
SERVER = """
import sys
from realtime.config import load
from realtime.front import run
from tests.fake_server import build
if __name__ == "__main__":
    overrides = {"server.port": 0, "server.processes": 2, "server.drain_s": 0.0, "engine.capacity": 4}
    run(load(None, overrides | {"avatars.data_dir": sys.argv[1]}), build)
"""
SDP = {"Content-Type": "application/sdp"}


@pytest.mark.parametrize(("cores", "count"), [(8, 3), (2, 2), (5, 5), (16, 1)])
def test_cores_are_shared_out_once_each(cores: int, count: int) -> None:
    groups = _groups(list(range(cores)), count)
    assert [core for group in groups for core in group] == list(range(cores)) and len(groups) == count
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_with_too_few_cores_everybody_has_all() -> None:
    assert _groups([0, 1], 4) == [[0, 1]] * 4


@pytest.mark.parametrize(("capacity", "wanted"), [(0, [0, 0, 0]), (3, [1, 1, 1]), (8, [3, 3, 2])])
def test_the_sessions_that_are_allowed_are_shared_out(capacity: int, wanted: list[int]) -> None:
    config = load(None, {"engine.capacity": capacity, "server.port": 5})
    shared = parts(config, 3)
    assert [part.engine.capacity for part in shared] == wanted
    assert all(part.server == config.server for part in shared)


def test_metrics_of_several_processes_are_one_page() -> None:
    one, other = Metrics(), Metrics()
    one.sessions.set(2)
    other.sessions.set(3)
    other.refused.labels('odd "code"\\').inc()
    families = {
        f.name: f
        for f in text_string_to_metric_families(merged({"0": one.text().decode(), "1": other.text().decode()}))
    }
    told = {s.labels["process"]: s.value for s in families["mouthpiece_sessions"].samples}
    assert told == {"0": 2.0, "1": 3.0}
    assert [s.labels["code"] for s in families["mouthpiece_refused"].samples if s.name.endswith("_total")] == [
        'odd "code"\\'
    ]


async def test_a_slow_reader_of_a_live_socket_loses_the_oldest() -> None:
    sent: list[str | bytes] = []
    free = asyncio.Event()

    class Slow:
        async def send_str(self, text: str) -> None:
            sent.append(text)

        async def send_bytes(self, data: bytes) -> None:
            await free.wait()
            sent.append(data)

    newest = Newest()
    sending = asyncio.create_task(newest.empty_into(Slow()))
    await newest.send_str("header")
    await asyncio.sleep(0)
    for index in range(100):
        await newest.send_bytes(bytes([index]))
        await asyncio.sleep(0)
    free.set()
    await asyncio.sleep(0.01)
    sending.cancel()
    assert sent == ["header", bytes([0]), *(bytes([index]) for index in range(100 - KEPT_MESSAGES, 100))]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """A client of a server with two processes, and the front's process id."""
    script = tmp_path / "front_server.py"
    script.write_text(SERVER)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), str(tmp_path / "data")), stdout=PIPE, stderr=PIPE, env=environment, cwd=ROOT
    )
    assert server.stdout is not None
    found = re.search(r"http://\S+", (await asyncio.wait_for(server.stdout.readline(), 60)).decode())
    assert found
    try:
        async with aiohttp.ClientSession(found[0].replace("localhost", "127.0.0.1")) as client:
            yield client, server.pid
        server.send_signal(signal.SIGTERM)
        _, words = await asyncio.wait_for(server.communicate(), 60)
        assert server.returncode == 0 and words.decode().count("stopped; ") == 2, words.decode()
    finally:
        if server.returncode is None:
            server.kill()


def media_processes(front: int) -> list[int]:
    children = Path(f"/proc/{front}/task/{front}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def loaded(http: aiohttp.ClientSession) -> dict[str, float]:
    """Avatars that each process has loaded."""
    async with http.get("/metrics") as answer:
        families = {family.name: family for family in text_string_to_metric_families(await answer.text())}
    samples = families["mouthpiece_avatar_load_seconds"].samples
    return {sample.labels["process"]: sample.value for sample in samples if sample.name.endswith("_count")}


async def until_there_are(processes: int, http: aiohttp.ClientSession) -> None:
    for _ in range(1200):
        async with http.get("/healthz") as answer:
            if answer.status == 200 and (await answer.json())["processes"] == processes:
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not {processes} processes")


async def test_two_processes_serve_as_one_and_a_dead_one_is_replaced(served: tuple[aiohttp.ClientSession, int]) -> None:
    http, front = served
    await until_there_are(2, http)
    clients = [Client() for _ in range(5)]
    paths, tokens = [], []
    for client in clients[:4]:
        body = {"sdp": await client.offer()}
        async with http.post("/sessions", json=body) as answer:
            assert answer.status == 201, await answer.text()
            said = await answer.json()
            paths.append(answer.headers["Location"])
            tokens.append(said["resume_token"])
    # They are spread evenly, and each says where it is.
    assert sorted(path.split("/")[2][:3] for path in paths) == ["w0-", "w0-", "w1-", "w1-"]
    async with http.get("/healthz") as answer:
        assert {**await answer.json(), "version": ""} == {
            "status": "ok", "sessions": 4, "capacity": 4, "version": "", "processes": 2
        }  # fmt: skip
    # Full is full.
    async with http.post("/sessions", data=await clients[4].offer(), headers=SDP) as answer:
        assert answer.status == 503 and answer.headers["Retry-After"]
    # Calls, sockets and resuming find their process; strangers are told.
    for path, token, client in zip(paths, tokens, clients, strict=False):
        async with http.post(f"{path}/interrupt") as answer:
            assert answer.status == 204
        async with http.ws_connect(f"{path}/audio") as socket:
            await socket.send_str('{"type": "hello", "format": "s16le", "rate": 16000, "channels": 1}')
            assert json.loads((await socket.receive(timeout=20)).data) == {"type": "ready"}
        async with http.ws_connect(f"{path}/motion") as socket:
            columns = (await socket.receive_json(timeout=20))["columns"]
            assert len(await socket.receive_bytes(timeout=20)) == 4 + 4 * len(columns)
        again = Client()
        async with http.post("/sessions", json={"sdp": await again.offer(), "resume_token": token}) as answer:
            assert answer.status == 201 and answer.headers["Location"] == path
        await again.close()
        await client.close()
    for stranger in (
        "/sessions/w1-nobody/interrupt",
        "/sessions/w99-x/interrupt",
        "/sessions/x/interrupt",
        "/warm/iris",
    ):
        async with http.post(stranger) as answer:
            assert answer.status == 404 and (await answer.json())["error"]["message"]
    with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
        await http.ws_connect("/sessions/w1-nobody/audio")
    async with http.get("/metrics") as answer:
        assert re.findall(r'mouthpiece_sessions{process="(\d)"} (\S+)', await answer.text()) == [
            ("0", "2.0"),
            ("1", "2.0"),
        ]
    async with http.get("/") as answer:
        assert answer.status == 200 and "<html" in (await answer.text()).lower()
    for path in paths:
        async with http.delete(path) as answer:
            assert answer.status == 204
    await clients[4].close()
    # An avatar is one for all, whichever process made it: the one with the fewest sessions.
    watching = Client()
    async with http.post("/sessions", data=await watching.offer(), headers=SDP) as answer:
        busy = answer.headers["Location"].split("/")[2][1]
    before = await loaded(http)
    form = aiohttp.FormData()
    form.add_field("photo", photo(), filename="ana.png")
    form.add_field("name", "ana")
    async with http.post("/avatars", data=form) as answer:
        assert answer.status == 201, await answer.text()
    after = before
    for _ in range(400):
        after = await loaded(http)
        if after != before:
            break
        await asyncio.sleep(0.02)
    assert [process for process in after if after[process] != before[process]] == [{"0": "1", "1": "0"}[busy]]
    await watching.close()
    for _ in range(2):
        client = Client()
        async with http.post("/sessions?avatar=ana", data=await client.offer(), headers=SDP) as answer:
            assert answer.status == 201
        await client.close()
    async with http.delete("/avatars/ana") as answer:
        assert answer.status == 204
    first, second = media_processes(front)
    os.kill(second, signal.SIGKILL)
    await until_there_are(1, http)
    await until_there_are(2, http)
    assert first in media_processes(front) and second not in media_processes(front)
