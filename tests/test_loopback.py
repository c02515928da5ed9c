"""An aiortc client in the same process talks to a Peer: microphone in, pictures and sound out, on one index."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.config import MediaConfig
from realtime.webrtc import Peer
from tests.fake_media import Client, FakeSession, until

VOICE = (6000 * np.sin(2 * np.pi * np.cumsum(np.linspace(200, 500, 48_000 * 3)) / 48_000)).astype(np.int16)


async def meet(session: FakeSession, client: Client) -> Peer:
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(session.connected.is_set)
    return peer


def _likeness(heard: np.ndarray, piece: np.ndarray, around: int) -> float:
    """Correlation of a piece of the voice with the best place for it within a quarter of a second of `around`."""
    near = heard[max(around - 12_000, 0) : around + len(piece) + 12_000].astype(float)
    at = int(np.argmax(np.correlate(near, piece.astype(float), "valid")))
    return float(np.corrcoef(near[at : at + len(piece)], piece)[0, 1])


async def test_pictures_and_sound_share_one_timeline_and_the_microphone_arrives_whole():
    session, client = FakeSession(), Client(VOICE)
    peer = await meet(session, client)
    await until(lambda: len(client.pictures) >= 75 and len(client.sound) >= 150)
    await client.close()
    await until(session.closed.is_set)

    # Pictures: every index once, in order, each at its own time.
    indices = [index for index, _ in client.pictures]
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    first_s = client.pictures[0][1] - indices[0] * 0.04
    assert all(time_s - first_s == pytest.approx(index * 0.04, abs=1e-4) for index, time_s in client.pictures)

    # Sound: no gap, and the beep of every tenth chunk begins where its picture is shown.
    times = [time_s for time_s, _ in client.sound]
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, 0.02), abs=1e-6)
    sound = np.concatenate([samples for _, samples in client.sound])
    loud = np.abs(sound.astype(float)) > 3000
    onsets = [i for i in np.flatnonzero(loud) if not loud[max(0, i - 4800) : i].any()]
    assert len(onsets) >= 6
    for onset in onsets[1:]:
        assert onset / 48_000 % 0.4 == pytest.approx(0.0025, abs=0.002)  # Opus itself adds 2.5 ms

    # Microphone: contiguous, and what was said.
    ends = [at + len(samples) for at, samples in session.heard]
    assert [at for at, _ in session.heard][1:] == ends[:-1]
    heard = np.concatenate([samples for _, samples in session.heard])[: len(VOICE)]
    assert len(heard) > 96_000
    found = [_likeness(heard, VOICE[start : start + 9600], start) for start in range(9600, 86_400, 9600)]
    assert np.mean(np.array(found) > 0.9) >= 0.75, "a busy machine may conceal a packet here and there, no more"
    counts = peer.stats().microphone
    assert counts.lost <= 0.08 * counts.received


async def test_sender_reports_put_both_tracks_on_one_clock():
    session, client = FakeSession(), Client()
    peer = await meet(session, client)
    await until(lambda: len(client.pictures) >= 40)
    lines = {}
    for receiver in client.connection.getReceivers():
        for entry in (await receiver.getStats()).values():
            if entry.type == "remote-outbound-rtp":
                lines[entry.kind] = entry.remoteTimestamp.timestamp()
    assert set(lines) == {"audio", "video"}
    epoch_s = peer._clock.epoch_s
    # A report names the time of a whole chunk (or half, for sound) after the epoch, not the moment it was sent.
    for kind, step_s in (("video", 0.04), ("audio", 0.02)):
        offset = (lines[kind] - epoch_s) / step_s
        assert offset == pytest.approx(round(offset), abs=0.01), kind
    await client.close()
    await peer.close()


async def test_messages_cross_in_both_directions_and_early_ones_wait():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    peer.send({"type": "hello", "name": "Zoë"})
    await client.accept(await peer.answer(await client.offer()))
    await until(lambda: client.messages)
    assert client.messages[0] == '{"type": "hello", "name": "Zoë"}'
    for text in ('{"type": "ping", "t": 1}', "not json", "[1]", '{"a":' * 5000, "x" * 70_000):
        client.channel.send(text)
    await until(lambda: len(client.messages) == 5)
    assert session.messages == [{"type": "ping", "t": 1}]
    assert all("bad_message" in text for text in client.messages[1:])
    await client.close()
    await peer.close()


@pytest.mark.parametrize("kinds", [("audio",), ("video",)])
async def test_a_viewer_may_want_sound_or_picture_alone(kinds: tuple[str, ...]):
    session, client = FakeSession(), Client(kinds=kinds)
    peer = await meet(session, client)
    await until(lambda: len(client.sound if kinds == ("audio",) else client.pictures) > 5)
    await client.close()
    await peer.close()
    assert session.reasons in (["client closed"], ["closed"])


async def test_a_microphone_alone_is_heard():
    session, client = FakeSession(), Client(VOICE, kinds=("audio",))
    client.connection.getTransceivers()[0].direction = "sendonly"
    peer = await meet(session, client)
    await until(lambda: len(session.heard) > 20)
    assert not client.sound
    await client.close()
    await peer.close()


async def test_two_viewers_do_not_disturb_each_other():
    sessions, clients = [FakeSession(), FakeSession()], [Client(), Client()]
    peers = [await meet(s, c) for s, c in zip(sessions, clients, strict=True)]
    await until(lambda: all(len(c.pictures) > 10 for c in clients))
    await peers[0].close()
    seen = len(clients[1].pictures)
    await until(lambda: len(clients[1].pictures) > seen + 10)
    assert sessions[0].reasons == ["closed"]
    assert not sessions[1].reasons
    for client in clients:
        await client.close()
    await peers[1].close()
