"""Every error has a fitting status, a code of its own and a sentence; none is a traceback."""

from __future__ import annotations

import pytest

from realtime import errors
from realtime.errors import Busy, MouthpieceError, TooMuchWaiting


def kinds(kind: type[MouthpieceError] = MouthpieceError) -> list[type[MouthpieceError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in kinds(below))]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_an_error_is_a_status_a_code_and_its_sentence(kind: type[MouthpieceError]) -> None:
    error = kind("do this instead")
    assert 400 <= error.status < 600
    assert error.body() == {"error": {"code": kind.default_code, "message": "do this instead"}}
    assert error.status == 500 or kind.default_code != "internal"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {line.strip(" │├└─").split()[0] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")}
    assert drawn == {kind.__name__ for kind in kinds()}


def test_codes_are_told_apart() -> None:
    codes = [kind.default_code for kind in kinds()]
    assert len(set(codes)) == len(codes)


def test_a_full_server_says_when_to_come_back() -> None:
    assert Busy("full", retry_after_s=7).headers == {"Retry-After": "7"}
    assert TooMuchWaiting("too fast").headers["Retry-After"] == "1"
