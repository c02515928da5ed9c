"""A Peer under bad offers and bad clients: one clear sentence, one `on_closed`, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime import webrtc
from realtime.aiortc_seam import parse_offer, without_mdns
from realtime.config import MediaConfig
from realtime.errors import BadOffer
from realtime.webrtc import Peer
from tests.fake_media import Client, FakeSession, until


async def good_offer() -> str:
    client = Client()
    try:
        return await client.offer()
    finally:
        await client.close()


def without(offer: str, *starts: str) -> str:
    return "\r\n".join(line for line in offer.split("\r\n") if not line.startswith(starts))


BAD = {
    "empty": lambda o: "",
    "not SDP": lambda o: "hello there",
    "JSON": lambda o: '{"sdp": "v=0"}',
    "half a line": lambda o: o[: len(o) // 3],
    "too long": lambda o: o + "a=x\r\n" * 60_000,
    "no media": lambda o: o[: o.index("m=")],
    "no ICE": lambda o: without(o, "a=ice-ufrag", "a=ice-pwd"),
    "no fingerprint": lambda o: without(o, "a=fingerprint"),
    "no Opus": lambda o: o.replace("opus", "speex"),
    "no video codec": lambda o: o.replace("VP8", "AV1").replace("H264", "H265"),
    "no rtcp-mux": lambda o: without(o, "a=rtcp-mux"),
    "two videos": lambda o: o + o[o.index("m=video") : o.index("m=application")],
    "bundle of nothing": lambda o: o.replace("a=group:BUNDLE 0", "a=group:BUNDLE 7"),
    "no such port": lambda o: re.sub(r"(a=candidate:\S+ \d \S+ \d+ \S+) \d+", r"\1 70000", o),
    "strange section": lambda o: o.replace("m=video", "m=image"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_offer_gets_a_sentence_and_leaves_nothing(name: str):
    session = FakeSession()
    peer = Peer(session, session, MediaConfig())
    with pytest.raises(BadOffer) as error:
        await peer.answer(BAD[name](await good_offer()))
    assert error.value.status == 400
    assert str(error.value)[0].isupper() and str(error.value).endswith(".")
    assert session.reasons == ["bad offer"]
    assert session.source_closed == 1
    await peer.close()
    assert session.reasons == ["bad offer"]


SOME_OFFER = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 00:11\r\n"
    "a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(SOME_OFFER)), st.integers(0, 30), st.text(max_size=20))
def test_a_mangled_offer_is_parsed_or_refused_but_never_crashes(at: int, length: int, text: str):
    mangled = SOME_OFFER[:at] + text + SOME_OFFER[at + length :]
    try:
        parse_offer(mangled)
    except BadOffer as error:
        assert str(error).endswith(".")


def test_mdns_candidates_are_left_out_and_ice_goes_on_waiting():
    mdns = "a=candidate:1 1 udp 2113937151 8f1d.local 40000 typ host\r\n"
    plain = "a=candidate:2 1 udp 2113937151 192.0.2.9 40000 typ host\r\n"
    assert ".local" not in without_mdns(SOME_OFFER + mdns + plain + "a=end-of-candidates\r\n")
    assert "end-of-candidates" not in without_mdns(SOME_OFFER + mdns + "a=end-of-candidates\r\n")
    assert without_mdns(SOME_OFFER + plain + "a=end-of-candidates\r\n").count("end-of-candidates") == 1


async def test_a_second_offer_is_refused_and_the_first_connection_lives():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(session.connected.is_set)
    with pytest.raises(BadOffer, match="open a new session"):
        await peer.answer(await good_offer())
    seen = len(client.pictures)
    await until(lambda: len(client.pictures) > seen + 5)
    assert not session.reasons
    await client.close()
    await peer.close()


async def test_closing_while_connecting_ends_cleanly():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    offer = await client.offer()
    answering = asyncio.create_task(peer.answer(offer))
    await asyncio.sleep(0)
    await peer.close()
    with pytest.raises(BadOffer):
        await answering
    assert session.reasons == ["closed"]
    session, client_2 = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client_2.accept(await peer.answer(await client_2.offer()))
    await asyncio.wait_for(peer.close(), 5)
    assert session.reasons == ["closed"]
    await client.close()
    await client_2.close()


async def test_a_client_that_never_comes_is_given_up(monkeypatch):
    monkeypatch.setattr(webrtc, "CONNECT_TIMEOUT_S", 0.6)
    session = FakeSession()
    peer = Peer(session, session, MediaConfig())
    await peer.answer(await good_offer())
    await until(session.closed.is_set, 5)
    assert session.reasons in (["never connected"], ["connection failed"])


async def test_a_client_that_dies_without_a_word_is_noticed_within_five_seconds():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(lambda: len(client.pictures) > 5)
    transport = client.connection.sctp.transport.transport
    transport._connection._nominated.clear()  # killed: nothing leaves it any more
    transport._send = client.connection.sctp.transport.transport._send = _lost
    died_s = asyncio.get_running_loop().time()
    await until(session.closed.is_set, 6)
    assert session.reasons == ["client gone"]
    assert asyncio.get_running_loop().time() - died_s < 5.2
    await client.close()
    await peer.close()


async def _lost(_data: bytes) -> None:
    """A network that takes everything and delivers nothing."""


async def test_garbage_on_the_wire_is_ignored():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(lambda: len(client.pictures) > 3)
    ice = client.connection.sctp.transport.transport
    for data in (
        b"",
        b"\x80",
        b"\x80\x60" + bytes(10),
        b"\x90\x6f" + b"\xff" * 60,
        b"\x16\xfe\xfd" + bytes(20),
        b"\xff" * 1400,
    ):
        await ice._send(data)
    # Encrypted as it should be, nonsense inside.
    for data in (b"\x80\xe0" + bytes(10), b"\x80\xc8\x00\x06" + bytes(24), b"\x81\xcd\xff\xff" + bytes(8)):
        await client.connection.sctp.transport._send_rtp(data)
    seen = len(client.pictures)
    await until(lambda: len(client.pictures) > seen + 5)
    assert not session.reasons
    await client.close()
    await peer.close()


async def test_the_end_of_a_session_ends_its_viewers():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(lambda: len(client.pictures) > 3)
    session.close()
    await until(session.closed.is_set)
    assert session.reasons == ["the session ended"]
    await client.close()


async def test_a_session_that_fails_takes_only_its_own_connection_along():
    class Poisoned(FakeSession):
        async def next_video(self):
            raise RuntimeError("poison")

    sick, well, clients = Poisoned(), FakeSession(), [Client(), Client()]
    peers = [Peer(session, session, MediaConfig()) for session in (sick, well)]
    for peer, client in zip(peers, clients, strict=True):
        await client.accept(await peer.answer(await client.offer()))
    await until(sick.closed.is_set)
    assert sick.reasons == ["internal error"]
    await until(lambda: len(clients[1].pictures) > 5)
    for client in clients:
        await client.close()
    await peers[1].close()


async def test_messages_to_a_client_that_does_not_read_are_dropped_not_piled_up():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(lambda: peer._channel is not None)
    for _ in range(3000):
        peer.send({"type": "spoken", "text": "x" * 1000})
    assert peer._channel.bufferedAmount <= webrtc.CHANNEL_MAX_BYTES + 2000
    await client.close()
    await peer.close()


async def test_connecting_again_and_again_leaves_no_task_thread_or_connection():
    async def once(kill: bool) -> None:
        session, client = FakeSession(), Client()
        peer = Peer(session, session, MediaConfig())
        await client.accept(await peer.answer(await client.offer()))
        await until(lambda: len(client.pictures) > 1)
        await (peer.close() if kill else client.close())
        await until(session.closed.is_set)
        await client.close()
        await peer.close()

    await once(True)
    await asyncio.sleep(0.1)
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    for number in range(6):
        await once(number % 2 == 0)
    await asyncio.sleep(0.3)
    gc.collect()
    assert len(asyncio.all_tasks()) <= tasks
    # Threads of the loop's own executor stay (aiortc's client encodes there); none may be a peer's.
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("encode", "audio-decoder"))]
    assert threading.active_count() <= threads + 8
    assert not [o for o in gc.get_objects() if isinstance(o, Peer) and o._ending is None]


async def test_a_closed_connection_and_its_session_are_freed_at_once():
    session, client = FakeSession(), Client()
    peer = Peer(session, session, MediaConfig())
    await client.accept(await peer.answer(await client.offer()))
    await until(lambda: len(client.pictures) > 1)
    client.channel.send("{}")
    await asyncio.wait_for(session.connected.wait(), 5)
    gc.collect()
    gc.disable()
    try:
        await peer.close()
        await client.close()
        kept = weakref.ref(peer), weakref.ref(session)
        del peer, session
        await asyncio.sleep(0.2)
        assert [ref() for ref in kept] == [None, None]
    finally:
        gc.enable()
