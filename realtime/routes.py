"""The HTTP side of a server: an aiohttp application with every call of docs/architecture.md.

Touches HTTP. Whatever goes wrong is answered as JSON with one sentence; a traceback goes to the log, never to a
client.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from realtime import access, routes_avatars, routes_films, routes_pages, routes_sessions
from realtime.config import Config
from realtime.errors import MouthpieceError
from realtime.service import SERVICE, Service

log = logging.getLogger(__name__)

OPEN_BODY_BYTES = 262_144
"""Largest body of a call that is not an upload: SDP and JSON."""

SENTENCES = {
    404: "there is nothing here; GET / is the page, and docs/architecture.md lists the calls",
    405: "this address does not take that method; docs/architecture.md lists the calls",
    413: f"the request is larger than {OPEN_BODY_BYTES // 1024} KiB; send less",
}


def create_app(config: Config, service: Service) -> web.Application:
    """An application that serves `service`, which is started and stopped by the caller."""
    app = web.Application(middlewares=[_answer_errors, _check_token], client_max_size=OPEN_BODY_BYTES)
    app[SERVICE] = service
    app.on_response_prepare.append(_add_cors(config))
    app.router.add_get("/healthz", _health)
    if service.sessions.sign:  # one process among several, on a socket that only their front reaches
        app.router.add_delete("/warm/{name}", _cool)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/voices", _voices)
    app.router.add_get("/ice", _ice)
    routes_sessions.add_routes(app)
    routes_avatars.add_routes(app)
    routes_films.add_routes(app)
    routes_pages.add_routes(app)
    return app


async def _health(request: web.Request) -> web.Response:
    engine = request.app[SERVICE].engine
    return web.json_response(
        {"status": "ok", "sessions": engine.sessions, "capacity": engine.capacity, "version": _version()}
    )


async def _cool(request: web.Request) -> web.Response:
    """The avatar was changed by another process."""
    request.app[SERVICE].avatars.forget(request.match_info["name"])
    return web.Response(status=204)


async def _metrics(request: web.Request) -> web.Response:
    text = request.app[SERVICE].metrics.text()
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def _voices(request: web.Request) -> web.Response:
    voices = await request.app[SERVICE].synthesizer.voices()
    return web.json_response(
        [{"name": voice.name, "language": voice.language, "title": voice.title} for voice in voices]
    )


async def _ice(request: web.Request) -> web.Response:
    media = request.app[SERVICE].config.media
    if not media.ice_urls:
        return web.json_response([])
    server: dict[str, Any] = {"urls": list(media.ice_urls)}
    if media.turn_username:
        server |= {"username": media.turn_username, "credential": media.turn_credential}
    return web.json_response([server])


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except MouthpieceError as error:
        answer = error
    except web.HTTPException as error:
        if error.status < 400:
            raise
        sentence = SENTENCES.get(error.status, f"the request was refused ({error.reason}); check how it was sent")
        code = error.reason.lower().replace(" ", "_")
        return _refusal(request, error.status, {"error": {"code": code, "message": sentence}}, _allowed(error))
    except ConnectionResetError:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        answer = MouthpieceError("this failed on the server; the server's log says why")
    return _refusal(request, answer.status, answer.body(), answer.headers)


@web.middleware
async def _check_token(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(status=204)
    is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
    if is_socket or request.method not in access.SAFE_METHODS:
        query_token = request.query.get("access_token", "") if is_socket else ""
        server = request.app[SERVICE].config.server
        access.require_token(server, request.headers.get("Authorization", ""), query_token)
    return await handler(request)


def _add_cors(config: Config) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(access.cors_headers(config.server, request.headers.get("Origin", "")))

    return add


def _refusal(request: web.Request, status: int, body: dict[str, Any], headers: dict[str, str]) -> web.Response:
    request.app[SERVICE].metrics.refused.labels(body["error"]["code"]).inc()
    return web.json_response(body, status=status, headers=headers)


def _allowed(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def _version() -> str:
    try:
        return version("mouthpiece")
    except PackageNotFoundError:
        return "unknown"
