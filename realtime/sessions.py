"""All sessions of a server: made from an offer, found by name, taken up again by token, drained at the end.

Touches the event loop. A session that cannot be connected is ended at once, so that a bad offer holds no place.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from typing import Protocol

from realtime import memory
from realtime.config import MediaConfig
from realtime.connection import Carrier, Connection
from realtime.errors import Busy, NotFound
from realtime.media import MediaSource, PeerEvents
from realtime.protocol import NewSession
from realtime.session import Session
from realtime.shared import Shared

DRAIN_STEP_S = 0.1
TIDY_S = 2.0
"""After the last end of a session, until its memory goes back to the system."""


class Answerer(Carrier, Protocol):
    """What is needed of `webrtc.Peer` to make a connection."""

    async def answer(self, offer_sdp: str) -> str: ...


PeerMaker = Callable[[MediaSource, PeerEvents, MediaConfig], Answerer]


class Sessions:
    """default_avatar: the name to use when a client names none. sign: what names and tokens of sessions begin with."""

    def __init__(
        self,
        shared: Shared,
        make_peer: PeerMaker,
        media: MediaConfig,
        default_avatar: Callable[[], str],
        sign: str = "",
    ) -> None:
        self._shared = shared
        self._make_peer = make_peer
        self._media = media
        self._default_avatar = default_avatar
        self._sessions: dict[str, Session] = {}
        self._views: dict[tuple[str, str], Connection] = {}
        self.sign = sign
        self._draining = False
        self._tidying: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, session_id: str) -> Session:
        """Raises NotFound."""
        session = self._sessions.get(session_id)
        if session is None or session.is_over:
            raise NotFound("there is no such session; it may have ended, so start a new one", "unknown_session")
        return session

    async def begin(self, request: NewSession) -> tuple[Session, str]:
        """A new session, or one taken up again, and its SDP answer. Raises Busy, NotFound, BadPhoto, BadOffer."""
        if self._draining:
            raise Busy("this server is about to stop; try another, or again in a minute", retry_after_s=30)
        if request.resume_token:
            session = self._by_token(request.resume_token)
            return session, await self._connect(session, request.sdp, is_speaker=True)
        if self._shared.engine.sessions >= self._shared.engine.capacity:
            raise Busy(f"all {self._shared.engine.capacity} places are taken; try again in a moment")
        name = request.avatar
        if name is None:
            name = await asyncio.to_thread(self._default_avatar)
        avatar = await self._shared.load_avatar(name)
        look_ahead_ms = request.look_ahead_ms
        if look_ahead_ms is None:
            look_ahead_ms = self._shared.config.look_ahead_ms
        style = await asyncio.to_thread(self._shared.style_of, name)
        session = Session(
            self.sign + secrets.token_urlsafe(9), avatar, look_ahead_ms, style, self._shared, self._forget
        )
        session.resume_token = self.sign + session.resume_token
        self._sessions[session.id] = session
        self._shared.metrics.sessions.set(len(self._sessions))
        session.start()
        try:
            return session, await self._connect(session, request.sdp, is_speaker=True)
        except BaseException:
            await session.end("refused")
            raise

    async def view(self, session_id: str, sdp: str) -> tuple[str, str]:
        """Another viewer of a session: its own id, and the SDP answer. Raises NotFound, Busy, BadOffer."""
        view_id = secrets.token_urlsafe(6)
        return view_id, await self._connect(self.find(session_id), sdp, is_speaker=False, view_id=view_id)

    async def end_view(self, session_id: str, view_id: str) -> None:
        """Raises NotFound."""
        connection = self._views.pop((session_id, view_id), None)
        if connection is None or connection.closed:
            raise NotFound("there is no such viewer; it may have left already", "unknown_viewer")
        await connection.close()

    async def drain(self, seconds: float) -> int:
        """Takes nobody in any more, lets what is being said end (at most `seconds`), then ends every session. Returns
        how many were still speaking."""
        self._draining = True
        if self._tidying:
            self._tidying.cancel()
        for session in self._sessions.values():
            session.tell(
                {"type": "error", "code": "server_stopping", "message": "the server is about to stop; reconnect soon"}
            )

        def speaking() -> int:
            return sum(session.state == "speaking" for session in self._sessions.values())

        for _ in range(round(seconds / DRAIN_STEP_S)):
            if not speaking():
                break
            await asyncio.sleep(DRAIN_STEP_S)
        cut_off = speaking()
        await asyncio.gather(*(session.end("stopped") for session in list(self._sessions.values())))
        return cut_off

    def _by_token(self, token: str) -> Session:
        for session in self._sessions.values():
            if not session.is_over and hmac.compare_digest(session.resume_token.encode(), token.encode()):
                return session
        raise NotFound("this session is over; start a new one", "unknown_session")

    async def _connect(self, session: Session, sdp: str, is_speaker: bool, view_id: str = "") -> str:
        source = session.subscribe()
        connection = Connection(session, source, is_speaker)
        try:
            peer = self._make_peer(source, connection, self._media)
            connection.carrier = peer
            answer = await peer.answer(sdp)
        except BaseException:
            await connection.close()
            raise
        if session.is_over:
            await connection.close()
            raise NotFound("this session has just ended; start a new one", "unknown_session")
        for replaced in session.add_connection(connection):
            await replaced.close()
        if view_id:
            self._views[session.id, view_id] = connection
        return answer

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        self._views = {key: view for key, view in self._views.items() if key[0] != session.id and not view.closed}
        self._shared.metrics.sessions.set(len(self._sessions))
        if self._tidying:
            self._tidying.cancel()
        if not self._draining:
            loop = asyncio.get_running_loop()
            self._tidying = loop.call_later(TIDY_S, loop.run_in_executor, None, memory.give_back)
