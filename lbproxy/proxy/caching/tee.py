"""Sinks in front of a client whose answer is stored as it passes.

What is not whole at its end is not stored: a body that breaks off, a client that goes away, a file that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.cache.interface import Bodies
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.caching.fill import MOST_FED, Fill
from lbproxy.proxy.caching.intake import Intake
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.sink import Sink
from lbproxy.streams import BODY_READ


class AsJudged(PassThrough):
    """Lets pass what was judged, and nothing that a step on the way has put in its place: that is nobody else's answer."""

    __slots__ = ("_instead", "_judged", "_replaced")

    def __init__(self, judged: ResponseHead, behind: Sink, instead: Sink, replaced: Callable[[], None]) -> None:
        """`instead`: where everything else goes; `replaced`: told of that."""
        super().__init__(behind)
        self._judged = judged
        self._instead = instead
        self._replaced = replaced

    def _look(self, answer: ResponseHead) -> None:
        if answer is not self._judged:
            self._replaced()
            self._behind = self._instead

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._look(answer)
        self._behind.whole(answer, out, body, lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._look(answer)
        self._behind.begin(answer, out, lines, first)


class NotModified(Sink):
    """Says that the client has it already, whatever body comes."""

    __slots__ = ("_behind", "_known", "_said")

    def __init__(self, behind: Sink, known: KnownHead, said: Callable[[int], None]) -> None:
        """`known`: the 304; `said`: told of the status that the client gets."""
        self._behind = behind
        self._known = known
        self._said = said

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._said(304)
        self._behind.whole(self._known.head, self._known.out, b"", lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        first.clear()
        self.whole(answer, out, b"", lines)

    def room(self) -> int:
        """See Sink. Nobody reads it."""
        return BODY_READ

    def piece(self, data: bytes) -> None:
        """See Sink."""

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""


Keep = Callable[[bytes, int, int], bool]
"""Stores what is whole: its body, or the size and the number of a file. Whether it is stored."""


class Tee(Sink):
    """Stores an answer that passes; see fill.py for those who wait for it."""

    __slots__ = (
        "_behind", "_fill", "_first", "_held", "_intake", "_keep", "_lines", "_progress",
    )  # fmt: skip

    def __init__(
        self, behind: Sink, bodies: Bodies | None, most: int, keep: Keep, lines: Callable[[bool], bytes],
        fill: Fill | None, progress: Callable[[], None],
    ) -> None:  # fmt: skip
        """`most`: bytes of a body; `lines`: put on to the answer, which is stored or not; `fill`: of those who wait; `progress`:
        told that it gets on."""
        self._behind = behind
        self._intake = Intake(bodies, most)
        self._keep = keep
        self._lines = lines
        self._fill = fill
        self._progress = progress
        self._held: list[bytes] | None = None
        """What the client gets behind the others."""
        self._first: tuple[ResponseHead, bytes, bytes] | None = None

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._take(body)
        self._behind.whole(answer, out, body, lines + self._lines(self._finish()))

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        lines += self._lines(True)
        data = first.pop()
        self._take(data)
        fill = self._fill
        if fill is not None and fill.others and 0 <= answer.body <= MOST_FED:
            self._held, self._first = [data], (answer, out, lines)
            return
        self._standing(True)
        self._behind.begin(answer, out, lines, [data])
        self._standing(False)

    def room(self) -> int:
        """See Sink."""
        if self._holds() is not None:
            return BODY_READ
        self._standing(True)
        room = self._behind.room()
        self._standing(False)
        return room

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._take(data)
        self._progress()
        if (held := self._holds()) is not None:
            held.append(data)
            return
        self._standing(True)
        self._behind.piece(data)
        self._standing(False)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._take(data)
        if trailers:  # nobody else would get them
            self.abandon()
        self._finish()
        if self._held is None:
            self._behind.end(data, trailers)
            return
        pieces, self._held = [*self._held, data], None
        if self._first is None:
            self._behind.end(b"".join(pieces), trailers)
            return
        answer, out, lines = self._first
        if trailers:
            self._behind.begin(answer, out, lines, [b"".join(pieces)])
            self._behind.end(b"", trailers)
        else:
            self._behind.whole(answer, out, b"".join(pieces), lines)

    def abandon(self) -> None:
        """It is not stored."""
        self._intake.abandon()

    def _holds(self) -> list[bytes] | None:
        """What the client gets behind the others: all from when somebody is fed, who must not wait for it; None: nothing."""
        if self._held is None and self._fill is not None and self._fill.others and self._fill.size >= 0:
            self._held = []
        return self._held

    def _standing(self, blocked: bool) -> None:
        if self._fill is not None:
            self._fill.blocked = blocked

    def _take(self, data: bytes) -> None:
        if self._fill is not None:
            self._fill.add(data)
        self._intake.add(data)

    def _finish(self) -> bool:
        """All of it is here. Whether it is stored."""
        taken = self._intake.finish()
        return taken is not None and self._keep(*taken)
