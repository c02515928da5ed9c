"""Everything that can go wrong for a caller, with its HTTP status, a code for programs and a sentence for people.

Values only. The sentence says what to do next; no traceback ever leaves the server.

    MouthpieceError 500
    ├── BadRequest 400              the request cannot be understood
    │   ├── BadOffer                not an SDP offer that we can answer
    │   ├── BadMessage              a message with an unknown type or wrong fields
    │   └── BadConfig               a wrong setting
    ├── Unauthorized 401            no bearer token, or a wrong one
    ├── NotFound 404                unknown session, avatar, path
    ├── Conflict 409                the thing exists, or may not be changed
    ├── TooLarge 413                text, upload or speech queue beyond its bound
    ├── Unprocessable 422           understood, but of no use
    │   ├── BadPhoto                not a picture, or no usable face in it
    │   └── BadSound                not sound
    ├── TooMuchWaiting 429          speech pushed faster than it can be played
    ├── SynthesisFailed 502         the text-to-speech program or server failed
    ├── Busy 503                    every slot is taken; says when to try again
    └── StorageFailed 507           the disk refused
"""

from __future__ import annotations

from typing import Any, ClassVar


class MouthpieceError(Exception):
    """`str(error)` is the sentence for the user."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code

    @property
    def headers(self) -> dict[str, str]:
        return {}

    def body(self) -> dict[str, Any]:
        """The JSON of an HTTP answer."""
        return {"error": {"code": self.code, "message": str(self)}}


class BadRequest(MouthpieceError):
    status = 400
    default_code = "bad_request"


class BadOffer(BadRequest):
    default_code = "bad_offer"


class BadMessage(BadRequest):
    default_code = "bad_message"


class BadConfig(BadRequest):
    default_code = "bad_config"


class Unauthorized(MouthpieceError):
    status = 401
    default_code = "unauthorized"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class NotFound(MouthpieceError):
    status = 404
    default_code = "not_found"


class Conflict(MouthpieceError):
    status = 409
    default_code = "conflict"


class TooLarge(MouthpieceError):
    status = 413
    default_code = "too_large"


class Unprocessable(MouthpieceError):
    status = 422
    default_code = "unprocessable"


class BadPhoto(Unprocessable):
    default_code = "bad_photo"


class BadSound(Unprocessable):
    default_code = "bad_sound"


class TooMuchWaiting(MouthpieceError):
    status = 429
    default_code = "too_much_waiting"

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_s)}


class SynthesisFailed(MouthpieceError):
    status = 502
    default_code = "synthesis_failed"


class Busy(MouthpieceError):
    status = 503
    default_code = "busy"

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_s)}


class StorageFailed(MouthpieceError):
    status = 507
    default_code = "storage_failed"
