"""The whole server over a real network: an aiortc client's microphone comes back as a moving face and its sound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from numpy.typing import NDArray

from models.blendshapes import FaceMotion
from realtime.identities import AvatarStore
from realtime.identity_cache import WarmAvatar
from realtime.routes import create_app
from realtime.service import Service
from tests.fake_media import Client, marked, until
from tests.fakes import JAW, FakeAvatar, FakeSynthesizer, config, fake_enroll

SIZE_PX = 256
OPEN = 100


class MarkGenerator:
    """Writes the jaw, 0..1000, into the picture, so that it survives the codec."""

    def render(self, motion: FaceMotion) -> NDArray[np.uint8]:
        return marked(round(1000 * float(np.clip(motion.weights[JAW], 0, 1))), SIZE_PX)


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[TestClient]:
    def load_avatar(name: str) -> WarmAvatar:
        generator: Any = MarkGenerator()
        return WarmAvatar(name, generator, generator.render(FaceMotion.rest()), 1000)

    settings = config(tmp_path)
    service = Service.build(
        settings, FakeAvatar(), AvatarStore(settings, fake_enroll), FakeSynthesizer(0.6), load_avatar=load_avatar
    )
    await service.start()
    async with TestClient(TestServer(create_app(settings, service))) as client:
        yield client
        await service.stop()


async def open_session(http: TestClient, client: Client) -> str:
    headers = {"Content-Type": "application/sdp"}
    answer = await http.post("/sessions?avatar=iris", data=await client.offer(), headers=headers)
    assert answer.status == 201, await answer.text()
    await client.accept(await answer.text())
    await until(lambda: len(client.pictures) > 3)
    return answer.headers["Location"]


def runs(values: list[bool]) -> int:
    """How often a run of True begins."""
    return sum(now and not before for before, now in zip([False, *values], values, strict=False))


async def test_the_microphone_moves_the_face_and_is_heard(http: TestClient) -> None:
    at_s = np.arange(48_000 * 6) / 48_000
    voice = 12_000 * np.sin(2 * np.pi * 300 * at_s) * (at_s % 1.0 < 0.5)
    client = Client(voice.astype(np.int16))
    path = await open_session(http, client)
    await until(lambda: len(client.pictures) > 90)
    # A busy machine draws fewer pictures; that the mouth opens and shuts again with the voice holds on any.
    assert runs([mark > OPEN for mark, _ in client.pictures]) >= 2
    sound = np.concatenate([samples for _, samples in client.sound])
    loud = [np.abs(block).max() > 4000 for block in np.array_split(sound, len(sound) // 1920)]
    assert runs(loud) >= 2 and 0.25 < np.mean(loud) < 0.75
    kinds = {json.loads(message)["type"] for message in client.messages}
    assert {"hello", "state", "latency"} <= kinds
    assert (await http.delete(path)).status == 204
    await client.close()


async def test_text_drives_a_receive_only_session_and_a_client_that_leaves_is_noticed(http: TestClient) -> None:
    client = Client()
    path = await open_session(http, client)
    assert (await http.post(f"{path}/speak", json={"text": "hello"})).status == 202
    await until(lambda: sum(mark > OPEN for mark, _ in client.pictures) >= 10)
    await until(lambda: any(json.loads(message)["type"] == "spoken" for message in client.messages))
    await client.close()
    for _ in range(60):
        text = await (await http.get("/metrics")).text()
        if "mouthpiece_viewers 0.0" in text:
            break
        await asyncio.sleep(0.1)
    assert "mouthpiece_viewers 0.0" in text
