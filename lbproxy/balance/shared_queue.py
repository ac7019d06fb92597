"""A pool's queue as all workers see it: who has waited longest, and how many wait.

Theory of operation. The requests themselves wait in their own workers (proxy/queue.py). The ledger holds for each worker how many
of its requests wait and the ticket of the one that has waited longest; tickets are drawn from one counter per pool, so the worker
with the smallest is the one to be served next. All of it stands in the cells of the pool's first backend. Tickets are drawn, and
heads of the line served, by the holder of the pick lock; a worker writes only its own row.

A worker that dies takes its waiting requests along: the master zeroes its row.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from lbproxy.balance.ledger import Ledger, PerSlot, SlotState, at_once, cell_at, rows_of, state_at

LAST_TICKET = 2**62
"""Nobody draws so many: whatever stands beyond it was not drawn."""
OVERSLEPT = 1.0
"""Seconds that a worker may leave a place to itself that is its turn to take. It needs some thousandths; one that hangs, or was
taken over and claims to have waited longest, does not keep the others from it."""


class SharedQueue:
    """One pool's, for one worker."""

    def __init__(self, ledger: Ledger, child: int, slot: int, limit: int, clock: Callable[[], float]) -> None:
        """`slot`: of the pool's first backend; `limit`: requests that may wait, over all workers; `clock`: monotonic seconds."""
        self._cells = ledger.cells
        self._slot = slot
        self._limit = limit
        self._mine = cell_at(child, PerSlot.QUEUED, slot)
        self._head = cell_at(child, PerSlot.LINE_HEAD, slot)
        self._ticket = state_at(SlotState.TICKET, slot)
        self._clock = clock
        self._sleeper = -1
        self._since = 0.0
        self._rows = -1
        self._read_waiting: Callable[[memoryview], tuple[int, ...]] = itemgetter(0, 0)
        self._read_heads: Callable[[memoryview], tuple[int, ...]] = itemgetter(0, 0)

    def waiting(self) -> int:
        """Requests in line, over all workers."""
        self._follow_rows()
        return sum(map(at_once, self._read_waiting(self._cells)))

    def join(self) -> int:
        """Stand in line: the ticket, or 0 when too many do already. For the holder of the pick lock."""
        cells = self._cells
        if self.waiting() >= self._limit:
            return 0
        last = cells[self._ticket]
        ticket = cells[self._ticket] = last + 1 if 0 <= last < LAST_TICKET else 1
        cells[self._mine] += 1
        if not cells[self._head]:
            cells[self._head] = ticket
        return ticket

    def leave(self, head: int) -> None:
        """One of this worker's is no longer in line; `head`: the ticket of its first one now, 0 for none."""
        self._cells[self._mine] -= 1
        self._cells[self._head] = head

    def first(self) -> tuple[int, int]:
        """(the ticket that has waited longest, its worker's row); (0, -1) when nobody waits."""
        self._follow_rows()
        heads = self._read_heads(self._cells)
        least = min((head for head in heads if 0 < head <= LAST_TICKET), default=0)
        return (least, heads.index(least)) if least else (0, -1)

    def overslept(self, row: int) -> bool:
        """There is a place, and it is that row's turn: whether that has been so for too long."""
        now = self._clock()
        if row != self._sleeper:
            self._sleeper, self._since = row, now
        return now - self._since >= OVERSLEPT

    def taken(self) -> None:
        """There is no place: nobody sleeps."""
        self._sleeper = -1

    def _follow_rows(self) -> None:
        rows = max(1, rows_of(self._cells))
        if rows != self._rows:
            self._rows = rows
            # One row more than there are, and so zeros: of a single cell, itemgetter would give no tuple.
            self._read_waiting = itemgetter(*(cell_at(row, PerSlot.QUEUED, self._slot) for row in range(rows + 1)))
            self._read_heads = itemgetter(*(cell_at(row, PerSlot.LINE_HEAD, self._slot) for row in range(rows + 1)))
