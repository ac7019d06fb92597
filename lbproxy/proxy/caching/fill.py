"""One answer on its way from a backend into the cache, with those in the same worker who wait for it.

Theory of operation. Who asks the backend (the leader) is an exchange as any other, and its client may be slow, or go away. So
nobody depends on that client: what is short enough is held here until it is whole, and while others wait for it the leader's own
client gets its answer behind them (tee.py). Somebody who comes while the leader stands before its client with an open answer waits
for no piece of it. Whoever waits has a deadline of his own.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from lbproxy.cache.interface import Feed
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.stand_in import Body
from lbproxy.streams import Strand, Strands

MOST_FED = 1024 * 1024
"""Bytes of a body that is given to others while it comes; longer ones when they are stored."""
PATIENCE = 5.0
"""Seconds without progress of a leader after which others go on without it."""


class State(IntEnum):
    """How far an answer on its way is."""

    ASKED = 0
    OPEN = 1
    """The head is here, and the body comes."""
    KEPT = 2
    """It is stored."""
    FAILED = 3
    """There is nothing for anybody else."""


class Opened(NamedTuple):
    """The answer that comes, as far as it is known with its head."""

    names: tuple[bytes, ...]
    """Request fields that it depends on."""
    variant: bytes
    """Of the request that it is for, in these fields (Shelf.variant)."""
    for_anybody: bool
    head: bytes
    """As it is stored."""
    born: float


class Fill:
    """One answer on its way."""

    def __init__(self, strands: Strands) -> None:
        self._strands = strands
        self.state = State.ASKED
        self.opened = Opened((), b"", False, b"", 0.0)
        """From OPEN on."""
        self.size = -1
        """Of the body, when it is fed to others as it comes; -1: they wait until it is stored."""
        self.body = bytearray()
        self.blocked = False
        """The leader waits for its own client."""
        self.others = 0
        """Those who wait, and those who are fed."""
        self._waiting: set[Strand] = set()
        self.feed: Feed | None = None
        """Where those in other workers get it."""

    def open(self, opened: Opened, size: int) -> None:
        """The head is here, and the answer is to be stored."""
        self.state = State.OPEN
        self.opened = opened
        self.size = size if 0 <= size <= MOST_FED else -1
        self._wake()

    def publish(self, feed: Feed) -> None:
        """Others in other workers get it, too, from the first byte on, and nobody waits for the leader's own client."""
        self.feed = feed
        self.others += 1
        feed.add(bytes(self.body))

    def add(self, data: bytes) -> None:
        """More of the body."""
        if self.size >= 0 and data:
            self.body += data
            if self.feed is not None:
                self.feed.add(data)
            self._wake()

    def end(self, state: State, now: int = 0) -> None:
        """It is over; KEPT or FAILED. `now`: in milliseconds."""
        self.state = state
        if self.feed is not None:
            self.feed.end(self.whole, now)
        self._wake()

    @property
    def whole(self) -> bool:
        """All of a body that is fed is here."""
        return self.size >= 0 and len(self.body) == self.size

    def feeds(self) -> bool:
        """Whether somebody who comes now gets it as it comes."""
        return self.state in (State.OPEN, State.KEPT) and (self.whole or (self.size >= 0 and not self.blocked))

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
    """The body of an answer that somebody else has asked for, as it comes."""

    def __init__(self, fill: Fill) -> None:
        self._fill: Fill | None = fill
        fill.others += 1

    def read(self, at: int, limit: int) -> bytes:
        """See Body."""
        fill = self._fill
        if fill is None:
            raise SourceFailed("collapsed_closed")
        while at >= len(fill.body):
            if fill.state is State.FAILED:
                raise SourceFailed("collapsed_failed")
            fill.wait(PATIENCE)  # however long its backend may take: who has a part of it can go nowhere else
        return bytes(fill.body[at : at + limit])

    def close(self) -> None:
        """See Body."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill.others -= 1
