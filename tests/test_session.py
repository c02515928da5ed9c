"""A session speaks what it is given, in sync and in time; falls silent when told; outlives its connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from models.style import Style
from realtime.errors import BadMessage, BadOffer, BadRequest, Busy, NotFound, TooMuchWaiting
from realtime.media import MediaChunk
from realtime.playout import FADE_SAMPLES
from realtime.protocol import NewSession, Restyle
from realtime.service import Service
from realtime.session import Session
from realtime.timebase import AUDIO_CHUNK
from tests.fake_media import until
from tests.fakes import FakeAvatar, FakeListener, FakePeer, FakePeers, config, service, tone

OFFER = NewSession("v=0\r\n")


class Stage:
    """A started service over fakes."""

    def __init__(self, service: Service, peers: FakePeers, avatar: FakeAvatar) -> None:
        self.service, self.peers, self.avatar = service, peers, avatar

    async def begin(self, request: NewSession = OFFER) -> tuple[Session, FakePeer]:
        session, _ = await self.service.sessions.begin(request)
        return session, self.peers.last


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Its parameter, if it has one, is the margin in ms: how long pictures wait that are ready."""
    margin_ms = getattr(request, "param", 30)
    settings = config(
        tmp_path, resume_s=0.4, ping_timeout_s=1.0, margin_ms=margin_ms, speech_queue_s=2.0, max_viewers=3
    )
    made, peers, avatar = service(replace(settings, server=replace(settings.server, drain_s=0.2)))
    await made.start()
    yield Stage(made, peers, avatar)
    await made.stop()
    leftover = {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]
    assert not {name for name in leftover if name.startswith(("session", "speak", "message"))}


def levels(peer: FakePeer) -> list[tuple[int, int]]:
    """For each chunk seen: the sound's peak and the picture's jaw, both 0..255; a picture not sent is the last one."""
    peaks = {chunk.index: peak(chunk) for chunk in peer.audio}
    found, jaw = [], 0
    for chunk in peer.video:
        jaw = jaw if chunk.picture is None else int(chunk.picture[0, 0, 2])
        found.append((peaks.get(chunk.index, 0), jaw))
    return found


def peak(chunk: MediaChunk) -> int:
    return int(np.abs(chunk.audio.astype(int)).max() / 32768 * 255)


def shades(peer: FakePeer) -> set[int]:
    return {int(chunk.picture[0, 0, 0]) for chunk in peer.video if chunk.picture is not None}


async def test_text_is_spoken_with_its_face_on_one_index(stage: Stage) -> None:
    session, peer = await stage.begin()
    await session.speak("hello", None)
    await until(lambda: peer.of_type("spoken"))
    spoken = [pair for pair in levels(peer) if pair[0] > 100]
    assert len(spoken) >= 9
    late = session.metrics.registry.get_sample_value("mouthpiece_late_pictures_total") or 0
    assert sum(abs(sound - jaw) > 6 for sound, jaw in spoken) <= late
    assert all(sound.index == picture.index for sound, picture in zip(peer.audio, peer.video, strict=False))
    assert peer.of_type("spoken") == [{"type": "spoken", "text": "hello"}]


async def test_the_microphone_is_heard_and_state_is_told(stage: Stage) -> None:
    _, peer = await stage.begin()
    sound = (tone(0.5) * 32767).astype(np.int16)
    for at in range(0, len(sound), 960):
        peer.events.on_microphone(sound[at : at + 960], at)
        await asyncio.sleep(0.018)
    await until(lambda: [level for level in levels(peer) if level[0] > 100])
    assert peer.of_type("hello")[0]["size"] == [64, 64]
    assert {message["state"] for message in peer.of_type("state")} >= {"listening"}
    await until(lambda: peer.of_type("latency"))
    report = peer.of_type("latency")[0]
    assert {"receive", "look_ahead", "queue", "wait"} <= set(report["stages"])


async def test_an_interrupt_silences_at_once_and_shuts_the_mouth(stage: Stage) -> None:
    session, peer = await stage.begin()
    for _ in range(3):
        await session.speak("a long text", None)
    await until(lambda: sum(sound > 100 for sound, _ in levels(peer)) > 3)
    heard, seen, spoken = len(peer.audio), len(peer.video), peer.of_type("spoken")
    session.interrupt()
    await until(lambda: len(peer.video) > seen + 8)
    first, *sounds = peer.audio[heard:]
    assert not first.audio[FADE_SAMPLES:].any() and not any(peak(chunk) for chunk in sounds)
    # Four chunks are 160 ms; what was on its way at the interrupt is among them.
    assert all(jaw == 0 for _, jaw in levels(peer)[seen + 4 :])
    assert peer.of_type("interrupted") and peer.of_type("spoken") == spoken


async def test_who_speaks_into_the_microphone_is_heard_again_after_his_next_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage.service.engine, "_listener", FakeListener())
    session, peer = await stage.begin()
    loud = (tone(0.02, 0.99) * 32767).astype(np.int16)
    says = {"now": loud}

    async def speak() -> None:
        for at in range(0, 10**6, 960):
            peer.events.on_microphone(says["now"], at)
            await asyncio.sleep(0.02)

    speaker = asyncio.create_task(speak())
    await until(lambda: sum(sound > 100 for sound, _ in levels(peer)) > 5)
    seen = len(peer.video)
    session.interrupt()
    await until(lambda: len(peer.video) > seen + 20)
    assert all(pair == (0, 0) for pair in levels(peer)[seen + 5 :])
    says["now"] = np.zeros(960, np.int16)
    await asyncio.sleep(0.3)
    seen, says["now"] = len(peer.video), loud
    await until(lambda: sum(sound > 100 and jaw > 100 for sound, jaw in levels(peer)[seen:]) > 5)
    speaker.cancel()


@pytest.mark.parametrize("stage", [240], indirect=True)
async def test_an_interrupt_shuts_the_mouth_of_pictures_that_are_drawn_already(stage: Stage) -> None:
    session, peer = await stage.begin()
    peer.events.on_message({"type": "motion", "on": True})
    await session.speak("a long text", None)
    await until(lambda: sum(sound > 100 for sound, _ in levels(peer)) > 3)
    seen, told = len(peer.video), len(peer.of_type("motion"))
    session.interrupt()
    await until(lambda: len(peer.video) > seen + 12)
    jaws = [jaw for _, jaw in levels(peer)[seen - 1 :]]
    # Six were drawn and waited: the next may be too near, then one half open; the speech after would have gone on.
    assert jaws[0] > 100 and jaws[3:] == [0] * len(jaws[3:])
    jaw = peer.of_type("motion_header")[0]["columns"].index("jawOpen")
    motions = peer.of_type("motion")[told + 3 : told + 10]
    assert [frame["values"][jaw] for frame in motions] == [0] * 7


@pytest.mark.parametrize("stage", [240], indirect=True)
async def test_another_avatar_does_not_wait_for_pictures_that_are_drawn_already(stage: Stage) -> None:
    session, peer = await stage.begin()
    await session.speak("a long text", None)
    await until(lambda: sum(sound > 100 for sound, _ in levels(peer)) > 1)
    seen = len(peer.video)
    await session.restyle(Restyle({}, "otto"))
    await until(lambda: len(peer.video) > seen + 8)
    faces = [int(chunk.picture[0, 0, 0]) for chunk in peer.video[seen:] if chunk.picture is not None]
    assert 20 in faces[:3] and faces == sorted(faces)
    late = session.metrics.registry.get_sample_value("mouthpiece_late_pictures_total") or 0
    spoken = [pair for pair in levels(peer) if pair[0] > 100]
    assert len(spoken) > 6 and sum(abs(sound - jaw) > 6 for sound, jaw in spoken) <= late


async def test_what_was_cut_off_at_its_very_end_has_not_been_spoken(stage: Stage) -> None:
    session, peer = await stage.begin()
    await session.speak("goodbye", None)
    await until(lambda: bool(session._ends))
    session.interrupt()
    seen = len(peer.video)
    await until(lambda: len(peer.video) > seen + 8)
    assert not peer.of_type("spoken")


def styles(stage: Stage) -> list[Style]:
    """The style of each step from now on, as it is taken."""
    seen: list[Style] = []
    step = stage.avatar.step

    def watched(inputs, states):  # type: ignore[no-untyped-def]
        seen.extend(row.style for row in inputs)
        return step(inputs, states)

    stage.avatar.step = watched  # type: ignore[method-assign]
    return seen


async def test_marks_hold_from_their_words_to_the_end_of_what_is_said(stage: Stage) -> None:
    session, peer = await stage.begin()
    seen = styles(stage)
    assert await session.speak("One [head 0] two [laugh]", None) != ()
    await until(lambda: peer.of_type("spoken"))
    await until(lambda: seen[-1].head == 1.0)
    # The second word lasts ten chunks, and the last of them holds its end.
    assert 8 <= [style.head for style in seen].count(0.0) <= 11
    assert [message["code"] for message in peer.of_type("warning")] == ["unknown_mark"]
    assert "[laugh] is no mark" in peer.of_type("warning")[0]["message"]


async def test_marks_of_dropped_speech_are_dropped(stage: Stage) -> None:
    session, _ = await stage.begin()
    seen = styles(stage)
    await session.speak("[gaze 0] one [pause 200] [head 0] two", None)
    await until(lambda: seen and seen[-1].gaze == 0.0)
    session.interrupt()
    await until(lambda: seen[-1].gaze == 1.0)
    await asyncio.sleep(0.9)
    assert {style.head for style in seen} == {1.0} and seen[-1].gaze == 1.0


async def test_marks_alone_are_refused(stage: Stage) -> None:
    session, _ = await stage.begin()
    with pytest.raises(BadMessage, match="nothing to say"):
        await session.speak("[happy]", None)


async def test_speech_after_an_interrupt_is_whole(stage: Stage) -> None:
    session, peer = await stage.begin()
    await session.speak("one", None)
    await until(lambda: sum(sound > 100 for sound, _ in levels(peer)) > 2)
    session.interrupt()
    heard = len(peer.video)
    await session.speak("two", None)
    await until(lambda: peer.of_type("spoken"))
    spoken = [pair for pair in levels(peer)[heard:] if pair[0] > 100]
    assert len(spoken) >= 9 and spoken[5][1] > 100
    assert peer.of_type("spoken") == [{"type": "spoken", "text": "two"}]


async def test_a_wrong_voice_is_told_to_who_asked(stage: Stage) -> None:
    session, peer = await stage.begin()
    with pytest.raises(BadRequest, match="no voice 'none'"):
        await session.speak("hello", "none")
    peer.events.on_message({"type": "speak", "text": "hello", "voice": "none"})
    await until(lambda: peer.of_type("error"))
    assert "no voice" in peer.of_type("error")[0]["message"]
    await session.speak("goodbye", "tone")
    await until(lambda: peer.of_type("spoken"))
    assert [message["text"] for message in peer.of_type("spoken")] == ["goodbye"]


async def test_text_waits_for_room_and_pcm_is_refused(stage: Stage) -> None:
    session, _ = await stage.begin()

    feed = session.open_pcm()
    feed.push(tone(1.9))
    with pytest.raises(TooMuchWaiting):
        feed.push(tone(0.2))
    flushed: list[bool] = []
    feed.flush(flushed.append)
    await session.speak("after it", None)
    session.interrupt()
    assert flushed == [False]


async def test_pcm_is_flushed_when_it_has_been_played(stage: Stage) -> None:
    session, peer = await stage.begin()

    feed, flushed = session.open_pcm(), []
    feed.push(tone(0.4))
    feed.flush(flushed.append)
    await until(lambda: flushed)
    assert flushed == [True] and sum(sound > 100 for sound, _ in levels(peer)) >= 9
    feed.flush(flushed.append)
    assert flushed == [True, True]


async def test_style_and_avatar_change_on_air(stage: Stage) -> None:
    session, peer = await stage.begin()
    _, other_peer = await stage.begin(replace(OFFER, avatar="otto"))
    style = await session.restyle(Restyle({"mouth": 0.5}, "otto"))
    assert style == asdict(Style(mouth=0.5)) | {"avatar": "otto"}
    await until(lambda: 20 in shades(peer))
    assert peer.of_type("hello")[-1]["avatar"] == "otto"
    await until(lambda: other_peer.video)
    assert shades(other_peer) == {20}
    with pytest.raises(NotFound):
        await session.restyle(Restyle({"mouth": 1.0}, "nobody"))
    with pytest.raises(BadMessage):
        await session.restyle(Restyle({"mouth": -1}, None))
    assert (await session.restyle(Restyle({}, None)))["mouth"] == 0.5


async def test_a_lost_client_finds_its_session_again(stage: Stage) -> None:
    session, peer = await stage.begin()
    await until(lambda: peer.of_type("hello") and peer.video)
    peer.lose()
    again, second = await stage.begin(replace(OFFER, resume_token=session.resume_token))
    assert again is session
    await until(lambda: second.of_type("hello") and len(second.video) > 3)
    assert second.video[0].index > peer.video[-1].index
    await asyncio.sleep(0.6)
    assert not session.is_over
    second.lose()
    await until(lambda: session.is_over)
    with pytest.raises(NotFound, match="over"):
        await stage.begin(replace(OFFER, resume_token=session.resume_token))


async def test_a_second_connection_takes_over_from_the_first(stage: Stage) -> None:
    session, peer = await stage.begin()
    await stage.begin(replace(OFFER, resume_token=session.resume_token))
    await until(lambda: stage.peers.last.of_type("hello"))
    heard = len(peer.video)
    await asyncio.sleep(0.1)
    assert len(peer.video) <= heard + 1 and not session.is_over


async def test_a_client_that_stops_pinging_is_let_go(stage: Stage) -> None:
    session, peer = await stage.begin()
    peer.events.on_message({"type": "ping", "t": 1})
    assert peer.of_type("pong") == [{"type": "pong", "t": 1}]
    await until(lambda: session.is_over, 5)
    assert stage.service.engine.sessions == 0


async def test_viewers_watch_and_do_not_speak(stage: Stage) -> None:
    session, peer = await stage.begin()
    view_id, _ = await stage.service.sessions.view(session.id, OFFER.sdp)
    viewer = stage.peers.last
    viewer.events.on_microphone((tone(0.2) * 32767).astype(np.int16), 0)
    viewer.events.on_message({"type": "speak", "text": "hello"})
    await until(lambda: len(viewer.video) > 5)
    assert "only watches" in viewer.of_type("error")[0]["message"]
    assert not any(sound for sound, _ in levels(peer))
    by_index = {chunk.index: chunk.audio for chunk in peer.audio}
    assert all(chunk.audio is by_index.get(chunk.index, chunk.audio) for chunk in viewer.audio)
    await stage.service.sessions.view(session.id, OFFER.sdp)
    with pytest.raises(Busy, match="3 viewers"):
        await stage.service.sessions.view(session.id, OFFER.sdp)
    await stage.service.sessions.end_view(session.id, view_id)
    with pytest.raises(NotFound):
        await stage.service.sessions.end_view(session.id, view_id)
    await stage.service.sessions.view(session.id, OFFER.sdp)


async def test_motion_is_told_to_who_asks_with_its_picture(stage: Stage) -> None:
    session, peer = await stage.begin()
    await stage.service.sessions.view(session.id, OFFER.sdp)
    viewer = stage.peers.last
    viewer.events.on_message({"type": "motion", "on": True})
    await session.speak("hello", None)
    await until(lambda: peer.of_type("spoken"))
    assert viewer.of_type("motion_header")[0]["rtp"] == {"audio": 7, "video": 9} and not peer.of_type("motion")
    frames = viewer.of_type("motion")
    jaw = viewer.of_type("motion_header")[0]["columns"].index("jawOpen")
    assert [frame["index"] for frame in frames] == list(range(frames[0]["index"], frames[0]["index"] + len(frames)))
    assert all(frame["t_ms"] == 40 * frame["index"] for frame in frames)
    said = {frame["index"]: frame["values"][jaw] for frame in frames}
    pictures = [chunk for chunk in viewer.video if chunk.picture is not None and chunk.index in said]
    late = session.metrics.registry.get_sample_value("mouthpiece_late_pictures_total") or 0
    assert len(pictures) > 8
    assert sum(abs(said[chunk.index] - chunk.picture[0, 0, 2] / 255) > 0.01 for chunk in pictures) <= late
    viewer.events.on_message({"type": "motion", "on": False})
    told = len(viewer.of_type("motion"))
    await asyncio.sleep(0.15)
    assert len(viewer.of_type("motion")) == told
    viewer.events.on_message({"type": "motion", "on": True})
    viewer.lose()
    assert not session.motion.listeners


async def test_the_other_side_is_listened_to(stage: Stage) -> None:
    session, peer = await stage.begin()
    seen = styles(stage)
    await stage.service.sessions.view(session.id, OFFER.sdp)
    viewer = stage.peers.last
    viewer.events.on_microphone((tone(0.02) * 32767).astype(np.int16), 0)
    await until(lambda: seen and seen[-1].listening == 1.0)
    await until(lambda: seen[-1].listening == 0.0)
    peer.events.on_message({"type": "listening", "level": 0.6})
    await until(lambda: seen[-1].listening == 0.6)
    await session.restyle(Restyle({"listening": 0.8}, None))
    await until(lambda: seen[-1].listening == 0.8)
    assert not any(sound for sound, _ in levels(peer))


async def test_wrong_messages_are_answered_and_cost_nothing(stage: Stage) -> None:
    session, peer = await stage.begin()
    wrong: list[dict] = [{}, {"type": "dance"}, {"type": "speak"}, {"type": "ping", "t": "now"}]
    wrong += [{"type": "motion"}, {"type": "motion", "on": 1}, {"type": "listening"}, {"type": "listening", "level": 2}]
    for message in wrong:
        peer.events.on_message(message)
    assert [message["code"] for message in peer.of_type("error")] == ["bad_message"] * len(wrong)
    peer.events.on_message({"type": "style", "mouth": 0.25})
    await until(lambda: peer.of_type("style"))
    assert peer.of_type("style")[0]["mouth"] == 0.25
    assert not session.is_over


async def test_a_bad_offer_holds_no_place(stage: Stage) -> None:
    with pytest.raises(BadOffer):
        await stage.begin(NewSession("nonsense"))
    with pytest.raises(NotFound):
        await stage.begin(replace(OFFER, avatar="nobody"))
    assert stage.service.engine.sessions == 0 and len(stage.service.sessions) == 0


async def test_a_full_server_says_so_and_a_place_given_back_is_free(stage: Stage) -> None:
    sessions = [await stage.begin() for _ in range(4)]
    with pytest.raises(Busy):
        await stage.begin()
    await sessions[0][0].end("deleted")
    await stage.begin()


async def test_a_session_that_fails_takes_nobody_with_it(stage: Stage) -> None:
    good, good_peer = await stage.begin()
    bad, bad_peer = await stage.begin()
    step = stage.avatar.step

    def poisoned(inputs, states):  # type: ignore[no-untyped-def]
        if any(state is bad._slot.state for state in states):
            raise RuntimeError("poisoned")
        return step(inputs, states)

    stage.avatar.step = poisoned  # type: ignore[method-assign]
    await until(lambda: bad.is_over)
    assert bad_peer.of_type("error")[0]["code"] == "session_failed"
    seen = len(good_peer.video)
    await until(lambda: len(good_peer.video) > seen + 5)
    assert not good.is_over


async def test_a_stalled_loop_moves_the_timeline_and_goes_on(stage: Stage) -> None:
    session, peer = await stage.begin()
    await until(lambda: len(peer.video) > 3)
    time.sleep(0.6)  # noqa: ASYNC251 - a stall is what this is about
    seen = len(peer.video)
    await asyncio.sleep(0.4)
    assert len(peer.video) - seen <= 18
    assert session.metrics.registry.get_sample_value("mouthpiece_moved_timelines_total") >= 1  # type: ignore[operator]


async def test_a_slow_engine_costs_pictures_and_no_sound(stage: Stage) -> None:
    stage.avatar.before_step = lambda: time.sleep(0.07)
    _, peer = await stage.begin()
    await asyncio.sleep(1.5)
    indices = [chunk.index for chunk in peer.audio]
    assert indices == list(range(indices[0], indices[0] + len(indices))) and len(indices) > 25
    assert sum(chunk.picture is None for chunk in peer.video) > 5
    assert all(chunk.audio.shape == (AUDIO_CHUNK,) for chunk in peer.audio)


async def test_a_stopping_server_lets_speech_end_and_takes_nobody_in(tmp_path: Path) -> None:
    made, peers, _ = service(config(tmp_path))
    await made.start()
    session, _ = await made.sessions.begin(OFFER)
    await session.speak("goodbye", None)
    await until(lambda: session.state == "speaking")
    stopping = asyncio.create_task(made.stop())
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="about to stop"):
        await made.sessions.begin(OFFER)
    await stopping
    assert session.is_over and peers.last.of_type("error")[0]["code"] == "server_stopping"
    assert sum(sound > 100 for sound, _ in levels(peers.last)) >= 6
