"""Sinks in front of a client whose answer is stored as it passes.

What is not whole at its end is not stored: a body that breaks off, a client that goes away, a file that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lbproxy.cache.interface import Bodies
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.caching.fill import MOST_FED, Fill, FillState
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


AHEAD = 16 * 1024
"""Bytes that the leader's own client gets while its backend pauses, whoever else waits: any client's buffers take them."""


class Keeping(Protocol):
    """The fetch whose answer it is (fetch.py)."""

    def keep(self, taken: tuple[bytes, int, int]) -> bool:
        """It is whole: its body, or the size and the number of a file. Whether it is stored."""

    def lines(self, stored: bool) -> bytes:
        """What is put on to the answer, which is stored or not."""

    def progress(self) -> None:
        """It gets on."""

    def unstorable(self) -> None:
        """It will not be stored; those who have a part of it are given the rest all the same."""

    def pauses(self) -> bool:
        """The backend has nothing more to read just now."""


class Tee(Sink):
    """Stores an answer that passes; see fill.py for those who wait for it."""

    __slots__ = ("_behind", "_fill", "_first", "_given", "_held", "_holding", "_intake", "_keeping")

    def __init__(self, behind: Sink, bodies: Bodies | None, most: int, keeping: Keeping, fill: Fill | None) -> None:
        """`most`: bytes of a body; `fill`: of those who wait."""
        self._behind = behind
        self._intake = Intake(bodies, most)
        self._keeping = keeping
        self._fill = fill
        self._held: list[bytes] | None = None
        """What the client gets behind the others."""
        self._holding = 0
        """Bytes of it."""
        self._given = 0
        """Bytes that it has got."""
        self._first: tuple[ResponseHead, bytes, bytes] | None = None

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self._behind.interim(known)

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self._take(body)
        self._behind.whole(answer, out, body, lines + self._keeping.lines(self._finish(True)))

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        lines += self._keeping.lines(True)
        data = first.pop()
        self._take(data)
        fill = self._fill
        if fill is not None and fill.others and answer.body <= MOST_FED:
            self._held, self._holding, self._first = [data], len(data), (answer, out, lines)
            return
        self._standing(True)
        self._behind.begin(answer, out, lines, [data])
        self._standing(False)

    def room(self) -> int:
        """See Sink."""
        if self._holds():
            if self._keeping.pauses() and self._given + self._holding <= AHEAD and self._fill is not None and self._fill.size < 0:
                self._give()
            return BODY_READ
        self._standing(True)
        room = self._behind.room()
        self._standing(False)
        return room

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self._take(data)
        self._keeping.progress()
        if self._holds():
            assert self._held is not None
            self._held.append(data)
            self._holding += len(data)
            if self._holding > MOST_FED:  # too much: now everybody depends on this client
                self._standing(True)
                self._give()
                self._standing(False)
            return
        self._standing(True)
        self._behind.piece(data)
        self._standing(False)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self._take(data)
        self._finish(not trailers)  # nobody else would get them
        pieces, self._held = [*(self._held or ()), data], None
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

    def _give(self) -> None:
        """The client has what was held for it."""
        held, self._held, first, self._first = b"".join(self._held or ()), None, self._first, None
        self._holding, self._given = 0, self._given + len(held)
        if first is not None:
            self._behind.begin(*first, [held])
        elif held:
            self._behind.piece(held)

    def _holds(self) -> bool:
        """Whether the client gets what comes behind the others: from when somebody is fed, who must not wait for it."""
        fill = self._fill
        if self._held is None and fill is not None and fill.others and fill.size <= MOST_FED and self._given <= MOST_FED:
            self._held = []
        return self._held is not None

    def _standing(self, blocked: bool) -> None:
        if self._fill is not None:
            self._fill.blocked = blocked

    def _take(self, data: bytes) -> None:
        intake, fill = self._intake, self._fill
        if fill is None:
            intake.add(data)
            return
        could, shown = intake.alive, 0
        intake.add(data)
        if intake.file and (fill.others or not fill.file):
            shown = intake.show()
        if shown:
            fill.in_file(intake.file, shown)
        elif not fill.file:
            fill.add(data)
        if could and not intake.alive:
            self._keeping.unstorable()
            if fill.file:  # and nobody has what comes now
                fill.end(FillState.FAILED)

    def _finish(self, storable: bool) -> bool:
        """All of it is here. Whether it is stored."""
        intake, fill = self._intake, self._fill
        if fill is not None:
            if fill.file and (there := intake.show()):
                fill.in_file(fill.file, there)
            elif fill.file:
                fill.end(FillState.FAILED)
            fill.all_is_there()
        could = intake.alive
        if not storable:
            intake.abandon()
        taken = intake.finish()
        if taken is None and could:
            self._keeping.unstorable()
        return taken is not None and self._keeping.keep(taken)
