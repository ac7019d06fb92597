"""Where bodies end."""

from __future__ import annotations

from itertools import product

import pytest

from lbproxy.errors import RequestError, UpstreamError
from lbproxy.http.framing import misplaced, request_body, response_body
from lbproxy.http.message import CHUNKED, NO_BODY, UNTIL_CLOSE

Values = tuple[bytes, ...]

LENGTHS: tuple[Values, ...] = ((), (b"0",), (b"7",), (b"7", b"7"), (b"",), (b"-7",), (b"7, 7",), (b"x",), (b"1" * 16,))
CODINGS: tuple[Values, ...] = ((), (b"chunked",), (b"gzip, chunked",), (b"chunked", b"chunked"), (b"",), (b"identity",))


def request_verdict(lengths: Values, codings: Values, minor: int) -> int | None:
    """None when refused."""
    try:
        return request_body(lengths, codings, minor)
    except RequestError as error:
        return None if error.status == 400 else error.status


def response_verdict(head_only: bool, status: int, lengths: Values, codings: Values, minor: int) -> int | None:
    """None when refused."""
    try:
        return response_body(head_only, status, lengths, codings, minor)
    except UpstreamError as error:
        return None if error.status == 502 and not error.nothing_sent else error.status


def sound(minor: int, neither: int) -> dict[tuple[Values, Values], int]:
    """What is not refused; `neither`: the meaning of no field at all."""
    verdicts: dict[tuple[Values, Values], int] = {((), ()): neither, ((b"0",), ()): 0, ((b"7",), ()): 7}
    if minor:
        verdicts[(), (b"chunked",)] = CHUNKED
    return verdicts


@pytest.mark.parametrize("minor", [0, 1])
def test_request(minor: int) -> None:
    """Every pair of fields: one plain length, or one `chunked` on 1.1, or neither; all else is refused."""
    for lengths, codings in product(LENGTHS, CODINGS):
        wanted = sound(minor, NO_BODY).get((lengths, codings))
        assert request_verdict(lengths, codings, minor) == wanted, (lengths, codings)


@pytest.mark.parametrize("minor", [0, 1])
def test_response(minor: int) -> None:
    """As with requests, but neither field means: until the end of the connection."""
    for lengths, codings in product(LENGTHS, CODINGS):
        wanted = sound(minor, UNTIL_CLOSE).get((lengths, codings))
        assert response_verdict(False, 200, lengths, codings, minor) == wanted, (lengths, codings)


@pytest.mark.parametrize(("status", "head_only"), [(200, True), (404, True)])
def test_response_without_body(status: int, head_only: bool) -> None:
    """Answers to HEAD announce the body they would have; what is refused elsewhere is refused here."""
    for lengths, codings, minor in product(LENGTHS, CODINGS, (0, 1)):
        wanted = NO_BODY if (lengths, codings) in sound(minor, NO_BODY) else None
        assert response_verdict(head_only, status, lengths, codings, minor) == wanted, (lengths, codings, minor)


@pytest.mark.parametrize(("status", "head_only"), [(103, False), (101, False), (100, True)])
def test_response_that_can_have_none(status: int, head_only: bool) -> None:
    """A 1xx that announces a body is refused: whoever believes it waits for the next response's bytes."""
    for lengths, codings, minor in product(LENGTHS, CODINGS, (0, 1)):
        wanted = NO_BODY if not codings and lengths in ((), (b"0",)) else None
        assert response_verdict(head_only, status, lengths, codings, minor) == wanted, (lengths, codings, minor)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("head_only", [False, True])
def test_response_that_ends_at_its_head(status: int, head_only: bool) -> None:
    """Whatever stands there. What does not belong there is told: only a length that a 304 may have, or a zero, does."""
    for lengths, codings, minor in product(LENGTHS, CODINGS, (0, 1)):
        assert response_verdict(head_only, status, lengths, codings, minor) == NO_BODY
        belongs = not codings and (lengths in ((), (b"0",)) or (status == 304 and lengths == (b"7",)))
        assert misplaced(status, lengths, codings) is not belongs, (lengths, codings)


def test_largest_length() -> None:
    """Fifteen digits."""
    assert request_body([b"9" * 15], [], 1) == 10**15 - 1
