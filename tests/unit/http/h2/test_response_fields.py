"""Response heads to fields."""

from __future__ import annotations

from lbproxy.http.h2.response_fields import ResponseFields, regular, taken_apart

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n"
    b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nX-Empty:\r\nVia: 1.1 lbproxy\r\n\r\n"
)
FIELDS = (
    (b":status", b"200"),
    (b"content-type", b"text/plain"),
    (b"set-cookie", b"a=b"),
    (b"set-cookie", b"c=d"),
    (b"x-empty", b""),
    (b"via", b"1.1 lbproxy"),
)


def test_a_head_as_http2_has_it() -> None:
    """Lower case, in order, repeats kept, nothing about a connection, no reason."""
    assert taken_apart(HEAD) == FIELDS
    assert taken_apart(b"HTTP/1.1 404\r\n\r\n") == ((b":status", b"404"),)
    assert regular([b"Grpc-Status:  0 ", b"Upgrade: h2c"]) == [(b"grpc-status", b"0")]


def test_the_same_head_is_not_taken_apart_again() -> None:
    """By its bytes, within a bound; large ones are not kept."""
    known = ResponseFields(kept=20_000)
    assert known.of(HEAD) is known.of(bytes(bytearray(HEAD)))
    for count in range(100):
        known.of(HEAD[:-4] + b"\r\nX-Count: %d\r\n\r\n" % count)
    assert known._budget.used <= 20_000
    large = HEAD[:-4] + b"\r\nX: " + b"y" * 5000 + b"\r\n\r\n"
    assert known.of(large) is not known.of(large)
