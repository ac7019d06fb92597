"""Has this worker more than its share of the connections? Decides whether it lets the others accept (see net/listener)."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from lbproxy.balance.ledger import Header, Ledger, Scalar, scalar_at
from lbproxy.net.listener import Room

CROWDED = 1.08
"""Times the mean over all accepting workers. Only the busiest are held back, so the idlest of n ends within 2:1 of them for certain
if this is at most 2n / (2n - 1): 1.14 for four workers. With 1.25, four workers on two busy cores held 64, 62, 52 and 22 of 200
connections; with 1.08 at worst 55, 52, 51 and 42, in the same time (measured 2026-11-23)."""
SLACK = 2
"""Connections above the mean that never matter; with few connections the ratio alone would be noise."""


class Gate:
    """Reads the connection counts of all workers off the ledger at each accept."""

    def __init__(self, ledger: Ledger, child: int, limit: int) -> None:
        """`limit`: connections this worker may hold."""
        self._cells = ledger.cells
        self._mine = scalar_at(child, Scalar.CONNECTIONS)
        self._limit = limit
        self._rows = -1
        self._read: Callable[[memoryview], tuple[int, ...]] = itemgetter(0, 1)

    def room(self) -> Room:
        """See net.listener.Room."""
        cells = self._cells
        mine = cells[self._mine]
        if mine >= self._limit:
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
