"""The balance of connections between workers: whether this one has more than its share and lets the others accept (net/listener).

At its own ceiling, too: as many as the configuration allows, and no more than there are descriptors for. Without that, a crowd of
clients takes them all, and those who are served get 502 because no connection to a backend can be opened.
"""

from __future__ import annotations

from collections.abc import Sized

from lbproxy.balance.ledger import MOST_AT_ONCE, ROW_CELLS, Ledger, Scalar, rows_of, scalar_at
from lbproxy.config.descriptors import PER_CONNECTION, RESERVE, possible
from lbproxy.net.listener import Room

ABOVE_SHARE = 1.08
"""Times the mean over all accepting workers. Only the busiest are held back, so the idlest of n ends within 2:1 of them for certain
if this is at most 2n / (2n - 1): 1.14 for four workers. With 1.25, four workers on two busy cores held 64, 62, 52 and 22 of 200
connections; with 1.08 at worst 55, 52, 51 and 42, in the same time (measured 2026-11-23)."""
SLACK = 2
"""Connections above the mean that never matter; with few connections the ratio alone would be noise."""

# Python 3.11 looks an Enum's members up through a hook.
_MOST = MOST_AT_ONCE
_PLENTY, _ABOVE_SHARE, _FULL = Room


class AcceptBalance:
    """What one worker asks before each accept; reads the connection counts of all workers off the ledger."""

    __slots__ = ("_accepting", "_cells", "_connections", "_ledger", "_limit", "_live", "_mine", "_most_streams", "_row", "_streams")

    def __init__(self, ledger: Ledger, child: int, limit: int, descriptors: int, streams: Sized) -> None:
        """`limit`: connections that this worker may hold; `descriptors`: files that it may have open; `streams`: all open ones."""
        self._cells = self._ledger = ledger.cells
        self._mine = scalar_at(child, Scalar.CONNECTIONS)
        self._live = scalar_at(child, Scalar.LIVE_REQUESTS)
        self._accepting = scalar_at(0, Scalar.ACCEPTING)  # of the first row; those of the next are ROW_CELLS further on
        self._connections = scalar_at(0, Scalar.CONNECTIONS)
        self._row = ROW_CELLS
        self._limit = min(limit, possible(descriptors))
        self._streams = streams
        self._most_streams = max(PER_CONNECTION, descriptors - RESERVE)

    def room(self) -> Room:
        """See net.listener.Room."""
        cells, row = self._cells, self._row
        mine = cells[self._mine]
        if mine >= self._limit or self.scarce():
            return _FULL
        if mine <= SLACK:
            return _PLENTY
        most = _MOST
        rows = rows_of(self._ledger)
        workers = total = 0
        for child in range(rows):
            if cells[self._accepting + child * row]:  # a draining worker's connections are not competed for
                workers += 1
                count = cells[self._connections + child * row]
                if 0 < count < most:  # else nobody sound wrote it
                    total += count
        return _ABOVE_SHARE if workers > 1 and mine * workers > ABOVE_SHARE * total + SLACK * workers else _PLENTY

    def scarce(self) -> bool:
        """Descriptors would run out if every client asked now: each may need one for its backend, beside all that are open."""
        cells = self._cells
        return len(self._streams) + cells[self._mine] - cells[self._live] >= self._most_streams
