"""Places of a listener, over all workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import SIZE, Ledger, PerSlot, PickLock, Scalar
from lbproxy.worker.accept.connection_limit import ConnectionLimit
from tests.unit.balance.locks import Lock

SLOT = 7


class Woken:
    """Whom the limits wake, and who is watched."""

    def __init__(self) -> None:
        self.woken: list[int] = []
        self.watched: list[ConnectionLimit] = []

    def wake(self, child: int) -> None:
        self.woken.append(child)

    def watch(self, queue: ConnectionLimit) -> None:
        self.watched.append(queue)


class House:
    """Several workers' limits of one listener."""

    def __init__(self, workers: int, limit: int) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.lock = Lock()
        self.wakeups = Woken()
        for child in range(workers):
            self.ledger.open_row(child)
        self.limits = [self.limit(child, limit) for child in range(workers)]

    def limit(self, child: int, most: int) -> ConnectionLimit:
        return ConnectionLimit(self.ledger, PickLock(self.lock, self.ledger, child), child, SLOT, most, self.wakeups)

    def inside(self) -> int:
        assert self.ledger.verify() == []
        assert not self.lock.held
        assert self.ledger.total(Scalar.CONNECTIONS) == self.ledger.slot_total(PerSlot.OPEN, SLOT)
        return self.ledger.total(Scalar.CONNECTIONS)


@given(st.integers(1, 4), st.integers(0, 6), st.lists(st.tuples(st.sampled_from(["in", "in", "out", "die"]), st.integers(0, 3))))
def test_never_more_than_the_limit(workers: int, limit: int, moves: list[tuple[str, int]]) -> None:
    """Whoever comes and goes where, and whichever worker dies; and nobody is turned away while there is a place."""
    house = House(workers, limit)
    inside = [0] * workers
    for move, number in moves:
        worker = number % workers
        if move == "in":
            entered = house.limits[worker].acquire()
            assert entered == (not limit or sum(inside) < limit)
            inside[worker] += entered
        elif move == "out" and inside[worker]:
            house.limits[worker].release()
            inside[worker] -= 1
        elif move == "die":
            house.ledger.retire_row(worker)
            inside[worker] = 0
        assert house.inside() == sum(inside)


def test_whoever_leaves_wakes_those_who_wait() -> None:
    """Once each; who was woken goes on and does not wait any more."""
    house = House(3, 1)
    went: list[int] = []
    assert house.limits[0].acquire()
    house.limits[0].release()
    assert house.wakeups.woken == []
    assert house.limits[0].acquire()
    for child in (1, 2):
        assert not house.limits[child].acquire()
        house.limits[child].wait(lambda child=child: went.append(child))  # type: ignore[misc]  # a default argument
    assert house.wakeups.watched == house.limits[1:]
    house.limits[0].release()
    assert house.wakeups.woken == [1, 2]
    house.limits[1].serve()
    assert not house.limits[2].look_again(), "what nobody woke it for is found by the timer"
    for limit in house.limits:
        limit.serve()
    assert went == [1, 2]
    assert house.limits[1].acquire()
    house.limits[1].release()
    assert house.wakeups.woken == [1, 2]


@pytest.mark.parametrize("limit", [1, 3])
def test_another_generation_counts_with_us(limit: int) -> None:
    """With the limit of its own configuration: a worker that comes later, or whose limit was lowered, waits for room."""
    house = House(2, limit)
    for _ in range(limit):
        assert house.limits[0].acquire()
    house.ledger.open_row(2)
    assert not house.limit(2, limit).acquire()
    assert not house.limit(2, 1).acquire()
    assert house.limit(2, limit + 1).acquire()
    assert not house.limits[1].acquire()
    assert house.inside() == limit + 1


def test_last_orders_know_no_limit() -> None:
    house = House(1, 1)
    house.limits[0].acquire_anyway()
    house.limits[0].acquire_anyway()
    assert house.inside() == 2
    assert not house.limits[0].acquire()
