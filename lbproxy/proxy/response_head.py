"""A backend's response head, read off its connection."""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer, StreamError, TimedOut, UpstreamError
from lbproxy.http.grammar import END
from lbproxy.http.h1.head_scan import HeadScan
from lbproxy.http.h1.tolerance import Tolerance
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.streams import HEAD_READ, Stream

MAX_RESPONSE_HEAD = 64 * 1024
"""Twice what a client may send: backends set many cookies. nginx refuses above 4-8 KiB and is cursed for it."""


def read_piece(stream: Stream, data: bytes) -> bytes:
    """More of a head of which `data` is here already. Raises UpstreamError: 504 when it does not come in time, 502 at the end."""
    cause: StreamError | None = None
    try:
        more = stream.read(HEAD_READ)
    except TimedOut as error:
        raise UpstreamError(504, "response_timeout", "no response head in time") from error
    except StreamError as error:
        more, cause = b"", error
    if not more:
        reason = "response_truncated" if data else "response_closed"
        raise UpstreamError(502, reason, "the backend closed before its response head was whole") from cause
    return more


def read_head(stream: Stream, data: bytes) -> tuple[bytes, int]:
    """(bytes with a whole head in front, where the head's empty line begins). `data`: what is here of it already.

    Raises UpstreamError as read_piece does, and RefusedAnswer when it does not end, or as soon as it can become no head.
    """
    scan = HeadScan()
    while True:
        if reason := scan.look(data):
            raise RefusedAnswer(reason, "what the backend sends can become no response head")
        searched = len(data)
        more = read_piece(stream, data)
        data = data + more if data else more
        end = data.find(END, searched - 3) if searched > 3 else data.find(END)
        limit_size(end if end >= 0 else len(data))
        if end >= 0:
            return data, end


def _read_tolerated(stream: Stream, data: bytes, tolerance: Tolerance) -> tuple[bytes, int]:
    """As read_head, but where the head ends, its empty line included."""
    searched = 0
    while (end := tolerance.end(data, searched)) < 0:
        if reason := tolerance.fault(data):
            raise RefusedAnswer(reason, "what the backend sends can become no response head")
        if len(data) > MAX_RESPONSE_HEAD:
            raise RefusedAnswer("response_head_too_large", f"a response head of more than {MAX_RESPONSE_HEAD} bytes")
        searched = max(0, len(data) - 3)
        more = read_piece(stream, data)
        data = data + more if data else more
    return data, end


def limit_size(size: int) -> None:
    """A head of so many bytes. Raises RefusedAnswer where that is too much."""
    if size > MAX_RESPONSE_HEAD:
        raise RefusedAnswer("response_head_too_large", f"a response head of more than {MAX_RESPONSE_HEAD} bytes")


def next_head(stream: Stream, data: bytes, heads: ResponseHeads, method: bytes) -> tuple[KnownHead, bytes]:
    """(the next head, as `heads` reads it, the bytes behind it); `data`: what is here of it already."""
    if heads.tolerance is not None:
        data, end = _read_tolerated(stream, data, heads.tolerance)
        return heads.read(data[:end], method), data[end:]
    end = data.find(END) if data else -1
    if end < 0:
        data, end = read_head(stream, data)
    elif end > MAX_RESPONSE_HEAD:
        limit_size(end)
    return heads.read(data[: end + 4], method), data[end + 4 :]
