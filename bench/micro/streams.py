"""A client's side of HTTP/2, as little of it as small requests need: bytes out, ends of answers counted. Pure."""

from __future__ import annotations

from bench.h2 import wire

_INTO_TABLE = 0x40
_GET_HTTPS = wire.indexed(2) + wire.indexed(7)
_FIRST = _GET_HTTPS + b"".join(
    wire.literal(name, value, _INTO_TABLE)
    for name, value in ((b":path", b"/tiny"), (b":authority", b"bench.test"), (b"user-agent", b"bench"))
)
_AGAIN = _GET_HTTPS + wire.indexed(64) + wire.indexed(63) + wire.indexed(62)
"""The same, by what the first has put into the table."""


class Streams:
    """The streams of one connection."""

    def __init__(self) -> None:
        self._next = 1
        self._came = bytearray()

    def greeting(self) -> bytes:
        """What a client says first, the acknowledgement of the server's settings along with it: it will have said them."""
        return wire.greeting() + wire.frame(wire.SETTINGS, wire.ACK)

    def requests(self, count: int) -> bytes:
        """So many, with nothing but fields."""
        return b"".join([self._request() for _ in range(count)])

    def _request(self) -> bytes:
        block = _FIRST if self._next == 1 else _AGAIN
        said = wire.frame(wire.HEADERS, wire.END_STREAM | wire.END_HEADERS, self._next, block)
        self._next += 2
        return said

    def ended(self, data: bytes) -> int:
        """How many answers end in what came. Raises ValueError when a stream was reset."""
        self._came += data
        count = 0
        for frame in wire.take(self._came):
            if frame.kind == wire.RST_STREAM:
                raise ValueError(f"stream {frame.stream} was reset")
            count += frame.ends
        return count
