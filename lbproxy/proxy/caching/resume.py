"""The rest of an answer that somebody else was getting, from a backend of one's own, when that one comes to nothing.

Who was fed has a part of it and cannot go back. So the request is made after all, and if the answer is the same one, which is to
say that it begins with the same bytes under the same validators, the client gets what follows them, and sees nothing of it. What
is another answer is never put together with the first one: then it is cut, as if no backend had been asked.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

from lbproxy.errors import RefusedAnswer
from lbproxy.http.caching.heads import MOST_FIELDS
from lbproxy.http.fields import values
from lbproxy.http.grammar import END
from lbproxy.http.h1.response import parse_response
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import CHUNKED, ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Course
from lbproxy.streams import BODY_READ

_TOLD = (b"etag", b"last-modified", b"content-type", b"content-encoding", b"content-language", b"content-range")
"""What two heads have to agree in."""


class HasSaid(Protocol):
    """Whose answer it is (Journey)."""

    @property
    def said(self) -> bytes: ...


class Beginning:
    """What a client has of an answer."""

    __slots__ = ("_digest", "head", "length", "size")

    def __init__(self, head: bytes, size: int) -> None:
        """`head`: as it is stored; `size`: of the whole body, -1: nobody has told the client."""
        self.head = head
        self.size = size
        self.length = 0
        """Bytes of the body."""
        self._digest = blake2b(digest_size=32)

    def add(self, data: bytes) -> None:
        """More of the body."""
        self._digest.update(data)
        self.length += len(data)

    def begins(self, other: Beginning) -> bool:
        """Whether both have the same bytes."""
        return self._digest.digest() == other._digest.digest()

    def continued_by(self, said: ResponseHead) -> bool:
        """Whether that may be the head of the same answer."""
        mine = parse_response(self.head + END, b"HEAD", MOST_FIELDS)
        length = said.body == self.size if self.size >= 0 else said.body >= 0 or said.body == CHUNKED
        return said.status == mine.status and length and all(list(values(mine, name)) == list(values(said, name)) for name in _TOLD)


class Resumed(Course):
    """The request of somebody who has a part of the answer."""

    __slots__ = ("_beginning", "_journey", "_sink")

    def __init__(self, journey: HasSaid, beginning: Beginning, sink: Sink) -> None:
        """`sink`: which has that part."""
        self._journey = journey
        self._beginning = beginning
        self._sink = sink

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course. Raises SourceFailed."""
        try:
            said = parse_response(self._journey.said, b"GET", MOST_FIELDS)
        except RefusedAnswer:  # one that a tolerant pool passes on
            said = answer
        if not self._beginning.continued_by(said):
            raise SourceFailed("collapsed_changed")
        return _Rest(self._sink, self._beginning)


class _Rest(Sink):
    """Lets pass what stands behind the beginning, once that has turned out to be the same."""

    __slots__ = ("_again", "_beginning", "_behind")

    def __init__(self, behind: Sink, beginning: Beginning) -> None:
        self._behind = behind
        self._beginning = beginning
        self._again: Beginning | None = Beginning(beginning.head, beginning.size)

    def interim(self, known: KnownHead) -> None:
        """See Sink. Too late for it."""

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self.end(body, ())

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self.piece(first.pop())

    def room(self) -> int:
        """See Sink."""
        return BODY_READ if self._again is not None else self._behind.room()

    def piece(self, data: bytes) -> None:
        """See Sink."""
        if rest := self._behind_beginning(data):
            self._behind.piece(rest)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink. The client gets no trailers, as it would not have."""
        rest = self._behind_beginning(data)
        if self._again is not None:
            raise SourceFailed("collapsed_changed")
        self._behind.end(rest, ())

    def _behind_beginning(self, data: bytes) -> bytes:
        again, beginning = self._again, self._beginning
        if again is None:
            return data
        mine = data[: beginning.length - again.length]
        again.add(mine)
        if again.length < beginning.length:
            return b""
        if not again.begins(beginning):
            raise SourceFailed("collapsed_changed")
        self._again = None
        return data[len(mine) :]
