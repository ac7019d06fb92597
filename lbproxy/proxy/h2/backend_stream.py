"""One stream of a connection that a backend of HTTP/2 shares among requests: the heads and bytes of one answer, and room for what
leaves.

It is the stream of one exchange with all that a Stream can do, and knows beside that how it was lost: a stream can be refused, be
above what the backend's goodbye has promised to look at, be reset, or end with its connection. Whatever came before is read first.
Deadlines are looked at by the connection, for all of its streams together: an alarm for each wait would cost a request more than
everything else here does.
"""

from __future__ import annotations

from lbproxy.errors import ConnectionLost, TimedOut, UpstreamError
from lbproxy.http.h2.backend_answer import LastAnswer
from lbproxy.http.h2.vocabulary import Fields, H2Code
from lbproxy.proxy.h2.stream import Carrier, H2Stream

HEADS, HEADS_SIZE = 64, 64 * 1024
"""Heads, and bytes in them, that may wait to be read: what brings them has no window that could be shut."""


class Lender(Carrier):
    """The connection, as streams to a backend need it."""

    __slots__ = ("answers", "carries_websockets")

    answers: LastAnswer
    carries_websockets: bool

    def begin(self, stream: BackendStream, number: int, ended: bool) -> None:
        """Its request has begun; `ended`: it has no body."""
        raise NotImplementedError

    def left(self, stream: BackendStream) -> None:
        """Its exchange is over, whatever became of it."""
        raise NotImplementedError

    def linger(self, stream: BackendStream) -> None:
        """Likewise, and what was written is to leave before it is given up."""
        raise NotImplementedError


class BackendStream(H2Stream):
    """One stream to a backend, made for each request; `number` is 0 until there is one."""

    __slots__ = ("_heads", "_heads_size", "_lender", "begun_at", "failure", "has_answer", "returned", "untouched")

    def borrow(self, lender: Lender) -> None:
        """Instead of a constructor, as H2Stream.open is."""
        self.open(lender, 0, False)
        self._lender = lender
        self._heads: list[tuple[Fields, bool]] = []
        self._heads_size = 0
        self.has_answer = False
        """The final head has come."""
        self.failure: UpstreamError | None = None
        """Why the answer will not come, or not be whole."""
        self.returned = False
        """Its connection has it no more."""
        self.untouched = False
        """It is proved that the backend got nothing of the request."""
        self.begun_at = 0
        """How much had left on the connection when the request began."""

    # ---------------------------------------------------------------- from the connection

    def bring_head(self, fields: Fields, ended: bool, final: bool) -> bool:
        """A head came. False: more wait than may."""
        self._heads.append((fields, ended))
        self.ended = self.ended or ended
        self.unread = True
        if final:
            self.has_answer = True
            return True
        for name, value in fields:
            self._heads_size += len(name) + len(value) + 32
        return len(self._heads) <= HEADS and self._heads_size <= HEADS_SIZE

    def fail(self, failure: UpstreamError, untouched: bool = False) -> None:
        """No more will come; `wake` lets whoever waits know."""
        if self.loss is None:
            self.loss = ConnectionLost(failure.reason)
            self.unread = True
            if not self.ended:
                self.failure = failure
                self.untouched = untouched

    def wake(self) -> None:
        """From the event loop: something has changed."""
        self.wake_reader()
        self.wake_writer()

    def expire(self, now: float) -> None:
        """From the event loop, several times a second."""
        if self.deadline <= now:
            reader = self._take_reader()
            if reader is not None:
                reader.throw(TimedOut("read timed out"))

    # ---------------------------------------------------------------- reading

    def next_head(self) -> tuple[Fields, bool] | None:
        """Wait for the next head; (its fields, whether it was all of the answer), None when there will be none. Raises TimedOut."""
        while not self._heads:
            if self.ended or self.loss is not None:
                return None
            self._wait_for_input()
        fields, ended = self._heads.pop(0)
        self._heads_size = 0 if not self._heads else self._heads_size
        return fields, ended

    def read(self, limit: int) -> bytes:
        """See Stream."""
        while not self._inbox:
            self.unread = False
            if self.ended:
                return b""
            if self.loss is not None:
                raise ConnectionLost(str(self.loss))
            self._carrier.waits_for_input(self.number, self.left, self._came)
            self._came = 0
            self._wait_for_input()
        return self._take(limit)

    def _take(self, limit: int) -> bytes:
        data = H2Stream._take(self, limit)  # as C calls it
        self.unread = bool(self._inbox) or self.loss is not None
        return data

    def _wait_for_input(self) -> None:
        strands = self._carrier.service.strands
        self._reader = strands.current()
        try:
            strands.park()
        finally:
            self._reader = None

    # ---------------------------------------------------------------- writing

    def begun(self, number: int, ended: bool, at: int) -> None:
        """The request has its number; `ended`: it has no body; `at`: bytes that had left on the connection."""
        self.number = number
        self.complete = ended
        self.begun_at = at

    def _all_gone(self, number: int) -> bool:
        return self.has_answer or super()._all_gone(number)

    # ---------------------------------------------------------------- ends

    def finish(self, busy: bool = False) -> None:
        """See Stream."""
        if self.loss is None and self.number and not self.ended:
            self.end_output()
            self.drop()
            self.loss = ConnectionLost("finished")
            self._lender.linger(self)
        else:
            self.abort()

    def abort(self) -> None:
        """See Stream. The backend need not go on; the connection does."""
        if self.loss is None and self.number and not (self.ended and self.complete):
            self.give_up(H2Code.CANCEL)
        self.drop()
        self.loss = self.loss or ConnectionLost("given up")
        self._lender.left(self)

    def unseen(self, since: int) -> bool:
        """See Stream. Of the connection it was asked when it was lost."""
        return self.untouched
