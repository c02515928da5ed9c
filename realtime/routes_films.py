"""The calls about films: make one of a face and a recording or a text, ask how it goes, fetch it.

Touches HTTP; the work is done in `films`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from models.style import Style
from realtime import protocol
from realtime.errors import BadRequest, Conflict
from realtime.films import Film, Wanted
from realtime.forms import Field, read_form
from realtime.photos import decode_photo
from realtime.service import SERVICE, Service

SHORT_BYTES = 200
STYLE_BYTES = 4000
BYTES_PER_CHARACTER = 4
HEADERS = {"Cache-Control": "private, max-age=600", "X-Content-Type-Options": "nosniff"}


def add_routes(app: web.Application) -> None:
    app.router.add_post("/films", _add)
    app.router.add_get("/films/{id}", _tell)
    app.router.add_get("/films/{id}/film.mp4", _fetch)
    app.router.add_delete("/films/{id}", _remove)


async def _add(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    service.films.require_room()
    config = service.config
    files = {"photo": config.avatars.max_upload_bytes, "audio": config.films.max_audio_bytes}
    texts = {
        "avatar": SHORT_BYTES,
        "text": config.session.max_text_chars * BYTES_PER_CHARACTER,
        "voice": SHORT_BYTES,
        "style": STYLE_BYTES,
    }
    film = await service.films.add(await _wanted(service, await read_form(request, files, texts)))
    return web.json_response(film.body(), status=202, headers={"Location": f"/films/{film.id}"})


async def _wanted(service: Service, fields: dict[str, Field]) -> Wanted:
    if ("photo" in fields) == ("avatar" in fields):
        raise BadRequest("give the form either a field 'photo' (a picture) or 'avatar' (the name of a stored one)")
    if ("audio" in fields) == ("text" in fields):
        raise BadRequest("give the form either a field 'audio' (a sound file) or 'text' (what is to be said)")
    if "photo" in fields:
        photo, name, base = fields["photo"].data, None, Style()
        await asyncio.to_thread(decode_photo, photo, service.config.avatars.max_pixels)
    else:
        avatar = await asyncio.to_thread(service.store.find, fields["avatar"].text)
        photo, name, base = None, avatar.name, avatar.style
    settings = protocol.json_object(fields["style"].data) if "style" in fields else {}
    style = protocol.as_settings(protocol.apply_style(settings, base))
    if "audio" in fields:
        return Wanted(style, photo, name, audio=fields["audio"].data)
    voice = fields["voice"].text if "voice" in fields else None
    wanted = protocol.speak({"text": fields["text"].text, "voice": voice}, service.config.session.max_text_chars)
    return Wanted(style, photo, name, text=wanted.text, voice=wanted.voice)


async def _tell(request: web.Request) -> web.Response:
    return web.json_response(_film(request).body(), headers={"Cache-Control": "no-store"})


async def _fetch(request: web.Request) -> web.FileResponse:
    film = _film(request)
    if film.state != "done":
        raise Conflict("this film is not ready; ask /films/{id} how it goes", "not_ready")
    disposition = {"Content-Disposition": 'attachment; filename="mouthpiece.mp4"'}
    return web.FileResponse(film.file, headers=HEADERS | {"Content-Type": "video/mp4"} | disposition)


async def _remove(request: web.Request) -> web.Response:
    await request.app[SERVICE].films.remove(request.match_info["id"])
    return web.Response(status=204)


def _film(request: web.Request) -> Film:
    return request.app[SERVICE].films.find(request.match_info["id"])
