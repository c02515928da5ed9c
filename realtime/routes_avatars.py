"""The calls about avatars: list, upload, delete, thumbnail, style.

Touches HTTP. An upload is read up to a bound and no further; enrolment runs in a thread, one at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from pathlib import PurePath

from aiohttp import web

from models.by_hand import Anchors
from models.style import Style
from realtime import beside, protocol
from realtime.errors import BadRequest
from realtime.forms import read_form
from realtime.service import SERVICE

NAME_BYTES = 200
POINTS_BYTES = 2000
TITLE_CHARS = 60
NICENESS = 10
"""How far enrolment yields to live sessions. With 0 a tenth of their pictures and more were late meanwhile; that it may
hold the interpreter while it waits for its turn shows less."""


def add_routes(app: web.Application) -> None:
    app.router.add_get("/avatars", _list)
    app.router.add_post("/avatars", _add)
    app.router.add_delete("/avatars/{name}", _remove)
    app.router.add_get("/avatars/{name}/thumbnail.jpg", _thumbnail)
    app.router.add_put("/avatars/{name}/style", _restyle)
    app.router.add_patch("/avatars/{name}/style", _restyle)


async def _list(request: web.Request) -> web.Response:
    avatars = await asyncio.to_thread(request.app[SERVICE].store.list)
    return web.json_response([avatar.body() for avatar in avatars])


async def _add(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    upload = await _upload(request, service.config.avatars.max_upload_bytes)
    async with service.enrolling:
        avatar = await beside.work(
            service.store.add,
            *(upload.photo, upload.name, upload.title, None, upload.points),
            niceness=NICENESS,
        )
    service.avatars.prefetch(avatar.name)
    return web.json_response(avatar.body(), status=201, headers={"Location": f"/avatars/{avatar.name}"})


async def _remove(request: web.Request) -> web.Response:
    service, name = request.app[SERVICE], request.match_info["name"]
    await asyncio.to_thread(service.store.remove, name)
    service.avatars.forget(name)
    return web.Response(status=204)


async def _restyle(request: web.Request) -> web.Response:
    """PUT: this style and nothing else; PATCH: these settings over the avatar's present ones."""
    store, name = request.app[SERVICE].store, request.match_info["name"]
    settings = protocol.json_object(await request.read())
    base = (await asyncio.to_thread(store.find, name)).style if request.method == "PATCH" else Style()
    avatar = await asyncio.to_thread(store.set_style, name, protocol.apply_style(settings, base))
    return web.json_response(asdict(avatar.style))


async def _thumbnail(request: web.Request) -> web.Response:
    picture = await asyncio.to_thread(request.app[SERVICE].store.thumbnail, request.match_info["name"])
    return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "max-age=60"})


@dataclass(frozen=True, slots=True)
class _Upload:
    """title: the photo's file name without its ending; points: where its face is."""

    photo: bytes
    name: str | None
    title: str | None
    points: Anchors | None


async def _upload(request: web.Request, bound_bytes: int) -> _Upload:
    """The fields `photo`, `name` and `points` of a multipart form. Raises BadRequest, TooLarge, BadPhoto."""
    fields = await read_form(request, {"photo": bound_bytes}, {"name": NAME_BYTES, "points": POINTS_BYTES})
    if "photo" not in fields:
        raise BadRequest("the form has no field 'photo'; add the picture under that name")
    title = PurePath(fields["photo"].filename).stem[:TITLE_CHARS] or None
    name = fields["name"].text or None if "name" in fields else None
    points = protocol.anchors(fields["points"].data) if "points" in fields else None
    return _Upload(fields["photo"].data, name, title, points)
