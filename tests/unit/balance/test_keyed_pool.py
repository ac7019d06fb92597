"""A pool that asks first."""

from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, PickLock, SlotState, state_at
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.selection import Preference
from tests.unit.balance.locks import Lock


def made() -> tuple[KeyedPool, Ledger]:
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    backends = [Backend("app", f"b{slot}", "h", "127.0.0.1", 80, 1, 0, slot) for slot in range(3)]
    for slot in range(3):
        ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
    return KeyedPool("app", backends, ledger, PickLock(Lock(), ledger, 0), 0), ledger


def test_the_everyday_pick_asks() -> None:
    """And counts nothing."""
    pool, ledger = made()
    assert pool.pick() is ASK
    assert ledger.slot_total(PerSlot.REQUESTS, 0) == 0


def test_asked_for() -> None:
    """What the request wants, for this request only; counted like any other."""
    pool, ledger = made()
    for _ in range(3):
        lease = pool.pick((), Preference(2))
        assert isinstance(lease, Lease)
        assert lease.backend.slot == 2
    assert ledger.slot_total(PerSlot.IN_FLIGHT, 2) == 3
    free = pool.pick((), Preference())
    assert isinstance(free, Lease)
    assert free.backend.slot != 2
    assert pool.pick((0, 1, 2), Preference(2)) == NoneAvailable("no_backend")
