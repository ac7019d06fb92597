"""A pool whose backends have limits, and where requests wait for room in a queue: first come, first served, over all workers.

The same lock under which a place is taken decides who may take it: a newcomer only while nobody waits, and of those who wait only
the one with the oldest ticket. Second tries do not stand in line again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import Ledger, PickLock
from lbproxy.balance.pick_result import POOL_FULL
from lbproxy.balance.policy import Policy
from lbproxy.balance.selection import Preference
from lbproxy.balance.shared_queue import SharedQueue

Wake = Callable[[int], None]
"""Tells the worker of that row that it may be its turn."""


class QueuedLease(Lease):
    """Whoever gives it back tells the one who waits longest."""

    __slots__ = ("on_free",)

    on_free: Callable[[], None]

    def release(self) -> None:
        """Give it back, exactly once."""
        super().release()
        self.on_free()


class QueuedPool(KeyedPool):
    """A pool with a queue before it. `shared`: the queue as all workers see it; `wake`: see Wake."""

    __slots__ = ("_shared", "_wake")

    def __init__(
        self,
        name: str,
        backends: Sequence[Backend],
        ledger: Ledger,
        lock: PickLock,
        child: int,
        policy: Policy | None,
        fail_open: int,
        shared: SharedQueue,
        wake: Wake,
    ) -> None:
        self._shared = shared
        self._wake = wake
        super().__init__(name, backends, ledger, lock, child, policy, fail_open)

    def _lease(self, backend: Backend, cells: memoryview, in_flight: int, live: int, failures: int) -> Lease:
        lease = QueuedLease(backend, cells, in_flight, live, failures)
        lease.on_free = self.call_next
        return lease

    def call_next(self) -> None:
        """Tell the worker whose request has waited longest, if any does."""
        _, row = self._shared.first()
        if row >= 0:
            self._wake(row)

    def join(self) -> int:
        """Join the queue: a ticket, or 0 when too many wait."""
        with self._lock:
            return self._shared.join()

    def leave(self, head: int) -> None:
        """See SharedQueue.leave."""
        self._shared.leave(head)

    def _choose(self, tried: Sequence[int], preference: Preference | None, rows: int) -> int:
        """One that has waited gets POOL_FULL also while somebody else's, in whatever worker, has waited longer."""
        if tried:
            return super()._choose(tried, preference, rows)
        ticket = preference.ticket if preference is not None else 0
        first, row = self._shared.first()
        if first == ticket:
            return super()._choose(tried, preference, rows)
        if not ticket:  # a newcomer joins the queue
            return POOL_FULL
        index = super()._choose(tried, preference, rows)
        if index < 0:
            self._shared.taken()
            return index
        return index if self._shared.overslept(row) else POOL_FULL
