"""A listener's door in one worker: who comes through is counted, and no more may be inside, over all workers, than the listener
allows.

Theory of operation. A place is taken before a connection is accepted, and counted in this worker's row of the ledger; with a limit,
looking and counting are one step under the pick lock, so the limit is exact over all workers and all living generations. (It can be
exceeded by one per worker only while a holder of the lock is stopped, as PickLock tells; and who waits in the queue of a listener
that goes for good is let in, whatever the limit: the kernel would reset them.) What a dead worker had inside leaves with its row.

A worker that finds the listener full leaves the newcomers in the kernel's queue, as HAProxy does at a frontend's maxconn: they are
connected, and wait for an answer. It notes in the ledger that it waits; whoever lets a place go rings for those who do. What nobody
rings for (places of a worker that died, a bell that was missed) is found by the bells' timer.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Protocol

from lbproxy.balance.ledger import Ledger, PerSlot, PickLock, Scalar, at_once, cell_at, rows_of, scalar_at

_Read = Callable[[memoryview], tuple[int, ...]]


class Ringing(Protocol):
    """What a door needs of the bells (bells.py)."""

    def ring(self, child: int) -> None: ...
    def attend(self, queue: Door) -> None: ...


class Door:
    """See above, and net.listener.Door."""

    __slots__ = (
        "_all",
        "_bells",
        "_cells",
        "_child",
        "_go_on",
        "_lock",
        "_mine",
        "_read_open",
        "_read_waits",
        "_rows",
        "_slot",
        "_waits",
        "limit",
    )

    def __init__(self, ledger: Ledger, lock: PickLock, child: int, slot: int, limit: int, bells: Ringing) -> None:
        """`slot`: the listener's slot; `limit`: connections, over all workers; 0: any number."""
        self._cells = ledger.cells
        self._lock = lock
        self._child = child
        self._slot = slot
        self.limit = limit
        self._bells = bells
        self._mine = cell_at(child, PerSlot.OPEN, slot)
        self._all = scalar_at(child, Scalar.CONNECTIONS)
        self._waits = cell_at(child, PerSlot.QUEUED, slot)
        self._go_on: Callable[[], None] | None = None
        self._rows = -1
        self._read_open: _Read = itemgetter(0, 0)
        self._read_waits: _Read = itemgetter(0, 0)

    # ---------------------------------------------------------------- in and out

    def enter(self) -> bool:
        """Take a place; False: there is none."""
        if not self.limit:
            self.admit()
            return True
        with self._lock:
            self._follow_rows()
            if sum(map(at_once, self._read_open(self._cells))) >= self.limit:
                return False
            self.admit()
            return True

    def admit(self) -> None:
        """Take a place, whether there is one or not."""
        cells = self._cells
        cells[self._mine] += 1
        cells[self._all] += 1

    def leave(self) -> None:
        """Give a place back."""
        cells = self._cells
        cells[self._mine] -= 1
        cells[self._all] -= 1
        if self.limit:
            self._follow_rows()
            for row, waits in enumerate(self._read_waits(cells)):
                if waits:
                    self._bells.ring(row)

    def _follow_rows(self) -> None:
        rows = max(1, rows_of(self._cells))
        if rows != self._rows:
            self._rows = rows
            # One row more than there are, and so zeros: of a single cell, itemgetter would give no tuple.
            self._read_open = itemgetter(*(cell_at(row, PerSlot.OPEN, self._slot) for row in range(rows + 1)))
            self._read_waits = itemgetter(*(cell_at(row, PerSlot.QUEUED, self._slot) for row in range(rows + 1)))

    # ---------------------------------------------------------------- waiting

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` once, from the event loop, when there may be a place; at the latest after the bells' next turn."""
        self._go_on = go_on
        self._cells[self._waits] = 1
        self._bells.attend(self)

    def serve(self) -> None:
        """See bells.Served."""
        go_on, self._go_on = self._go_on, None
        self._cells[self._waits] = 0
        if go_on is not None:
            go_on()

    def turn(self) -> bool:
        """See bells.Served."""
        self.serve()
        return False
