"""A lease counts its request in its own child's row, and gives back what it took."""

from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, Ledger, PerSlot, Scalar, cell_at, scalar_at

CHILD, SLOT = 2, 7


def test_taken_and_released() -> None:
    """In flight and live are gauges, requests is a counter; the cells of others stay as they are."""
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(CHILD)
    backend = Backend("app", "b", "b.test", "127.0.0.1", 80, 1, 0, SLOT)
    in_flight, live = cell_at(CHILD, PerSlot.IN_FLIGHT, SLOT), scalar_at(CHILD, Scalar.LIVE_REQUESTS)
    lease = Lease(backend, ledger.cells, in_flight, live, cell_at(CHILD, PerSlot.FAILURES, SLOT))
    before = ledger.cells.tolist()
    lease.take()
    lease.take()
    lease.release()
    changed = {at: now for at, (old, now) in enumerate(zip(before, ledger.cells.tolist(), strict=True)) if old != now}
    assert changed == {in_flight: 1, live: 1, cell_at(CHILD, PerSlot.REQUESTS, SLOT): 2}
    assert ledger.verify() == []
    lease.release()
    assert ledger.slot_total(PerSlot.IN_FLIGHT, SLOT) == ledger.total(Scalar.LIVE_REQUESTS) == 0
    assert ledger.slot_total(PerSlot.REQUESTS, SLOT) == 2
    assert (lease.name, lease.slot) == ("b", SLOT)
