"""A client's side of HTTP/2, as little of it as small requests need: bytes out, ends of answers counted. Pure."""

from __future__ import annotations

from lbproxy.http.h2.vocabulary import PREFACE

_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_ACKNOWLEDGED = b"\0\0\0\4\1\0\0\0\0"
_WIDE = b"\0\0\4\x08\0\0\0\0\0\x3f\xff\0\0"
"""The connection's window, once and for all rounds."""
_FIRST = b"\x82\x87\x44\x05/tiny\x41\x0abench.test\x7a\x05bench"
"""GET https, :path, :authority and user-agent into the table; what follows names all by their numbers (RFC 7541 6.1)."""
_AGAIN = b"\x82\x87\xc0\xbf\xbe"
_DATA, _HEADERS, _RST_STREAM = 0, 1, 3
_END_STREAM = 1


class Streams:
    """The streams of one connection."""

    def __init__(self) -> None:
        self._next = 1
        self._behind = b""

    def greeting(self) -> bytes:
        """What a client says first, the acknowledgement of the server's settings along with it: it will have said them."""
        return PREFACE + _SETTINGS + _ACKNOWLEDGED + _WIDE

    def requests(self, count: int) -> bytes:
        """So many, with nothing but fields."""
        return b"".join([self._request() for _ in range(count)])

    def _request(self) -> bytes:
        block = _FIRST if self._next == 1 else _AGAIN
        frame = len(block).to_bytes(3, "big") + b"\x01\x05" + self._next.to_bytes(4, "big") + block
        self._next += 2
        return frame

    def ended(self, data: bytes) -> int:
        """How many answers end in what came. Raises ValueError when a stream was reset."""
        data = self._behind + data
        at = count = 0
        while len(data) - at >= 9 + (size := int.from_bytes(data[at : at + 3], "big")):
            kind, flags = data[at + 3], data[at + 4]
            if kind == _RST_STREAM:
                raise ValueError(f"stream {int.from_bytes(data[at + 5 : at + 9], 'big')} was reset")
            count += kind in (_DATA, _HEADERS) and bool(flags & _END_STREAM)
            at += 9 + size
        self._behind = data[at:]
        return count
