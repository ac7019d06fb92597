"""The sink of an answer, where it goes: its client, or what stands between (a buffer, later a step that changes it).

An answer is either `whole`, or it has a beginning, pieces and an end. Its head comes as ResponseHead, for whoever lays it out anew,
and as `out`, the lines of HTTP/1 that it was laid out in once and that are the same bytes each time a backend repeats itself.
"""

from __future__ import annotations

from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers


class Sink:
    """Takes one answer at a time. Every call raises the client's StreamError or ClientGone when the client is lost."""

    __slots__ = ()

    def interim(self, known: KnownHead) -> None:
        """A 1xx that is no 101; any number of them before the answer."""
        raise NotImplementedError

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """All of the answer: `out` is its head as lines, `lines` are added to it (each with its CRLF in front)."""
        raise NotImplementedError

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """The head, and the bytes of the body that came along, which are popped from `first`: nobody else should hold on to them
        while a slow client keeps them waiting."""
        raise NotImplementedError

    def room(self) -> int:
        """Wait until more is wanted; how many bytes, about."""
        raise NotImplementedError

    def piece(self, data: bytes) -> None:
        """More of the body, which is not its end."""
        raise NotImplementedError

    def end(self, data: bytes, trailers: Trailers) -> None:
        """The last bytes of the body, which may be none, and what stands behind it: none as a rule, else what may stand there (see
        http/trailers.py). An answer that has trailers is never `whole`."""
        raise NotImplementedError
