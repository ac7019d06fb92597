"""Readings of the ledger: what became of tries, by slot, over all workers.

A reading is one copy of the counts as they lie in the ledger, column after column and in each worker after worker. It costs a
twentieth of adding them up. Whether anything happened, and anything bad, is then for a comparison of bytes to tell.
"""

from __future__ import annotations

from lbproxy.balance.ledger import RETIRED, Ledger, PerSlot, cell_at, sums_of
from lbproxy.health.outlier import Counts

_FAILED = (PerSlot.FAILURES, PerSlot.GATEWAY_ERRORS, PerSlot.SERVER_ERRORS, PerSlot.REFUSED_ANSWERS)
_READ = (*_FAILED, PerSlot.REQUESTS, PerSlot.IN_FLIGHT, PerSlot.GIVEN_UP)


class Readings:
    """Takes readings of as many slots as somebody wants to know of."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._slots = 0
        self._children = -1
        self._columns: list[memoryview[int]] = []
        self.last = b""
        """b"" also when a reading before has another layout than one now would have."""

    def reach(self, slots: int) -> None:
        """Those below `slots` are read, too."""
        if slots > self._slots:
            self._slots = slots
            self._lay_out()

    def take(self) -> bytes:
        """The counts as they are now. A worker writes its cells one after the other: one may be ahead of another for a moment."""
        if self._ledger.children != self._children:
            self._lay_out()
        self.last = b"".join(self._columns)
        return self.last

    def counts(self, reading: bytes) -> list[Counts]:
        """By slot. `reading`: of the layout that the last one had."""
        if not reading:
            return []
        cells, slots = memoryview(reading).cast("q"), self._slots
        rows = [cells[at : at + slots].tolist() for at in range(0, len(cells), slots)]
        each = len(rows) // len(_READ)
        failures, gateway, errors, refused, requests, in_flight, given_up = (
            sums_of(rows[at : at + each], slots) for at in range(0, len(rows), each)
        )
        failed = map(int.__add__, failures, gateway)
        done = (made - busy - left for made, busy, left in zip(requests, in_flight, given_up, strict=True))
        return list(map(Counts, done, failed, errors, refused))

    def _lay_out(self) -> None:
        self._children = self._ledger.children
        starts = [cell_at(row, what, 0) for what in _READ for row in (*range(self._children), RETIRED)]
        self._columns = [self._ledger.cells[at : at + self._slots] for at in starts]
        self.last = b""


def failed_between(before: bytes, after: bytes) -> bool:
    """Whether two readings differ in failures or errors, which are their first columns."""
    end = len(after) // len(_READ) * len(_FAILED)
    return before[:end] != after[:end]
