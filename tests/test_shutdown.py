"""A server that is told to stop stops, within its limit, and says what it cut off; clocks that are set move nothing."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest

from tests.fake_media import Client

ROOT = Path(__file__).resolve().parent.parent
SERVER = """
import sys
from realtime.config import load
from realtime.service import run
from tests.fake_server import build
run(load(None, {"server.port": 0, "server.drain_s": float(sys.argv[1]), "avatars.data_dir": sys.argv[2]}), build)
"""


@pytest.mark.parametrize("speaks", [False, True])
async def test_sigterm_drains_within_its_limit_and_says_so(tmp_path: Path, speaks: bool) -> None:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, "1.0", str(tmp_path)), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    client = Client()
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", (await server.stdout.readline()).decode())
        assert found
        address = found[0].replace("localhost", "127.0.0.1")
        sdp = {"Content-Type": "application/sdp"}
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{address}/sessions", data=await client.offer(), headers=sdp) as answer:
                assert answer.status == 201
                path = answer.headers["Location"]
            if speaks:
                async with http.post(f"{address}{path}/speak", json={"text": "one two three four " * 20}) as answer:
                    assert answer.status == 202
                await asyncio.sleep(0.5)
        asked = time.monotonic()
        server.send_signal(signal.SIGTERM)
        words = (await asyncio.wait_for(server.communicate(), 15))[1].decode()
        took_s = time.monotonic() - asked
    finally:
        await client.close()
        if server.returncode is None:
            server.kill()
    assert server.returncode == 0 and "Traceback" not in words
    assert "stopping: 1 sessions on air, 1 s for what is being said" in words
    assert f"stopped; {int(speaks)} sessions were cut off" in words
    assert took_s < 6.0


def test_only_sender_reports_and_the_age_of_old_files_read_a_clock_that_people_set() -> None:
    sources = [*ROOT.glob("realtime/*.py"), *ROOT.glob("models/*.py")]
    wall = re.compile(r"\btime\.time\(|\bdatetime\.(now|utcnow|today)|\blocaltime\(|\bgmtime\(")
    assert {file.name for file in sources if wall.search(file.read_text())} == {"films.py", "rtp_sender.py"}


def test_a_clock_that_is_set_does_not_shake_the_sender_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    from realtime.rtp import MediaClock
    from realtime.rtp_sender import RtpSender

    sender = RtpSender("video", None, "stream", MediaClock(), 90_000)
    before, now = sender._wall_s(), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600.0)
    assert sender._wall_s() - before < 60.0
