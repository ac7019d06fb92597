"""Has this worker more than its share of the connections? Decides whether it lets the others accept (see net/listener).

At its own ceiling, too: as many as the configuration allows, and no more than there are descriptors for. Without that, a crowd of
clients takes them all, and those who are served get 502 because no connection to a backend can be opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from operator import itemgetter

from lbproxy.balance.ledger import Header, Ledger, Scalar, scalar_at
from lbproxy.config.descriptors import PER_CONNECTION, RESERVE, possible
from lbproxy.net.listener import Room

CROWDED = 1.08
"""Times the mean over all accepting workers. Only the busiest are held back, so the idlest of n ends within 2:1 of them for certain
if this is at most 2n / (2n - 1): 1.14 for four workers. With 1.25, four workers on two busy cores held 64, 62, 52 and 22 of 200
connections; with 1.08 at worst 55, 52, 51 and 42, in the same time (measured 2026-11-23)."""
SLACK = 2
"""Connections above the mean that never matter; with few connections the ratio alone would be noise."""


class Gate:
    """Reads the connection counts of all workers off the ledger at each accept."""

    def __init__(self, ledger: Ledger, child: int, limit: int, descriptors: int, streams: Sized) -> None:
        """`limit`: connections that this worker may hold; `descriptors`: files that it may have open; `streams`: all open ones."""
        self._cells = ledger.cells
        self._mine = scalar_at(child, Scalar.CONNECTIONS)
        self._live = scalar_at(child, Scalar.LIVE_REQUESTS)
        self._limit = min(limit, possible(descriptors))
        self._streams = streams
        self._most_streams = max(PER_CONNECTION, descriptors - RESERVE)
        self._rows = -1
        self._read: Callable[[memoryview], tuple[int, ...]] = itemgetter(0, 1)

    def room(self) -> Room:
        """See net.listener.Room."""
        cells = self._cells
        mine = cells[self._mine]
        if mine >= self._limit or self.scarce():
            return Room.FULL
        if mine <= SLACK:
            return Room.PLENTY
        rows = cells[Header.CHILDREN_HIGH]
        if rows != self._rows:
            self._rows = rows
            accepting = [scalar_at(row, Scalar.ACCEPTING) for row in range(rows)]
            connections = [scalar_at(row, Scalar.CONNECTIONS) for row in range(rows)]
            self._read = itemgetter(*accepting, *connections)
        values = self._read(cells)
        # A draining worker's connections are not competed for: only rows that accept count.
        workers = sum(values[:rows])
        total = sum(count for accepts, count in zip(values[:rows], values[rows:], strict=True) if accepts)
        return Room.CROWDED if workers > 1 and mine * workers > CROWDED * total + SLACK * workers else Room.PLENTY

    def scarce(self) -> bool:
        """Descriptors would run out if every client asked now: each may need one for its backend, beside all that are open."""
        cells = self._cells
        return len(self._streams) + cells[self._mine] - cells[self._live] >= self._most_streams
