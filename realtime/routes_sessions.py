"""The calls that begin, drive and end sessions. Signalling takes WHIP's form (RFC 9725); JSON is the other.

Touches HTTP; what a request means is decided in `protocol`, what is done about it in `sessions`.
"""

from __future__ import annotations

from aiohttp import web

from realtime import protocol
from realtime.errors import BadMessage, BadRequest
from realtime.motion_socket import serve_motion
from realtime.pcm_socket import serve_pcm
from realtime.protocol import NewSession
from realtime.service import SERVICE
from realtime.session import Session

SDP = "application/sdp"


def add_routes(app: web.Application) -> None:
    app.router.add_post("/sessions", _begin)
    app.router.add_delete("/sessions/{id}", _end)
    app.router.add_post("/sessions/{id}/view", _view)
    app.router.add_delete("/sessions/{id}/view/{view}", _end_view)
    app.router.add_post("/sessions/{id}/speak", _speak)
    app.router.add_post("/sessions/{id}/interrupt", _interrupt)
    app.router.add_post("/sessions/{id}/style", _restyle)
    app.router.add_get("/sessions/{id}/audio", _audio)
    app.router.add_get("/sessions/{id}/motion", _motion)


async def _begin(request: web.Request) -> web.Response:
    if request.content_type == "application/json":
        wanted = protocol.new_session(await _json(request))
    else:
        query = request.query
        wanted = NewSession(
            sdp=await _sdp(request),
            avatar=query.get("avatar") or None,
            look_ahead_ms=protocol.look_ahead(query["look_ahead_ms"]) if "look_ahead_ms" in query else None,
            resume_token=query.get("resume_token") or None,
        )
    session, answer = await request.app[SERVICE].sessions.begin(wanted)
    headers = {"Location": f"/sessions/{session.id}"}
    if request.content_type == "application/json":
        body = {"id": session.id, "sdp": answer, "type": "answer", "resume_token": session.resume_token}
        return web.json_response(body, status=201, headers=headers)
    return web.Response(text=answer, status=201, content_type=SDP, headers=headers)


async def _end(request: web.Request) -> web.Response:
    await _session(request).end("deleted")
    return web.Response(status=204)


async def _view(request: web.Request) -> web.Response:
    session = _session(request)
    view_id, answer = await request.app[SERVICE].sessions.view(session.id, await _sdp(request))
    headers = {"Location": f"/sessions/{session.id}/view/{view_id}"}
    return web.Response(text=answer, status=201, content_type=SDP, headers=headers)


async def _end_view(request: web.Request) -> web.Response:
    await request.app[SERVICE].sessions.end_view(request.match_info["id"], request.match_info["view"])
    return web.Response(status=204)


async def _speak(request: web.Request) -> web.Response:
    session = _session(request)
    wanted = protocol.speak(await _json(request), session.config.max_text_chars)
    mistakes = await session.speak(wanted.text, wanted.voice)
    return web.json_response({"warnings": mistakes} if mistakes else {}, status=202)


async def _interrupt(request: web.Request) -> web.Response:
    _session(request).interrupt()
    return web.Response(status=204)


async def _restyle(request: web.Request) -> web.Response:
    session = _session(request)
    return web.json_response(await session.restyle(protocol.restyle(await _json(request))))


async def _audio(request: web.Request) -> web.StreamResponse:
    session = _session(request)
    _require_socket(request)
    return await serve_pcm(request, session)


async def _motion(request: web.Request) -> web.StreamResponse:
    session = _session(request)
    _require_socket(request)
    return await serve_motion(request, session)


def _require_socket(request: web.Request) -> None:
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise BadRequest("this address speaks WebSocket; open it with ws:// or wss://")


def _session(request: web.Request) -> Session:
    return request.app[SERVICE].sessions.find(request.match_info["id"])


async def _json(request: web.Request) -> dict[str, object]:
    return protocol.json_object(await request.read())


async def _sdp(request: web.Request) -> str:
    """The offer in the body. Raises BadRequest if it is announced as something else."""
    if request.content_type not in (SDP, "text/plain", "application/octet-stream"):
        raise BadRequest(f"send the offer as {SDP}, or as JSON with 'sdp'")
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError as error:
        raise BadMessage("the offer is not text; send the SDP as the browser made it") from error
