"""Every private name of aiortc 1.16 that the project touches, and the repair of its SDP negotiation that needs them.
May touch aiortc; nothing else here does. tests/test_aiortc_contract.py fails as soon as one of the names changes.
Senders and receivers of ours take the place of aiortc's inside a transceiver; ICE, DTLS, SCTP and SDP stay aiortc's.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpSender, RTCRtpTransceiver, sdp
from aiortc.rtcrtpparameters import RTCRtpCodecCapability, RTCRtpHeaderExtensionParameters
from aiortc.rtp import is_rtcp

from realtime.config import MediaConfig
from realtime.errors import BadOffer
from realtime.rtp import URI_PLAYOUT_DELAY
from realtime.rtp_receiver import MicrophoneReceiver
from realtime.rtp_sender import RtpSender

OFFER_MAX_CHARS = 200_000
AUDIO_CODEC = "opus"
VIDEO_CODECS = ("H264", "VP8")
"""In order of preference: x264 costs less than libvpx when a face moves, and every browser decodes it."""


def configuration(config: MediaConfig) -> RTCConfiguration:
    """ICE servers of the settings; none by default (aiortc's own default asks a public STUN server)."""
    servers = []
    for url in config.ice_urls:
        turn = url.startswith("turn")
        servers.append(
            RTCIceServer(
                urls=url,
                username=config.turn_username if turn else None,
                credential=config.turn_credential if turn else None,
            )
        )
    return RTCConfiguration(iceServers=servers)


def parse_offer(offer: str) -> sdp.SessionDescription:
    """The offer, checked for what a viewer may ask. Raises BadOffer with a sentence."""
    if not offer.strip():
        raise BadOffer("The offer is empty; send the SDP of a WebRTC offer.")
    if len(offer) > OFFER_MAX_CHARS:
        raise BadOffer(f"The offer is longer than {OFFER_MAX_CHARS} characters; send a plain SDP offer.")
    try:
        description = sdp.SessionDescription.parse(offer)
    except Exception as error:  # aiortc's parser raises whatever its line of code happens to raise
        raise BadOffer("The offer is not valid SDP; send what RTCPeerConnection.createOffer() made.") from error
    kinds = [media.kind for media in description.media]
    if "audio" not in kinds and "video" not in kinds:
        raise BadOffer("The offer has neither audio nor video; add a transceiver of at least one kind.")
    for kind in set(kinds):
        if kind not in ("audio", "video", "application"):
            raise BadOffer(f"The offer has a section '{kind}'; only audio, video and a data channel are understood.")
        if kinds.count(kind) > 1:
            raise BadOffer(f"The offer has {kinds.count(kind)} {kind} sections; offer one of each kind.")
    sections = {media.rtp.muxId for media in description.media}
    for group in description.group:
        if group.semantic == "BUNDLE" and not set(group.items) <= sections:
            # aiortc would take the section for one without a transport, and leave its sockets open.
            raise BadOffer("The offer bundles a section that it does not have; send what createOffer() made.")
    for media in description.media:
        names = {codec.name.lower() for codec in media.rtp.codecs}
        if media.kind == "audio" and AUDIO_CODEC not in names:
            raise BadOffer("The offer has no Opus; allow audio/opus.")
        if media.kind == "video" and not names & {name.lower() for name in VIDEO_CODECS}:
            raise BadOffer("The offer has neither H.264 nor VP8; allow video/H264 or video/VP8.")
        if any(not 0 <= candidate.port < 1 << 16 for candidate in media.ice_candidates):
            raise BadOffer("The offer has a candidate whose port is none; send what createOffer() made.")
        if media.dtls is None or not media.dtls.fingerprints:
            raise BadOffer("The offer has no DTLS fingerprint; send what RTCPeerConnection.createOffer() made.")
    return description


def without_mdns(offer: str) -> str:
    """The offer without `.local` candidates: resolving them takes seconds and needs multicast, while the browser's
    own checks reach us anyway. Nor is it the last word, so that ICE waits for those checks."""
    lines = offer.replace("\r\n", "\n").split("\n")
    mdns = [line for line in lines if line.startswith("a=candidate:") and ".local " in line]
    kept = [line for line in lines if line not in mdns and not (mdns and line == "a=end-of-candidates")]
    return "\r\n".join(kept)


def prefer_codecs(transceiver: RTCRtpTransceiver) -> None:
    """Opus, or our video codecs in our order with retransmission."""
    wanted = (AUDIO_CODEC,) if transceiver.kind == "audio" else (*VIDEO_CODECS, "rtx")
    known = RTCRtpSender.getCapabilities(transceiver.kind).codecs
    chosen: list[RTCRtpCodecCapability] = []
    for name in wanted:
        chosen += [codec for codec in known if codec.name.lower() == name.lower()]
    transceiver.setCodecPreferences(chosen)


def install_sender(transceiver: RTCRtpTransceiver, sender: RtpSender) -> None:
    """Put our sender where aiortc's was; before negotiation."""
    transceiver._RTCRtpTransceiver__sender = sender  # type: ignore[attr-defined]
    transceiver.receiver._set_rtcp_ssrc(sender._ssrc)


def install_receiver(transceiver: RTCRtpTransceiver, receiver: MicrophoneReceiver) -> None:
    """Put our receiver where aiortc's was; before negotiation."""
    receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
    transceiver._RTCRtpTransceiver__receiver = receiver  # type: ignore[attr-defined]


def transport_of(transceiver: RTCRtpTransceiver) -> Any:
    """The DTLS transport that a sender of this transceiver writes to."""
    return transceiver.sender.transport


def agree_playout_delay(transceiver: RTCRtpTransceiver, offer: sdp.SessionDescription) -> None:
    """Accept the playout-delay extension where the offer has it; between the remote and the local description."""
    for media in offer.media:
        if media.kind == transceiver.kind == "video":
            for extension in media.rtp.headerExtensions:
                if extension.uri == URI_PLAYOUT_DELAY:
                    accepted = RTCRtpHeaderExtensionParameters(id=extension.id, uri=extension.uri)
                    transceiver._headerExtensions = [*transceiver._headerExtensions, accepted]


def watch_connecting(connection: RTCPeerConnection, on_failure: Callable[[Exception], None]) -> None:
    """Tells of what goes wrong while ICE and DTLS connect; aiortc runs that in a task that nobody waits for, so that an
    offer which it cannot connect, or a close at the wrong moment, would be a traceback in the log."""
    alive, told = weakref.ref(connection), weakref.WeakMethod(on_failure)
    connect = RTCPeerConnection._RTCPeerConnection__connect  # type: ignore[attr-defined]

    async def connecting() -> None:
        try:
            await connect(alive())
        except Exception as error:  # of any kind: it is whatever a line of aiortc's raises
            if tell := told():
                tell(error)

    connection._RTCPeerConnection__connect = connecting  # type: ignore[attr-defined]


def read_datagrams(connection: RTCPeerConnection, hear: Callable[[bytes], None]) -> None:
    """The connection's RTP reaches `hear`, decrypted, in the turn of the event loop that read it; aiortc would pass it
    through a queue to a task, and parse what nobody asks for. Empty datagrams, at which aiortc would end the
    connection, and RTP that comes before the keys are left out. All else goes its way. To be called before the
    connection is made; aiortc's receivers hear no RTP then."""
    for transport in _transports(connection):
        _read_datagrams(transport, hear)


def _read_datagrams(transport: Any, hear: Callable[[bytes], None]) -> None:
    # Weakly held, or a closed connection would wait for Python's collector.
    ice = transport.transport._connection
    its, back, tell = weakref.ref(transport), weakref.ref(ice), weakref.WeakMethod(hear)
    queue_up = type(ice).data_received

    def received(data: bytes, component: int) -> None:
        transport, heard = its(), tell()
        if not data or transport is None or heard is None:
            return
        if not 127 < data[0] < 192 or is_rtcp(data):
            queue_up(back(), data, component)
            return
        transport._RTCDtlsTransport__rx_packets += 1
        transport._RTCDtlsTransport__rx_bytes += len(data)
        if transport._rx_srtp is not None:
            with contextlib.suppress(pylibsrtp.Error):
                heard(transport._rx_srtp.unprotect(data))

    ice.data_received = received


def _transports(connection: RTCPeerConnection) -> list[Any]:
    """The connection's DTLS transports, each once."""
    transports = {id(sender.transport): sender.transport for sender in connection.getSenders()}
    if connection.sctp is not None:
        transports[id(connection.sctp.transport)] = connection.sctp.transport
    return list(transports.values())


def packets_received(connection: RTCPeerConnection) -> int:
    """Datagrams that came over the connection's DTLS transports (media, reports, data; not ICE)."""
    return sum(t._get_stats()[t._stats_id].packetsReceived for t in _transports(connection))
