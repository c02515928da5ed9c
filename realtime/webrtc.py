"""One viewer's connection: a session's chunks out as H.264 or VP8 and Opus, the microphone and JSON messages in.
May touch aiortc (through aiortc_seam) and the event loop; encodes pictures on a thread of its own.
Sound k and picture k carry one place on one media clock; whatever ends the connection ends in `on_closed`, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from realtime import aiortc_seam as seam
from realtime.codecs import PACKET_SAMPLES, VIDEO_ENCODERS, OpusEncoder, VideoEncoder
from realtime.config import MediaConfig
from realtime.errors import BadOffer
from realtime.jitter import JitterConfig, JitterCounts
from realtime.media import MediaChunk, MediaEnded, MediaSource, PeerEvents
from realtime.rtp import BitratePolicy, MediaClock, audio_level_dbov
from realtime.rtp_receiver import MicrophoneReceiver
from realtime.rtp_sender import RtpSender
from realtime.timebase import AUDIO_CHUNK, AUDIO_RATE, VIDEO_CLOCK, audio_pts, video_pts

logger = logging.getLogger(__name__)

CHANNEL_LABEL = "events"
MESSAGE_MAX_CHARS = 65_536
CHANNEL_MAX_BYTES = 262_144
"""What may wait in the data channel; a client that does not read loses messages beyond it."""

EARLY_MESSAGES = 32
"""Messages kept until the client has opened its channel."""

CONNECT_TIMEOUT_S = 20.0
SILENCE_S = 4.0
"""A live client reports on its video every second; so long without a word means that it is gone."""

WATCH_S = 0.5
KEY_FRAME_GAP = 8
"""Frames between two key frames that a receiver asks for."""

LEAST_VIDEO_BPS = 250_000


@dataclass(frozen=True, slots=True)
class PeerStats:
    """What one connection did so far. Milliseconds are of the last frame; None while unknown."""

    video_codec: str | None
    frames: int
    encode_ms: float
    video_bps: float
    target_bps: int
    rtt_ms: float | None
    loss: float | None
    jitter_ms: float
    microphone: JitterCounts


class Peer:
    """One connection. `answer` once, `close` when done; after either fails or ends, `events.on_closed` has been called.

    Owns `source` from now on and closes it at the end. All methods belong to the event loop.
    """

    def __init__(self, source: MediaSource, events: PeerEvents, config: MediaConfig) -> None:
        self._source, self._events, self._config = source, events, config
        self._clock, self._stream_id = MediaClock(), str(uuid.uuid4())
        self._senders: dict[str, RtpSender] = {}
        self._microphone: MicrophoneReceiver | None = None
        self._connection: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self._early: deque[str] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: asyncio.Task[None] | None = None
        self._connected = False
        self._encode_thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._frames, self._encode_ms = 0, 0.0
        pixels = source.size_px[0] * source.size_px[1]
        start_bps = int(config.video_bitrate_bps * min(2.5, max(0.5, pixels / 512**2)))
        most_bps = max(config.video_bitrate_max_bps, start_bps)
        self._bitrate = BitratePolicy(start_bps, min(LEAST_VIDEO_BPS, start_bps), most_bps)

    async def answer(self, offer_sdp: str) -> str:
        """The SDP answer, with all candidates. Raises BadOffer (and closes) if the offer cannot be answered."""
        if self._connection is not None or self._ending is not None:
            raise BadOffer("This connection has been negotiated already; open a new session instead.")
        try:
            offer = seam.parse_offer(offer_sdp)
            self._connection = connection = RTCPeerConnection(seam.configuration(self._config))
            seam.watch_connecting(connection, self._on_no_connection)
            connection.on("connectionstatechange", self._on_state)
            connection.on("datachannel", self._on_channel)
            for media in offer.media:
                if media.kind in ("audio", "video"):
                    self._add_transceiver(connection, media.kind)
            await connection.setRemoteDescription(RTCSessionDescription(seam.without_mdns(offer_sdp), "offer"))
            for transceiver in connection.getTransceivers():
                seam.agree_playout_delay(transceiver, offer)
            await connection.setLocalDescription(await connection.createAnswer())
            seam.read_datagrams(connection, self._on_rtp)
        except BadOffer:
            await self._end("bad offer")
            raise
        except Exception as error:
            await self._end("bad offer")
            raise BadOffer(f"The offer cannot be answered ({error}); make a new one in the browser.") from error
        if self._ending is not None:
            raise BadOffer("The connection was closed while it was being made; open a new session.")
        self._start(self._watch(), "watch")
        if "audio" in self._senders:
            self._start(self._pump_audio(self._senders["audio"]), "audio")
        if "video" in self._senders:
            self._start(self._pump_video(self._senders["video"]), "video")
        return connection.localDescription.sdp

    def send(self, message: dict[str, Any], most_waiting: int = CHANNEL_MAX_BYTES) -> None:
        """Send a JSON message. Kept (the first few) until the client opens its channel; dropped while `most_waiting`
        bytes have not been read."""
        text = json.dumps(message, ensure_ascii=False)
        if self._channel is None:
            if len(self._early) < EARLY_MESSAGES:
                self._early.append(text)
        elif self._channel.readyState == "open" and self._channel.bufferedAmount < most_waiting:
            self._channel.send(text)

    def rtp_origins(self) -> dict[str, int]:
        """RTP timestamp of chunk 0 on each track; chunk k is k · 3600 (video) or k · 1920 (audio) later."""
        return {kind: sender.origin for kind, sender in self._senders.items()}

    async def close(self) -> None:
        """End the connection and free all that it held. May be called at any time, and twice."""
        await self._end("closed")

    def stats(self) -> PeerStats:
        video = self._senders.get("video")
        rtts = [sender.rtt_s for sender in self._senders.values() if sender.rtt_s is not None]
        return PeerStats(
            video_codec=video.codec.name if video and video.codec else None,
            frames=self._frames,
            encode_ms=self._encode_ms,
            video_bps=video.sent_bps() if video else 0.0,
            target_bps=self._bitrate.bitrate_bps,
            rtt_ms=min(rtts) * 1000 if rtts else None,
            loss=video.loss if video else None,
            jitter_ms=self._microphone.buffer.delay_s * 1000 if self._microphone else 0.0,
            microphone=self._microphone.buffer.counts if self._microphone else JitterCounts(),
        )

    def _add_transceiver(self, connection: RTCPeerConnection, kind: str) -> None:
        transceiver = connection.addTransceiver(kind, "sendrecv" if kind == "audio" else "sendonly")
        seam.prefer_codecs(transceiver)
        rate = AUDIO_RATE if kind == "audio" else VIDEO_CLOCK
        sender = RtpSender(kind, seam.transport_of(transceiver), self._stream_id, self._clock, rate)
        seam.install_sender(transceiver, sender)
        self._senders[kind] = sender
        if kind == "audio":
            bounds = JitterConfig(
                min_delay_s=self._config.jitter_min_ms / 1000, max_delay_s=self._config.jitter_max_ms / 1000
            )
            self._microphone = MicrophoneReceiver(sender.transport, bounds, self._events.on_microphone)
            seam.install_receiver(transceiver, self._microphone)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(self._guard(work), name=f"peer {name}"))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task of this connection; its failure ends this connection and no other."""
        try:
            await work
        except MediaEnded:
            self._end("the session ended")
        except ConnectionError:
            self._end("connection lost")
        except Exception:
            logger.exception("a connection failed")
            self._end("internal error")

    async def _pump_audio(self, sender: RtpSender) -> None:
        await sender.started.wait()
        loop = asyncio.get_running_loop()
        encoder = OpusEncoder(self._config.audio_bitrate_bps)
        while True:
            chunk = await self._source.next_audio()
            due_s = loop.time()
            for start in range(0, AUDIO_CHUNK, PACKET_SAMPLES):
                # One packet at a time: a receiver's buffer takes a pair for jitter and waits 20 ms longer.
                if start:
                    await asyncio.sleep(max(0.0, due_s + start / AUDIO_RATE - loop.time()))
                samples, pts = self._source.part(chunk, start, start + PACKET_SAMPLES), audio_pts(chunk.index) + start
                await sender.send_frame([encoder.encode(samples, pts)], pts, audio_level_dbov(samples))

    async def _pump_video(self, sender: RtpSender) -> None:
        await sender.started.wait()
        loop = asyncio.get_running_loop()
        encoder = VIDEO_ENCODERS[sender.codec.name](self._bitrate.bitrate_bps)
        last_key = -KEY_FRAME_GAP
        while True:
            chunk = await self._source.next_video()
            key_frame = sender.key_frame_wanted and chunk.index - last_key >= KEY_FRAME_GAP
            if key_frame:
                sender.key_frame_wanted, last_key = False, chunk.index
            payloads = await loop.run_in_executor(self._encode_thread, self._encode, encoder, chunk, key_frame)
            if payloads:
                await sender.send_frame(payloads, video_pts(chunk.index))
                self._frames += 1
            if sender.estimate_bps is not None:
                encoder.bitrate_bps = self._bitrate.update(sender.estimate_bps, sender.sent_bps(), loop.time())

    def _encode(self, encoder: VideoEncoder, chunk: MediaChunk, key_frame: bool) -> list[bytes]:
        started_s = time.perf_counter()
        payloads = encoder.encode(chunk.picture, chunk.index, key_frame)
        self._encode_ms = (time.perf_counter() - started_s) * 1000
        return payloads

    async def _watch(self) -> None:
        """Notice a client that never comes, or has gone without a word."""
        assert self._connection is not None
        loop = asyncio.get_running_loop()
        began_s = heard_s = loop.time()
        packets = -1
        while True:
            await asyncio.sleep(WATCH_S)
            now_s, received = loop.time(), seam.packets_received(self._connection)
            if received != packets:
                heard_s, packets = now_s, received
            if not self._connected:
                if now_s - began_s > CONNECT_TIMEOUT_S:
                    self._end("never connected")
            elif now_s - heard_s > SILENCE_S and ("video" in self._senders or self._channel is not None):
                self._end("client gone")

    def _on_rtp(self, packet: bytes) -> None:
        if self._microphone is not None:
            self._microphone.hear(packet)

    def _on_no_connection(self, error: Exception) -> None:
        if self._ending is None:
            logger.info("a connection could not be made: %s", error)
        self._end("connection failed")

    def _on_state(self) -> None:
        assert self._connection is not None
        state = self._connection.connectionState
        if state == "connected" and not self._connected:
            self._connected = True
            self._events.on_connected()
        elif state in ("failed", "closed"):
            self._end("connection failed" if state == "failed" else "client closed")

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL_LABEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_text)
        while self._early:
            channel.send(self._early.popleft())

    def _on_text(self, text: str | bytes) -> None:
        message: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(text) if len(text) <= MESSAGE_MAX_CHARS else None
        if isinstance(message, dict):
            self._events.on_message(message)
        else:
            sentence = f"Messages are JSON objects of at most {MESSAGE_MAX_CHARS} characters with a 'type'."
            self.send({"type": "error", "code": "bad_message", "message": sentence})

    def _end(self, reason: str) -> asyncio.Future[None]:
        """Begin to close, if nobody did; the future is done when all is released."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._release(reason), name="peer release")
        return asyncio.shield(self._ending)

    async def _release(self, reason: str) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()  # a cancelled task keeps its frame, and with it an encoder
        try:
            if self._connection is not None:
                await self._connection.close()
        except Exception:
            logger.exception("closing a connection failed")
        self._encode_thread.shutdown(wait=False)
        # Break the circle of listeners, so that pictures are freed now and not at some later collection.
        if self._channel is not None:
            self._channel.remove_all_listeners()
        self._connection = None
        self._source.close()
        self._events.on_closed(reason)
