"""Pools with limits and a queue: never too many, first come first served."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, PickLock, SlotState, state_at
from lbproxy.balance.pick_result import NoneAvailable
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.selection import NO_PREFERENCE, Preference
from lbproxy.balance.shared_queue import SharedQueue
from tests.unit.balance.locks import Lock


class Workers:
    """Several workers' pools over one ledger."""

    def __init__(self, workers: int, limits: list[int]) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        lock = Lock()
        self.limits = limits
        self.woken: list[int] = []
        backends = [Backend("app", f"b{at}", "h", "127.0.0.1", 80, 1, limit, at) for at, limit in enumerate(limits)]
        for child in range(workers):
            self.ledger.open_row(child)
        for at in range(len(limits)):
            self.ledger.cells[state_at(SlotState.HEALTH, at)] = HealthState.UP
        self.pools = [
            QueuedPool(
                "app", backends, self.ledger, PickLock(lock, self.ledger, child), child, None, 0,
                SharedQueue(self.ledger, child, 0, 100, lambda: 0.0), self.woken.append,
            )
            for child in range(workers)
        ]  # fmt: skip

    def check(self, held: int) -> None:
        loads = [self.ledger.slot_total(PerSlot.IN_FLIGHT, at) for at in range(len(self.limits))]
        assert sum(loads) == held
        assert all(load <= limit for load, limit in zip(loads, self.limits, strict=True))
        assert self.ledger.verify() == []


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(["come", "come", "go", "serve"]), st.integers(0, 20)), max_size=60),
)
def test_in_the_order_they_came(workers: int, limits: list[int], steps: list[tuple[str, int]]) -> None:
    """No backend ever has more than its limit, newcomers never overtake, and a place that is given back wakes who is next."""
    world = Workers(workers, limits)
    waiting: list[tuple[int, int]] = []
    held: list[Lease] = []
    for step, number in steps:
        child = number % workers
        pool = world.pools[child]
        if step == "come":
            lease = pool.pick((), NO_PREFERENCE)
            if isinstance(lease, Lease):
                assert not waiting
                held.append(lease)
            else:
                assert lease == NoneAvailable("pool_full")
                assert waiting or len(held) == sum(limits)
                waiting.append((pool.join(), child))
        elif step == "go" and held:
            world.woken.clear()
            held.pop(number % len(held)).release()
            assert world.woken == ([waiting[0][1]] if waiting else [])
        elif step == "serve" and (mine := [one for one in waiting if one[1] == child]):
            lease = pool.pick((), Preference(ticket=mine[0][0]))
            assert isinstance(lease, Lease) is (mine[0] == waiting[0] and len(held) < sum(limits))
            if isinstance(lease, Lease):
                held.append(lease)
                waiting.remove(mine[0])
                pool.leave(mine[1][0] if len(mine) > 1 else 0)
        world.check(len(held))


def test_a_second_try_does_not_stand_in_line_again() -> None:
    """It takes the place that there is elsewhere."""
    world = Workers(2, [1, 1])
    first = world.pools[0].pick((), NO_PREFERENCE)
    assert isinstance(first, Lease)
    assert isinstance(world.pools[0].pick((), NO_PREFERENCE), Lease)
    world.pools[1].join()
    first.release()
    assert world.pools[0].pick((), NO_PREFERENCE) == NoneAvailable("pool_full")
    again = world.pools[0].pick((1 - first.backend.slot,), NO_PREFERENCE)
    assert isinstance(again, Lease)
