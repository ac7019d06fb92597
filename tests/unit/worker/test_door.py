"""Places of a listener, over all workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import SIZE, Ledger, PerSlot, PickLock, Scalar
from lbproxy.worker.door import Door
from tests.unit.balance.locks import Lock

SLOT = 7


class Rings:
    """Whom the doors ring for, and who attends."""

    def __init__(self) -> None:
        self.rung: list[int] = []
        self.attending: list[Door] = []

    def ring(self, child: int) -> None:
        self.rung.append(child)

    def attend(self, queue: Door) -> None:
        self.attending.append(queue)


class House:
    """Several workers' doors of one listener."""

    def __init__(self, workers: int, limit: int) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.lock = Lock()
        self.bells = Rings()
        for child in range(workers):
            self.ledger.open_row(child)
        self.doors = [self.door(child, limit) for child in range(workers)]

    def door(self, child: int, limit: int) -> Door:
        return Door(self.ledger, PickLock(self.lock, self.ledger, child), child, SLOT, limit, self.bells)

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
            entered = house.doors[worker].enter()
            assert entered == (not limit or sum(inside) < limit)
            inside[worker] += entered
        elif move == "out" and inside[worker]:
            house.doors[worker].leave()
            inside[worker] -= 1
        elif move == "die":
            house.ledger.retire_row(worker)
            inside[worker] = 0
        assert house.inside() == sum(inside)


def test_whoever_leaves_rings_for_those_who_wait() -> None:
    """Once each; who was rung goes on and does not wait any more."""
    house = House(3, 1)
    went: list[int] = []
    assert house.doors[0].enter()
    house.doors[0].leave()
    assert house.bells.rung == []
    assert house.doors[0].enter()
    for child in (1, 2):
        assert not house.doors[child].enter()
        house.doors[child].wait(lambda child=child: went.append(child))  # type: ignore[misc]  # a default argument
    assert house.bells.attending == house.doors[1:]
    house.doors[0].leave()
    assert house.bells.rung == [1, 2]
    house.doors[1].serve()
    assert not house.doors[2].turn(), "what nobody rang for is found by the timer"
    for door in house.doors:
        door.serve()
    assert went == [1, 2]
    assert house.doors[1].enter()
    house.doors[1].leave()
    assert house.bells.rung == [1, 2]


@pytest.mark.parametrize("limit", [1, 3])
def test_another_generation_counts_with_us(limit: int) -> None:
    """With the limit of its own configuration: a worker that comes later, or whose limit was lowered, waits for room."""
    house = House(2, limit)
    for _ in range(limit):
        assert house.doors[0].enter()
    house.ledger.open_row(2)
    assert not house.door(2, limit).enter()
    assert not house.door(2, 1).enter()
    assert house.door(2, limit + 1).enter()
    assert not house.doors[1].enter()
    assert house.inside() == limit + 1


def test_last_orders_know_no_limit() -> None:
    house = House(1, 1)
    house.doors[0].admit()
    house.doors[0].admit()
    assert house.inside() == 2
    assert not house.doors[0].enter()
