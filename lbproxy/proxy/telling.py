"""A sink that puts lines on to an answer, and lets it pass as it is."""

from __future__ import annotations

from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.sink import Sink


class Telling(Sink):
    """Puts lines on to an answer."""

    __slots__ = ("_behind", "_lines")

    def __init__(self, behind: Sink, lines: bytes) -> None:
        self._behind = behind
        self._lines = lines

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._behind.whole(answer, out, body, lines + self._lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._behind.begin(answer, out, lines + self._lines, first)

    def room(self) -> int:
        """See Sink."""
        return self._behind.room()

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._behind.end(data, trailers)
