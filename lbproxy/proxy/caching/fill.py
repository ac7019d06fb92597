"""One answer on its way from a backend into the cache, with those in the same worker who wait for it.

Theory of operation. Who asks the backend (the leader) is an exchange as any other, and its client may be slow, or go away. So
nobody depends on that client: what is short enough is held here until it is whole, what is longer is read out of the file that it
is stored into, while that grows, and the leader's own client is given its answer like all others (own_client.py). Whoever waits has
a deadline of his own.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from lbproxy.cache.interface import Bodies, CacheError, Feed, FillTicket, Reading
from lbproxy.proxy.caching.resume import Beginning
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.stand_in import Body
from lbproxy.streams import Strand, Strands

MOST_FED = 1024 * 1024
"""Bytes of a body that are held here, where it goes into no file."""
PATIENCE = 5.0
"""Seconds without progress of a leader after which others go on without it."""


class FillState(IntEnum):
    """How far an answer on its way is."""

    ASKED = 0
    OPEN = 1
    """The head is here, and the body comes."""
    KEPT = 2
    """It is over: stored, unless something came between that was not its fault."""
    FAILED = 3
    """There is nothing for anybody else."""


class Opened(NamedTuple):
    """The answer that comes, as far as it is known with its head."""

    names: tuple[bytes, ...]
    """Request fields that it depends on."""
    variant: bytes
    """Of the request that it is for, in these fields (CacheShelf.variant)."""
    for_anybody: bool
    head: bytes
    """As it is stored."""
    born: float
    ticket: FillTicket
    """When it was asked for, as purges count."""
    tags: tuple[bytes, ...]
    """For purges by tag."""


NOTHING = Opened((), b"", False, b"", 0.0, FillTicket(bytes(16), 0, 0), ())


class Fill:
    """One answer on its way."""

    def __init__(self, strands: Strands) -> None:
        self._strands = strands
        self.state = FillState.ASKED
        self.opened = NOTHING
        """From OPEN on."""
        self.size = -1
        """Of the whole body; -1: nobody knows."""
        self.there = 0
        """Bytes of it that others can have."""
        self.whole = False
        """They are all of it."""
        self.body = bytearray()
        """These bytes, unless they are in a file."""
        self.file = 0
        self.others = 0
        """Those who wait, and those who are fed."""
        self._waiting: set[Strand] = set()
        self.feed: Feed | None = None
        """Where those in other workers get it."""

    # ---------------------------------------------------------------- the leader's

    def open(self, opened: Opened, size: int) -> None:
        """The head is here, and the answer is to be stored; `size`: of its body, below 0: nobody knows."""
        self.state = FillState.OPEN
        self.opened = opened
        self.size = max(size, -1)
        self._wake()

    def publish(self, feed: Feed) -> None:
        """Others in other workers get it, too, from the first byte on."""
        self.feed = feed
        self.others += 1
        if self.file:
            feed.in_file(self.file, self.there)
        else:
            feed.add(bytes(self.body))

    def add(self, data: bytes) -> None:
        """More of the body, which is in no file."""
        if not data or self.state is not FillState.OPEN:
            return
        if self.there + len(data) > MOST_FED:
            self.end(FillState.FAILED)
            return
        self.body += data
        self.there += len(data)
        if self.feed is not None:
            self.feed.add(data)
        self._wake()

    def in_file(self, number: int, there: int) -> None:
        """So much of the body is in that file, and none of it has to be here."""
        if self.state is not FillState.OPEN:
            return
        self.file, self.there, self.body = number, there, bytearray()
        if self.feed is not None:
            self.feed.in_file(number, there)
        self._wake()

    def all_is_there(self) -> None:
        """Nothing more comes."""
        if self.state is FillState.OPEN:
            self.whole = self.size < 0 or self.there == self.size
            self._wake()

    def end(self, state: FillState, now: int = 0) -> None:
        """It is over; KEPT or FAILED. `now`: in milliseconds. What was said of it before counts."""
        if self.state in (FillState.KEPT, FillState.FAILED):
            return
        self.state = state
        if self.feed is not None:
            self.feed.end(self.whole, now)
        self._wake()

    # ---------------------------------------------------------------- the others'

    def feeds(self) -> bool:
        """Whether somebody who comes now gets it as it comes."""
        return self.state in (FillState.OPEN, FillState.KEPT)

    def piece(self, at: int, size: int) -> bytes:
        """Of what is in no file."""
        return bytes(memoryview(self.body)[at : at + size])  # one copy; a slice of the bytearray would be another

    def wait(self, seconds: float) -> bool:
        """From another greenlet: until something changes. False: nothing has, for so long."""
        me = self._strands.current()
        late: list[bool] = []

        def alarm() -> None:
            late.append(True)
            self._switch(me)

        self._waiting.add(me)
        self.others += 1
        bell = self._strands.alarm(max(0.0, seconds), alarm)
        try:
            while me in self._waiting:
                self._strands.park()
        finally:
            bell.stop()
            self._waiting.discard(me)
            self.others -= 1
        return not late

    def _wake(self) -> None:
        for strand in tuple(self._waiting):
            self._strands.later(lambda strand=strand: self._switch(strand))  # type: ignore[misc]

    def _switch(self, strand: Strand) -> None:
        """From the event loop, where it may have been woken by something else already."""
        if strand in self._waiting:
            self._waiting.discard(strand)
            strand.switch()


class Fed(Body):
    """The body of an answer that somebody else has asked for, as it comes. Its end is told by an empty piece, where no size was."""

    def __init__(self, fill: Fill, bodies: Bodies | None, beginning: Beginning, served: Callable[[int], None]) -> None:
        """`beginning`: told what was read; `served`: how many bytes, at the end."""
        self._fill: Fill | None = fill
        self._bodies = bodies
        self._served = served
        self._beginning = beginning
        self._reading: Reading | None = None
        fill.others += 1

    def read(self, at: int, limit: int) -> bytes:
        """See Body."""
        fill = self._fill
        if fill is None:
            raise SourceFailed("collapsed_closed")
        while at >= fill.there:
            if fill.whole:
                return b""
            if fill.state is FillState.FAILED or fill.state is FillState.KEPT:
                raise SourceFailed("collapsed_failed")
            fill.wait(PATIENCE)  # however long its backend may take
        size = min(limit, fill.there - at)
        data = self._from_file(fill, at, size) if fill.file else fill.piece(at, size)
        self._beginning.add(data)
        return data

    def _from_file(self, fill: Fill, at: int, size: int) -> bytes:
        try:
            if self._reading is None:
                self._reading = None if self._bodies is None else self._bodies.open(fill.file)
            if self._reading is None:
                raise SourceFailed("cache_file")
            return self._reading.read(at, size)
        except CacheError as error:
            raise SourceFailed("cache_file") from error

    def close(self) -> None:
        """See Body."""
        fill, self._fill = self._fill, None
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()
        if fill is not None:
            fill.others -= 1
            self._served(self._beginning.length)
