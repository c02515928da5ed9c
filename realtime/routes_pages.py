"""The page and its files, straight from the `web_client` folder.

Touches that folder, read only. Nothing is built, and nothing is cached without asking.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from realtime.errors import NotFound

FOLDER = Path(__file__).parents[1] / "web_client"
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


def add_routes(app: web.Application) -> None:
    app.router.add_get("/", _page)
    app.router.add_get("/view/{id}", _view)
    app.router.add_get("/motion/{id}", _motion)
    app.router.add_get("/web/{file:.+}", _file)
    app.router.add_get("/favicon.ico", _icon)


async def _page(request: web.Request) -> web.FileResponse:
    return _answer("index.html")


async def _view(request: web.Request) -> web.FileResponse:
    return _answer("view.html")


async def _motion(request: web.Request) -> web.FileResponse:
    return _answer("motion.html")


async def _file(request: web.Request) -> web.FileResponse:
    return _answer(request.match_info["file"])


async def _icon(request: web.Request) -> web.Response:
    return web.Response(status=204)


def _answer(name: str) -> web.FileResponse:
    """A file below the folder, by a name that came from outside."""
    file = (FOLDER / name).resolve()
    if not file.is_relative_to(FOLDER.resolve()) or file.suffix not in TYPES or not file.is_file():
        raise NotFound(f"the page has no file '{name[:80]}'")
    return web.FileResponse(file, headers={**HEADERS, "Content-Type": f"{TYPES[file.suffix]}; charset=utf-8"})
