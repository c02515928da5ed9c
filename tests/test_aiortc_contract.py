"""Each name of aiortc beyond its public interface that we rely on: if one changes, this fails before users do."""

from __future__ import annotations

import inspect

import aiortc
import pylibsrtp
import pytest
from aioice.ice import StunProtocol
from aiortc import RTCConfiguration, RTCPeerConnection, sdp
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcpeerconnection import RTCPeerConnection as Connection
from aiortc.rtcrtpreceiver import RTCRtpReceiver, StreamStatistics
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSdesPacket, RtcpSenderInfo, RtcpSourceInfo

from realtime import aiortc_seam as seam
from realtime.jitter import JitterConfig
from realtime.rtp import MediaClock
from realtime.rtp_receiver import MicrophoneReceiver
from realtime.rtp_sender import RtpSender
from tests.fake_media import Client, until


def names_used_on(objects: str) -> set[str]:
    """Attributes that aiortc's connection and transport use on `objects`, such as 'sender'."""
    import re

    source = inspect.getsource(inspect.getmodule(Connection)) + inspect.getsource(inspect.getmodule(RTCDtlsTransport))
    source += inspect.getsource(aiortc.rtcrtptransceiver)
    return set(re.findall(rf"\b(?:self\.__)?{objects}\.(\w+)", source))


def test_the_version_is_the_one_that_was_read():
    assert aiortc.__version__ == "1.16.0"


async def test_our_sender_has_all_that_aiortc_asks_of_one():
    ours = RtpSender("video", None, "stream", MediaClock(), 90_000)
    missing = {name for name in names_used_on("sender") if not hasattr(ours, name)}
    assert missing == set()
    assert set(inspect.signature(RTCRtpSender.send).parameters) == set(inspect.signature(RtpSender.send).parameters)


async def test_our_receiver_has_all_that_aiortc_asks_of_one():
    ours = MicrophoneReceiver(None, JitterConfig(), lambda samples, at: None)
    missing = {name for name in names_used_on("receiver") if not hasattr(ours, name)}
    assert missing == {"_handle_rtp_packet"}, "RTP does not come that way: seam.read_datagrams"
    theirs = inspect.signature(RTCRtpReceiver._handle_rtcp_packet)
    assert list(theirs.parameters) == list(inspect.signature(MicrophoneReceiver._handle_rtcp_packet).parameters)


async def test_a_transceiver_takes_our_sender_and_receiver():
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("audio", "sendrecv")
    sender = RtpSender("audio", seam.transport_of(transceiver), "stream", MediaClock(), 48_000)
    receiver = MicrophoneReceiver(sender.transport, JitterConfig(), lambda samples, at: None)
    seam.install_sender(transceiver, sender)
    seam.install_receiver(transceiver, receiver)
    assert transceiver.sender is sender
    assert transceiver.receiver is receiver
    assert receiver._rtcp_ssrc == sender._ssrc
    assert connection.getSenders() == [sender]
    assert isinstance(seam.transport_of(transceiver), RTCDtlsTransport)
    assert seam.packets_received(connection) == 0
    await connection.close()


@pytest.mark.parametrize(
    "name", ["_send_rtp", "_register_rtp_sender", "_unregister_rtp_sender", "_register_rtp_receiver",
             "_unregister_rtp_receiver", "_get_stats"]
)  # fmt: skip
def test_the_transport_still_has(name: str):
    assert callable(getattr(RTCDtlsTransport, name))


class Ear:
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def hear(self, packet: bytes) -> None:
        self.heard.append(packet)


async def test_sound_is_heard_in_the_turn_that_read_it_and_all_else_goes_its_way():
    """As aioice hands over a datagram that is not STUN; the counts are those that tell whether a client lives."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transport = seam.transport_of(connection.addTransceiver("audio", "sendrecv"))
    ice, ear = transport.transport._connection, Ear()
    assert "receiver.data_received(data, self.local_candidate.component)" in inspect.getsource(StunProtocol)
    seam.read_datagrams(connection, ear.hear)
    ice.data_received(b"\x80\x60before the keys", 1)
    assert not ear.heard and ice._queue.empty()

    class Keys:
        def unprotect(self, data: bytes) -> bytes:
            if b"forged" in data:
                raise pylibsrtp.Error("authentication failed")
            return data.upper()

    transport._rx_srtp = Keys()
    for data in (b"\x80\x60sound", b"", b"\x80\x60forged"):
        ice.data_received(data, 1)
    assert ear.heard == [b"\x80\x60SOUND"] and ice._queue.empty()
    assert seam.packets_received(connection) == 3
    for data in (b"\x80\xc8report", b"\x16dtls"):
        ice.data_received(data, 1)
        assert ice._queue.get_nowait() == (data, 1)
    await connection.close()


async def test_codec_preferences_and_header_extensions_reach_the_answer():
    client = Client()
    offer = (await client.offer()).replace("a=extmap:3 ", "a=extmap:4 " + seam.URI_PLAYOUT_DELAY + "\r\na=extmap:3 ", 1)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in ("audio", "video"):
        seam.prefer_codecs(connection.addTransceiver(kind, "sendonly"))
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
    for transceiver in connection.getTransceivers():
        seam.agree_playout_delay(transceiver, sdp.SessionDescription.parse(offer))
    answer = sdp.SessionDescription.parse((await connection.createAnswer()).sdp)
    audio, video = answer.media[0], answer.media[1]
    assert [codec.name for codec in audio.rtp.codecs] == ["opus"]
    assert video.rtp.codecs[0].name == "H264"
    assert {codec.name for codec in video.rtp.codecs} == {"H264", "VP8", "rtx"}
    assert [e.id for e in video.rtp.headerExtensions if e.uri == seam.URI_PLAYOUT_DELAY] == [4]
    assert seam.URI_PLAYOUT_DELAY not in [e.uri for e in audio.rtp.headerExtensions]
    await connection.close()
    await client.close()


def test_reports_are_packed_and_read():
    info = RtcpSenderInfo(ntp_timestamp=1 << 40, rtp_timestamp=5, packet_count=6, octet_count=7)
    block = RtcpReceiverInfo(ssrc=1, fraction_lost=2, packets_lost=3, highest_sequence=4, jitter=5, lsr=6, dlsr=7)
    data = bytes(aiortc.rtp.RtcpSrPacket(ssrc=9, sender_info=info))
    data += bytes(RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=9, items=[(1, b"name")])]))
    data += bytes(RtcpRrPacket(ssrc=9, reports=[block]))
    report, _, receiver = RtcpPacket.parse(data)
    assert report.sender_info == info
    assert receiver.reports == [block]


def test_stream_statistics_have_what_a_report_needs():
    statistics = StreamStatistics(48_000)
    for number in (10, 11, 13):
        statistics.add(aiortc.rtp.RtpPacket(sequence_number=number, timestamp=number * 960))
    assert (statistics.cycles, statistics.max_seq, statistics.packets_lost) == (0, 13, 1)
    assert statistics.fraction_lost == 64
    assert statistics.jitter >= 0


async def test_what_goes_wrong_while_connecting_is_told():
    class Owner:
        def __init__(self) -> None:
            self.errors: list[Exception] = []

        def failed(self, error: Exception) -> None:
            self.errors.append(error)

    owner, client = Owner(), Client()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    seam.watch_connecting(connection, owner.failed)
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(await client.offer(), "offer"))

    async def broken(*_: object) -> None:
        raise RuntimeError("no transport")

    connection.getTransceivers()[0].receiver.transport.transport.start = broken
    await connection.setLocalDescription(await connection.createAnswer())
    await until(lambda: bool(owner.errors))
    assert str(owner.errors[0]) == "no transport"
    await connection.close()
    await client.close()
