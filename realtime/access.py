"""Who may call: an optional bearer token, and the web origins whose pages may use this server.

Pure. The token is asked for by every call that makes, changes or ends something; looking is free.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from realtime.config import ServerConfig
from realtime.errors import Unauthorized

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def require_token(config: ServerConfig, authorization: str, query_token: str = "") -> None:
    """Raises Unauthorized unless the configured token comes as `Authorization: Bearer TOKEN` (RFC 6750).

    query_token: `?access_token=`, for WebSockets, where a browser cannot set the header.
    """
    if not config.token:
        return
    scheme, _, given = authorization.partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else query_token
    if not hmac.compare_digest(given.encode(), config.token.encode()):
        raise Unauthorized("this server asks for a token; send 'Authorization: Bearer TOKEN'")


def cors_headers(config: ServerConfig, origin: str) -> Mapping[str, str]:
    """Headers that let a page of `origin` read the answer (Fetch standard, CORS protocol); none for a stranger."""
    if not origin or ("*" not in config.allow_origins and origin not in config.allow_origins):
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in config.allow_origins else origin,
        "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Expose-Headers": "Location, Retry-After",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
