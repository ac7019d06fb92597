"""A sink that lets an answer pass as it is: the base of those that change or watch one part of it."""

from __future__ import annotations

from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.sink import Sink


class PassThrough(Sink):
    """Hands everything on to the sink behind it."""

    __slots__ = ("_behind",)

    def __init__(self, behind: Sink) -> None:
        self._behind = behind

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._behind.whole(answer, out, body, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._behind.begin(answer, out, lines, first)

    def room(self) -> int:
        """See Sink."""
        return self._behind.room()

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._behind.end(data, trailers)
