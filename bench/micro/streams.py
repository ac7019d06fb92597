"""A client's side of HTTP/2, as little of it as small requests need: bytes out, ends of answers counted. Pure."""

from __future__ import annotations

from typing import NamedTuple

from bench.h2 import wire
from bench.macro.cases import GRPC_FIELDS, GRPC_MESSAGE, GRPC_PATH, STORED

_INTO_TABLE = 0x40
_GET, _POST, _HTTPS = (wire.indexed(index) for index in (2, 3, 7))


class Asked(NamedTuple):
    """A request, said again and again on one connection."""

    first: bytes
    """Its list of fields, the first time."""
    again: bytes
    """The same, by what the first has put into the table."""
    body: bytes = b""


def asked(method: bytes, path: bytes, *fields: wire.Field, body: bytes = b"") -> Asked:
    """`method`: of the table."""
    said = ((b":path", path), (b":authority", b"bench.test"), (b"user-agent", b"bench"), *fields)
    first = b"".join(wire.literal(name, value, _INTO_TABLE) for name, value in said)
    again = b"".join(wire.indexed(62 + behind) for behind in reversed(range(len(said))))
    return Asked(method + _HTTPS + first, method + _HTTPS + again, body)


TINY = asked(_GET, b"/tiny")
HIT = asked(_GET, f"{STORED}/1k".encode())
CALL = asked(_POST, GRPC_PATH.encode(), *((name.encode(), value.encode()) for name, value in GRPC_FIELDS), body=GRPC_MESSAGE)
"""Of gRPC, as long as its client likes."""


class Streams:
    """The streams of one connection."""

    def __init__(self, asked: Asked = TINY) -> None:
        self._asked = asked
        self._next = 1
        self._came = bytearray()

    def greeting(self) -> bytes:
        """What a client says first, the acknowledgement of the server's settings along with it: it will have said them."""
        return wire.greeting() + wire.frame(wire.SETTINGS, wire.ACK)

    def requests(self, count: int) -> bytes:
        """So many, whole."""
        return b"".join([self._request() for _ in range(count)])

    def _request(self) -> bytes:
        first, again, body = self._asked
        stream, self._next = self._next, self._next + 2
        ends = 0 if body else wire.END_STREAM
        said = wire.frame(wire.HEADERS, ends | wire.END_HEADERS, stream, first if stream == 1 else again)
        return said + wire.frame(wire.DATA, wire.END_STREAM, stream, body) if body else said

    def ended(self, data: bytes) -> int:
        """How many answers end in what came. Raises ValueError when a stream was reset."""
        self._came += data
        count = 0
        for frame in wire.take(self._came):
            if frame.kind == wire.RST_STREAM:
                raise ValueError(f"stream {frame.stream} was reset")
            count += frame.ends
        return count
