"""The messages of the attacks. Pure.

Each is what a sound client never sends and a strict server may not refuse, or refuses at a cost. What the peers' limits would cut
is kept below them where it can be, so that all do the work.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Literal, NamedTuple

HOST = b"Host: localhost\r\n"
BODY = 32 * 1024
"""Bytes of a body, below what the backends take."""
LINE = 7 * 1024
"""Bytes of a request line or field, below nginx's 8 KiB."""

Ground = Literal["plain", "tls", "rules", "drips"]


class Shape(NamedTuple):
    """An attack."""

    told: str
    message: Callable[[], bytes]
    """Sent over and over."""
    ground: Ground = "plain"
    """Where: a plain listener; a TLS one, each byte in a record of its own; one with rules; one with the hostile backend."""
    once: bool = False
    """It is the last message of its connection, and the next one needs another."""
    cut: bool = False
    """The attacker leaves as soon as he gets any answer."""
    received: bool = False
    """The kilobytes that count are those that come back."""
    connections: int = 50


def _request(line: bytes = b"GET /tiny", *fields: bytes, body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\n" + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def _upload(chunks: bytes) -> bytes:
    return _request(b"POST /upload", b"Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")


def small_chunks() -> bytes:
    """Five bytes around each byte."""
    return _upload(b"1\r\nx\r\n" * BODY)


def extensions() -> bytes:
    """Two hundred around each."""
    return _upload((b"1;" + b"x" * 200 + b"\r\nx\r\n") * (BODY // 64))


def cookies() -> bytes:
    """As many as nginx takes in a pipeline: of four times as many it refuses the second request, and swallows the rest unread."""
    return _request(b"GET /tiny", b"Cookie: " + b"a=b;" * 1750)


def fields() -> bytes:
    """As many as lbproxy takes, and all are looked at: nominated by Connection, forwarding fields, underscores."""
    options = b"Connection: keep-alive, " + b", ".join(b"x-%d" % number for number in range(60))
    return _request(b"GET /tiny", options, *[b"X-%d: y" % number for number in range(60)], *[b"X_Y: z", b"X-Forwarded-X: z"] * 16)


def escapes() -> bytes:
    """A path that is a third as long as it looks."""
    return _request(b"GET /" + b"%41" * (LINE // 3))


def dots() -> bytes:
    """Segments that take each other away."""
    return _request(b"GET /" + b"a/../" * (LINE // 5) + b"tiny")


def refusals() -> bytes:
    """Two hundred requests at once that a rule refuses."""
    return _request(b"GET /tiny", b"X-Odd: refused") * 200


def globs() -> bytes:
    """A value that a rule's pattern fits nearly, in as many ways as there are."""
    return _request(b"GET /tiny", b"X-Odd: " + b"a" * LINE)


def large_heads() -> bytes:
    """Larger than anybody takes."""
    return _request(b"GET /tiny", *[b"X-%d: %b" % (number, b"y" * 1000) for number in range(34)])


def small_records() -> bytes:
    """The ordinary request."""
    return _request(b"GET /tiny", b"User-Agent: " + b"u" * 100)


def hellos() -> bytes:
    """What a TLS client says first; whoever answers it has signed something."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass  # for the server's hello, which nobody waits for
    return out.read()


def drip() -> bytes:
    """An ordinary request for what never ends."""
    return _request(b"GET /")


SHAPES: dict[str, Shape] = {
    "chunks": Shape("uploads in chunks of one byte", small_chunks),
    "extensions": Shape("chunks of one byte, extensions of 200", extensions),
    "cookies": Shape("1,750 cookies a request", cookies),
    "fields": Shape("93 fields a request, each to be looked at", fields),
    "escapes": Shape("paths of %41", escapes),
    "dots": Shape("paths of a/../", dots),
    "refusals": Shape("200 requests at once that a rule refuses", refusals, "rules"),
    "globs": Shape("values that nearly fit a pattern of a rule", globs, "rules"),
    "431": Shape("heads of 34 KiB", large_heads, once=True),
    "records": Shape("TLS records of one byte", small_records, "tls"),
    "handshakes": Shape("hellos, and gone", hellos, "plain", once=True, cut=True),
    "drips": Shape("a backend's answer in chunks of one byte", drip, "drips", once=True, received=True),
}


def port_of(shape: Shape, *, https: int, http: int) -> int:
    """Which listener is flooded."""
    return https if shape.ground == "tls" or shape.message is hellos else http
