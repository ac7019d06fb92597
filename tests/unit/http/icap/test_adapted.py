"""Heads in a verdict, made sound: lengths are ours, the rest is read as strictly as any other."""

from __future__ import annotations

import pytest

from lbproxy.http.h1.request import parse_request
from lbproxy.http.icap.adapted import answer, request, shown
from lbproxy.http.icap.answers import BadIcapAnswer

DATE = b"\r\nDate: today"
ORIGINAL = parse_request(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 100, 100)


def test_an_answer_as_servers_write_it() -> None:
    """HTTP/1.0, LF, folds, lengths of another body, chunks that are none."""
    head = b"HTTP/1.0 403 Forbidden\nContent-Type: text/html\nX: a\n\tb\nContent-Length: 7\nTransfer-Encoding: chunked\n\n"
    read, out = answer(head, b"GET", 9, DATE)
    assert (read.status, read.body) == (403, 9)
    fields = b"Content-Type: text/html\r\nX: a b\r\nContent-Length: 9\r\nVia: 1.1 lbproxy\r\nDate: today"
    assert out == b"HTTP/1.1 403 Forbidden\r\n%b\r\n\r\n" % fields


def test_an_answer_that_was_ours() -> None:
    """Via and Date are there once; one without a body has no length."""
    _, out = answer(b"HTTP/1.1 204 No Content\r\nDate: x\r\nVia: 1.1 lbproxy\r\n\r\n", b"GET", 0, DATE)
    assert out == b"HTTP/1.1 204 No Content\r\nDate: x\r\nVia: 1.1 lbproxy\r\n\r\n"


@pytest.mark.parametrize("head", [b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 101 Go\r\n\r\n", b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", b"",
                                  b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n"])  # fmt: skip
def test_no_answer(head: bytes) -> None:
    """Nothing that two readers could read in two ways."""
    with pytest.raises(BadIcapAnswer):
        answer(head, b"GET", 0, DATE)


def test_another_request() -> None:
    """Its length is that of its body; the log and retries go by its method."""
    head, out = request(b"PUT /b HTTP/1.0\r\nHost: b\r\nContent-Length: 3\r\nConnection: x\r\n\r\n", ORIGINAL, 5)
    assert out == b"PUT /b HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n"
    assert (head.method, head.target, head.body) == (b"PUT", b"/a", 5)


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\nHost: a\r\n\r\n",
                                  b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"])  # fmt: skip
def test_no_request(head: bytes) -> None:
    """The same for requests."""
    with pytest.raises(BadIcapAnswer):
        request(head, ORIGINAL, 0)


def test_what_servers_are_shown() -> None:
    """Nothing of a connection that is none of theirs."""
    hops = b"TE: trailers\r\nConnection: TE\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + hops + b"A: b\r\n\r\n"
    assert shown(head) == b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"
