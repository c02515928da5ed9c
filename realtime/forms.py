"""Forms from strangers: known fields, each read up to its bound and no further.

Touches the body of one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from realtime.errors import BadRequest, TooLarge


@dataclass(frozen=True, slots=True)
class Field:
    data: bytes
    filename: str = ""

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace").strip()


async def read_form(request: web.Request, files: Mapping[str, int], texts: Mapping[str, int]) -> dict[str, Field]:
    """The fields named, with the most bytes that each may have; others are ignored. A form without files may be
    URL-encoded too.

    Raises BadRequest, TooLarge.
    """
    if request.content_type == "application/x-www-form-urlencoded":
        given = await request.post()
        return {name: Field(str(given[name]).encode()) for name in texts if name in given}
    bounds = {**files, **texts}
    form = f"a form (multipart/form-data) with the field '{next(iter(bounds))}'"
    if request.content_type != "multipart/form-data":
        raise BadRequest(f"send {form}")
    fields: dict[str, Field] = {}
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name and part.name in bounds:
                fields[part.name] = Field(await _bounded(part, bounds[part.name]), part.filename or "")
    except (ValueError, AssertionError, HttpProcessingError) as error:
        raise BadRequest(f"the form is damaged; send {form}") from error
    return fields


async def _bounded(part: BodyPartReader, bound_bytes: int) -> bytes:
    data = bytearray()
    while piece := await part.read_chunk(65_536):
        data += piece
        if len(data) > bound_bytes:
            megabytes = bound_bytes / 1e6
            raise TooLarge(f"the field '{part.name}' is larger than {megabytes:g} MB; send a smaller one")
    return bytes(data)
