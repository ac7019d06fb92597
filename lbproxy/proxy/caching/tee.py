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
from lbproxy.proxy.caching.fill import Fill, FillState
from lbproxy.proxy.caching.intake import Intake
from lbproxy.proxy.caching.own_client import OwnClient
from lbproxy.proxy.pass_through import PassThrough
from lbproxy.proxy.request_body import Interrupt
from lbproxy.proxy.service import Service
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


class Tee(Sink):
    """Stores an answer that passes; see fill.py for those who wait for it."""

    __slots__ = ("_behind", "_bodies", "_fill", "_intake", "_interrupt", "_keeping", "_own", "_service")

    def __init__(
        self, behind: Sink, bodies: Bodies | None, most: int, keeping: Keeping, fill: Fill | None, service: Service,
        interrupt: Interrupt,
    ) -> None:  # fmt: skip
        """`most`: bytes of a body; `fill`: of those who wait; `interrupt`: throws into the exchange."""
        self._behind = behind
        self._bodies = bodies
        self._intake = Intake(bodies, most)
        self._keeping = keeping
        self._fill = fill
        self._service = service
        self._interrupt = interrupt
        self._own: OwnClient | None = None
        """Of a fill that others may wait for: its own client gets what comes out of that."""

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
        if self._fill is not None:
            self._own = OwnClient(self._behind, self._fill, self._service, self._interrupt, (answer, out, lines))
            self._take(data)
        else:
            self._take(data)
            self._behind.begin(answer, out, lines, [data])

    def room(self) -> int:
        """See Sink."""
        return self._behind.room() if self._own is None else self._own.room()

    def piece(self, data: bytes) -> None:
        """See Sink."""
        passed = self._take(data)
        self._keeping.progress()
        if not passed:
            self._behind.piece(data)

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        passed = self._take(data)
        self._finish(not trailers)  # nobody else would get them
        own = self._own
        if own is None:
            self._behind.end(b"" if passed else data, trailers)
        else:
            own.finish(trailers)

    def abandon(self) -> None:
        """It is not stored, unless it is already, and the client gets nothing more of it from here. Twice is harmless."""
        self._intake.abandon()
        if self._own is not None:
            self._own.stop()

    def _take(self, data: bytes) -> bool:
        """More of the body. Whether its client gets that by the fill."""
        intake, fill, own = self._intake, self._fill, self._own
        if fill is None:
            intake.add(data)
            return False
        could, shown = intake.alive, 0
        intake.add(data)
        if intake.file and (fill.others or not fill.file):
            shown = intake.show()
            if shown and own is not None and not fill.file and not own.in_file(self._bodies, intake.file):
                intake.abandon()
                shown = 0
        before = fill.there
        if shown:
            fill.in_file(intake.file, shown)
        elif not fill.file:
            fill.add(data)
        if could and not intake.alive:
            self._keeping.unstorable()
            if fill.file:  # and nobody has what comes now
                fill.end(FillState.FAILED)
        if own is None:
            return False
        if fill.there - before == len(data):
            own.go_on(data)
            return True
        own.catch_up()  # there is no more in the fill than that
        self._own = None
        return False

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
