"""A response head is found wherever the pieces end, and refused when it never does."""

from __future__ import annotations

import pytest

from lbproxy.errors import ConnectionLost, TimedOut, UpstreamError
from lbproxy.http.heads import ResponseHeads
from lbproxy.proxy.response_head import MAX_RESPONSE_HEAD, next_head, read_head
from lbproxy.streams import Stream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class Pieces(Stream):
    """Gives these, then ends or fails."""

    def __init__(self, *pieces: bytes, end: Exception | None = None) -> None:
        self._left: list[bytes | Exception] = [*pieces, end or b""]

    def read(self, limit: int) -> bytes:
        piece = self._left.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece


@pytest.mark.parametrize("at", range(1, len(HEAD)))
def test_found_at_every_split(at: int) -> None:
    assert read_head(Pieces(HEAD[at:] + b"ok"), HEAD[:at]) == (HEAD + b"ok", len(HEAD) - 4)
    assert read_head(Pieces(HEAD[:at], HEAD[at:]), b"") == (HEAD, len(HEAD) - 4)


@pytest.mark.parametrize("here", [0, 1, 2], ids=["comes", "begins", "is here"])
def test_one_that_is_too_large_is_so_however_it_comes(here: int) -> None:
    """Also when one read brings all of it."""
    raw = HEAD[:-2] + b"X: " + b"x" * MAX_RESPONSE_HEAD + b"\r\n\r\n"
    at = len(raw) * here // 2
    with pytest.raises(UpstreamError, match="more than"):
        next_head(Pieces(raw[at:]), raw[:at], ResponseHeads(100), b"GET")


@pytest.mark.parametrize(
    ("pieces", "end", "status", "reason"),
    [
        ([], None, 502, "response_closed"),
        ([], ConnectionLost("reset"), 502, "response_closed"),
        ([HEAD[:5]], None, 502, "response_truncated"),
        ([HEAD[:5]], TimedOut("late"), 504, "response_timeout"),
        ([HEAD[:-2] + b"X: " + b"x" * 10_000, *[b"x" * 10_000] * 6], None, 502, "response_head_too_large"),
        ([HEAD[:-2] + b"X: " + b"x" * MAX_RESPONSE_HEAD + b"\r\n\r\n"], None, 502, "response_head_too_large"),
        ([b"x"], None, 502, "response_not_http"),
        ([HEAD[:17], b"Content-Le\n"], None, 502, "response_bare_lf"),
    ],
)
def test_what_is_no_head(pieces: list[bytes], end: Exception | None, status: int, reason: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_head(Pieces(*pieces, end=end), b"")
    assert (caught.value.status, caught.value.reason) == (status, reason)


def test_the_limit_is_twice_a_clients() -> None:
    assert MAX_RESPONSE_HEAD == 2 * 32 * 1024
