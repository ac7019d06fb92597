"""What is forwarded is read by other servers' parsers as it was meant: h11 (uvicorn's) and gunicorn's.

A message that two parsers read differently is how requests are smuggled; so every accepted message of the corpus, and many made up
ones, are rewritten for a backend and given to parsers that other people wrote, with another request right behind.
Responses likewise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gunicorn.config  # type: ignore[import-untyped]  # ships no types
import gunicorn.http  # type: ignore[import-untyped]  # ships no types
import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.errors import RequestError, UpstreamError
from lbproxy.http.forwarding import Forwarder, response
from lbproxy.http.h1.chunks import LAST_CHUNK, encode_chunk
from lbproxy.http.h1.request import parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import CHUNKED, UNTIL_CLOSE, RequestHead
from tests.corpus.http1.vectors import vectors
from tests.unit.http.heads import MAX_FIELDS, MAX_LINE, fields

NEXT = b"GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n"


class Read(NamedTuple):
    """One request as somebody else sees it."""

    method: bytes
    target: bytes
    fields: list[tuple[str, bytes]]
    body: bytes


def by_h11(data: bytes) -> Iterator[Read]:
    """uvicorn's parser."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    connection.receive_data(b"")
    while True:
        event = connection.next_event()
        if not isinstance(event, h11.Request):
            assert isinstance(event, h11.ConnectionClosed), event
            return
        body = b""
        while isinstance(part := connection.next_event(), h11.Data):
            body += bytes(part.data)
        assert isinstance(part, h11.EndOfMessage)
        yield Read(event.method, event.target, [(name.decode("latin-1"), value) for name, value in event.headers], body)
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()


def by_gunicorn(data: bytes) -> Iterator[Read]:
    """gunicorn's parser, with Via and its kind let through."""
    config = gunicorn.config.Config()
    config.set("header_map", "dangerous")  # names it merges for CGI: it must find none of them ambiguous
    for message in gunicorn.http.RequestParser(config, iter([data]), ("192.0.2.1", 1)):
        found = [(name.lower(), value.encode("latin-1")) for name, value in message.headers]
        yield Read(message.method.encode(), message.uri.encode("latin-1"), found, message.body.read())


READERS = [by_h11, by_gunicorn]


def forwarded(head: RequestHead, payload: bytes) -> bytes:
    """Head and body as a backend gets them."""
    body = (encode_chunk(payload) if payload else b"") + LAST_CHUNK if head.body == CHUNKED else payload
    return Forwarder("192.0.2.9", "https", 443, ()).request(head) + body


def check(head: RequestHead, payload: bytes, reader: Any) -> None:
    """Two requests come out: this one as it was meant, and the next one untouched."""
    out = forwarded(head, payload)
    found = list(reader(out + NEXT))
    assert len(found) == 2, found
    assert found[0][:2] == (head.method, head.target)
    assert found[0].body == payload
    meant = fields(out[: out.index(b"\r\n\r\n") + 4])
    assert [(name, value.strip(b" \t")) for name, value in found[0].fields] == meant
    assert found[1] == Read(b"GET", b"/next", [("host", b"next.example")], b"")


CASES = [vector for vector in vectors("accept") if vector.name not in ("cl-fifteen-digits", "rl-method-longest")]
"""The one's body is not there; gunicorn refuses methods of more than twenty characters."""


@pytest.mark.parametrize("reader", READERS)
def test_corpus(reader: Any) -> None:
    """Every accepted message whose body is there."""
    for vector in CASES:
        raw = vector.raw.lstrip(b"\r\n")
        head = parse_request(raw[: raw.index(b"\r\n\r\n") + 4], MAX_LINE, MAX_FIELDS)
        check(head, vector.expected.get("payload", "").encode("latin-1"), reader)


NAMES = st.sampled_from(
    [
        b"A",
        b"a.b",
        b"X_Y",
        b"Connection",
        b"Content-Length",
        b"Transfer-Encoding",
        b"TE",
        b"Upgrade",
        b"X-Forwarded-For",
        b"~!",
        b"Expect",
    ]
)
VALUES = st.one_of(
    st.sampled_from([b"", b"a", b"5", b"chunked", b"close, a", b" \t x \t", b"content-length", b"upgrade"]),
    st.binary(max_size=6).map(lambda raw: bytes(byte for byte in raw if byte >= 0x20 and byte != 0x7F)),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    st.sampled_from([b"POST /a HTTP/1.1", b"GET /a%2e/b?c HTTP/1.0", b"PUT //x;y HTTP/1.1"]),
)
def test_anything_that_is_accepted(lines: list[tuple[bytes, bytes]], line: bytes) -> None:
    """Made up heads; the body is as long as the head says."""
    raw = line + b"\r\nHost: example.com\r\n" + b"".join(b"%b:%b\r\n" % field for field in lines) + b"\r\n"
    try:
        head = parse_request(raw, MAX_LINE, MAX_FIELDS)
    except RequestError:
        return
    payload = b"hello" if head.body == CHUNKED else b"x" * head.body
    for reader in READERS:
        check(head, payload, reader)


ANSWER_NAMES = st.sampled_from(
    [b"A", b"X_Y", b"Connection", b"Content-Length", b"Transfer-Encoding", b"Keep-Alive", b"Trailer", b"Set-Cookie"]
)
STATUS_LINES = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 404", b"HTTP/1.1 204 ", b"HTTP/1.1 304 \xff\t", b"HTTP/1.1 500 <b>"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ANSWER_NAMES, VALUES), max_size=6), STATUS_LINES, st.sampled_from(["GET", "HEAD"]))
def test_any_response_that_is_passed_on(lines: list[tuple[bytes, bytes]], line: bytes, method: str) -> None:
    """h11 as the client: the same status, the same body, and nothing left over that could be another response."""
    try:
        head = parse_response(
            line + b"\r\n" + b"".join(b"%b:%b\r\n" % field for field in lines) + b"\r\n", method.encode(), MAX_FIELDS
        )
    except UpstreamError:
        return
    payload = b"hello" if head.body < 0 else b"x" * head.body
    coded = head.body in (CHUNKED, UNTIL_CLOSE)
    out = response(head, b"\r\nTransfer-Encoding: chunked" if coded else b"")
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(out + (encode_chunk(payload) + LAST_CHUNK if coded else payload))
    got = connection.next_event()
    assert isinstance(got, h11.Response)
    assert got.status_code == head.status
    body = b""
    while isinstance(part := connection.next_event(), h11.Data):
        body += bytes(part.data)
    assert isinstance(part, h11.EndOfMessage)
    assert (body, connection.trailing_data[0]) == (payload, b"")
