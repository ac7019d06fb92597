"""The throw-away backends' HTTP: strict about heads and framing, streaming about bodies."""

from __future__ import annotations

import asyncio

import pytest

from lbproxy.demo.requests import BadRequest, DemoExchange, DemoRequest, parse_head, read_request


def head(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def test_a_request() -> None:
    """Names as they came, values trimmed, found whatever their case."""
    request = parse_head(head("GET /slow?ms=5&ms=6 HTTP/1.1", "Host: a", "X-Y:  z \t", "x-y: w"))
    assert (request.method, request.path, request.query("ms"), request.query("no")) == ("GET", "/slow", "5", "")
    assert request.fields == [("Host", "a"), ("X-Y", "z"), ("x-y", "w")]
    assert request.values("x-y") == ["z", "w"]
    assert (request.length, request.keep_alive) == (0, True)


@pytest.mark.parametrize(("lines", "keep_alive"), [
    (("GET / HTTP/1.1",), True), (("GET / HTTP/1.1", "Connection: x, Close"), False), (("GET / HTTP/1.0",), False),
    (("GET / HTTP/1.0", "Connection: Keep-Alive"), True),
])  # fmt: skip
def test_keep_alive(lines: tuple[str, ...], keep_alive: bool) -> None:
    """By version and Connection."""
    assert parse_head(head(*lines)).keep_alive is keep_alive


@pytest.mark.parametrize(("field", "length"), [("Content-Length: 12", 12), ("Transfer-Encoding: Chunked", None)])
def test_framing(field: str, length: int | None) -> None:
    """One of the two."""
    assert parse_head(head("POST / HTTP/1.1", field)).length == length


@pytest.mark.parametrize("lines", [
    ("GET /",), ("GET / HTTP/2.0",), ("G T / HTTP/1.1",), ("GET  / HTTP/1.1",), ("GET a HTTP/1.1",), ("GET /\xff HTTP/1.1",), ("",),
    ("GET / HTTP/1.1", "no colon"), ("GET / HTTP/1.1", "a b: c"), ("GET / HTTP/1.1", " folded: c"), ("GET / HTTP/1.1", "a : c"),
    ("GET / HTTP/1.1", "a: b\nc"), ("GET / HTTP/1.1", "a: b\rc"), ("GET / HTTP/1.1", "a: \0"),
    ("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"),
    ("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 1"),
    ("POST / HTTP/1.1", "Content-Length: +1"), ("POST / HTTP/1.1", "Content-Length: 1e3"), ("POST / HTTP/1.1", "Content-Length: "),
    ("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), ("POST / HTTP/1.0", "Transfer-Encoding: chunked"),
    ("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
])  # fmt: skip
def test_refused(lines: tuple[str, ...]) -> None:
    """Nothing ambiguous is guessed at."""
    with pytest.raises(BadRequest) as refused:
        parse_head(head(*lines))
    answer = refused.value.answer()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close\r\n" in answer


class Wire:
    """What a handler wrote, in place of a StreamWriter; nothing is ever held up."""

    def __init__(self) -> None:
        self.written = b""
        self.transport = self

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0


def exchange(request: DemoRequest, came: bytes) -> tuple[DemoExchange, Wire]:
    """An exchange whose body bytes are `came`, then the end. Needs a running loop."""
    reader = asyncio.StreamReader(limit=1024)
    reader.feed_data(came)
    reader.feed_eof()
    wire = Wire()
    return DemoExchange(request, reader, wire, "me", 1), wire  # type: ignore[arg-type]  # the part of a StreamWriter that is used


def body_of(came: bytes, *fields: str) -> tuple[bytes, bytes]:
    """The body as read, and what was written meanwhile."""

    async def read() -> tuple[bytes, bytes]:
        subject, wire = exchange(parse_head(head("POST / HTTP/1.1", *fields)), came)
        return b"".join([block async for block in subject.body()]), wire.written

    return asyncio.run(read())


def test_bodies() -> None:
    """By length and in chunks, with extensions and trailers; what follows is left alone."""
    assert body_of(b"hello, next", "Content-Length: 5") == (b"hello", b"")
    assert body_of(b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\nnext", "Transfer-Encoding: chunked") == (b"hello!", b"")
    assert body_of(b"next") == (b"", b"")


def test_an_expected_continue_is_said_once_the_body_is_wanted() -> None:
    """And not before."""
    assert body_of(b"hi", "Content-Length: 2", "Expect: 100-continue") == (b"hi", b"HTTP/1.1 100 Continue\r\n\r\n")
    assert body_of(b"", "Expect: 100-continue") == (b"", b"")


@pytest.mark.parametrize("came", [b"x\r\n", b"5\r\nhello!\r\n", b"-1\r\n", b"123456789\r\n", b"5\n", b"1\r\na\r\n" + b"z" * 5000])
def test_bad_chunks(came: bytes) -> None:
    """Refused, or cut where the input ends."""
    with pytest.raises((BadRequest, asyncio.IncompleteReadError)):
        body_of(came, "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("came", "fields"),
    [(b"hell", "Content-Length: 5"), (b"5\r\nhell", "Transfer-Encoding: chunked"), (b"", "Transfer-Encoding: chunked")],
)
def test_bodies_that_stop(came: bytes, fields: str) -> None:
    """A truncated body is never taken for a whole one."""
    with pytest.raises(asyncio.IncompleteReadError):
        body_of(came, fields)


def test_the_end_between_requests_is_no_error() -> None:
    """None: the client is done. In the middle of a head it is one; and a head has its limit."""

    async def read(came: bytes) -> DemoRequest | None:
        reader = asyncio.StreamReader(limit=1024)
        reader.feed_data(came)
        reader.feed_eof()
        return await read_request(reader)

    assert asyncio.run(read(b"")) is None
    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(read(b"GET / HT"))
    with pytest.raises(BadRequest, match="too large"):
        asyncio.run(read(head("GET / HTTP/1.1", "A: " + "x" * 2000)))


def test_answers_without_a_body() -> None:
    """HEAD tells the length; 204 and 304 tell none."""

    async def answer(method: str, status: int) -> bytes:
        subject, wire = exchange(parse_head(head(f"{method} / HTTP/1.1")), b"")
        await subject.answer(status, "text/plain", b"hello")
        return wire.written

    assert asyncio.run(answer("GET", 200)).endswith(b"Content-Length: 5\r\n\r\nhello")
    assert asyncio.run(answer("HEAD", 200)).endswith(b"Content-Length: 5\r\n\r\n")
    assert b"Content-Length" not in asyncio.run(answer("GET", 204))
    assert asyncio.run(answer("GET", 599)).startswith(b"HTTP/1.1 599 Unassigned\r\n")
