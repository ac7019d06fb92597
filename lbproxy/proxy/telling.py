"""A sink that puts lines on to an answer, and lets it pass as it is."""

from __future__ import annotations

from lbproxy.http.message import ResponseHead
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink


class Telling(PassThrough):
    """Puts lines on to an answer."""

    __slots__ = ("_lines",)

    def __init__(self, behind: Sink, lines: bytes) -> None:
        super().__init__(behind)
        self._lines = lines

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._behind.whole(answer, out, body, lines + self._lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._behind.begin(answer, out, lines + self._lines, first)
