"""A pool whose backends have limits, and where requests wait for room in a queue: first come, first served, over all workers.

The same lock under which a place is taken decides who may take it: a newcomer only while nobody waits, and of those who wait only
the one with the oldest ticket. Second tries do not stand in line again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproxy.balance.backend import Backend
from lbproxy.balance.board import Lease
from lbproxy.balance.keyed_pool import AskingPool
from lbproxy.balance.ledger import Ledger, PickLock
from lbproxy.balance.line import Line
from lbproxy.balance.policy import Policy
from lbproxy.balance.pool import Unavailable
from lbproxy.balance.selection import FULL, Preference

Ring = Callable[[int], None]
"""Tells the worker of that row that it may be its turn."""


class QueueingLease(Lease):
    """Whoever gives it back tells the one who waits longest."""

    __slots__ = ("on_free",)

    on_free: Callable[[], None]

    def release(self) -> None:
        """Give it back, exactly once."""
        super().release()
        self.on_free()


class QueueingPool(AskingPool):
    """See above."""

    __slots__ = ("_line", "_ring", "_turn_of")

    def __init__(
        self,
        name: str,
        backends: Sequence[Backend],
        ledger: Ledger,
        lock: PickLock,
        child: int,
        policy: Policy | None,
        fail_open: int,
        line: Line,
        ring: Ring,
    ) -> None:
        self._line = line
        self._ring = ring
        self._turn_of = 0
        super().__init__(name, backends, ledger, lock, child, policy, fail_open)

    def _lease(self, backend: Backend, cells: memoryview, in_flight: int, live: int, failures: int) -> Lease:
        lease = QueueingLease(backend, cells, in_flight, live, failures)
        lease.on_free = self.call_next
        return lease

    def call_next(self) -> None:
        """Tell the worker whose request has waited longest, if any does."""
        _, row = self._line.first()
        if row >= 0:
            self._ring(row)

    def join(self) -> int:
        """Stand in line: a ticket, or 0 when too many wait."""
        with self._lock:
            return self._line.join()

    def leave(self, head: int) -> None:
        """See Line.leave."""
        self._line.leave(head)

    def pick_in_turn(self, ticket: int, preference: Preference) -> Lease | Unavailable:
        """For this worker's request that has waited longest: "pool_full" also while somebody else's has waited longer."""
        self._turn_of = ticket
        try:
            return self.pick_for(preference)
        finally:
            self._turn_of = 0

    def _choose(self, tried: Sequence[int], rows: int) -> int:
        if tried:
            return super()._choose(tried, rows)
        first, row = self._line.first()
        if first == self._turn_of:
            return super()._choose(tried, rows)
        if not self._turn_of:  # a newcomer stands in line
            return FULL
        index = super()._choose(tried, rows)
        if index < 0:
            self._line.taken()
            return index
        return index if self._line.overslept(row) else FULL
