"""A listener's limit of connections in one worker: each is counted, and no more may be open, over all workers, than it allows.

Theory of operation. A place is taken before a connection is accepted, and counted in this worker's row of the ledger; with a limit,
looking and counting are one step under the pick lock, so the limit is exact over all workers and all living generations. (It can be
exceeded by one per worker only while a holder of the lock is stopped, as PickLock tells; and who waits in the queue of a listener
that goes for good is let in, whatever the limit: the kernel would reset them.) What a dead worker had inside leaves with its row.

A worker that finds the listener full leaves the newcomers in the kernel's queue, as HAProxy does at a frontend's maxconn: they are
connected, and wait for an answer. It notes in the ledger that it waits; whoever gives a place back wakes those who do. What
nobody wakes them for (places of a worker that died, a wake-up that was missed) is found by the timer of wakeups.py.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Protocol

from lbproxy.balance.ledger import Ledger, PerSlot, PickLock, Scalar, at_once, cell_at, rows_of, scalar_at

_Read = Callable[[memoryview], tuple[int, ...]]


class Waking(Protocol):
    """What a limit needs of the wake-ups (wakeups.py)."""

    def wake(self, child: int) -> None: ...
    def watch(self, queue: ConnectionLimit) -> None: ...


class ConnectionLimit:
    """The connections of one listener that this worker has open, counted against its limit (see net.listener.ConnectionLimit)."""

    __slots__ = (
        "_all",
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
        "_wakeups",
        "most",
    )

    def __init__(self, ledger: Ledger, lock: PickLock, child: int, slot: int, most: int, wakeups: Waking) -> None:
        """`slot`: the listener's slot; `most`: connections, over all workers; 0: any number."""
        self._cells = ledger.cells
        self._lock = lock
        self._child = child
        self._slot = slot
        self.most = most
        self._wakeups = wakeups
        self._mine = cell_at(child, PerSlot.OPEN, slot)
        self._all = scalar_at(child, Scalar.CONNECTIONS)
        self._waits = cell_at(child, PerSlot.QUEUED, slot)
        self._go_on: Callable[[], None] | None = None
        self._rows = -1
        self._read_open: _Read = itemgetter(0, 0)
        self._read_waits: _Read = itemgetter(0, 0)

    # ---------------------------------------------------------------- take and give back

    def acquire(self) -> bool:
        """Take a place; False: there is none."""
        if not self.most:
            self.acquire_anyway()
            return True
        with self._lock:
            self._follow_rows()
            if sum(map(at_once, self._read_open(self._cells))) >= self.most:
                return False
            self.acquire_anyway()
            return True

    def acquire_anyway(self) -> None:
        """Take a place, whether there is one or not."""
        cells = self._cells
        cells[self._mine] += 1
        cells[self._all] += 1

    def release(self) -> None:
        """Give a place back."""
        cells = self._cells
        cells[self._mine] -= 1
        cells[self._all] -= 1
        if self.most:
            self._follow_rows()
            for row, waits in enumerate(self._read_waits(cells)):
                if waits:
                    self._wakeups.wake(row)

    def _follow_rows(self) -> None:
        rows = max(1, rows_of(self._cells))
        if rows != self._rows:
            self._rows = rows
            # One row more than there are, and so zeros: of a single cell, itemgetter would give no tuple.
            self._read_open = itemgetter(*(cell_at(row, PerSlot.OPEN, self._slot) for row in range(rows + 1)))
            self._read_waits = itemgetter(*(cell_at(row, PerSlot.QUEUED, self._slot) for row in range(rows + 1)))

    # ---------------------------------------------------------------- waiting

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` once, from the event loop, when there may be a place; at the latest after LOOK_INTERVAL of wakeups.py."""
        self._go_on = go_on
        self._cells[self._waits] = 1
        self._wakeups.watch(self)

    def serve(self) -> None:
        """See wakeups.Watched."""
        go_on, self._go_on = self._go_on, None
        self._cells[self._waits] = 0
        if go_on is not None:
            go_on()

    def look_again(self) -> bool:
        """See wakeups.Watched."""
        self.serve()
        return False
