"""A pool's queue in the ledger."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import SIZE, Ledger, PerSlot
from lbproxy.balance.shared_queue import SharedQueue


def lines(workers: int, limit: int) -> tuple[Ledger, list[SharedQueue]]:
    ledger = Ledger(bytearray(SIZE))
    for child in range(workers):
        ledger.open_row(child)
    return ledger, [SharedQueue(ledger, child, 4, limit, lambda: 0.0) for child in range(workers)]


@given(st.integers(1, 4), st.integers(1, 8), st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=40))
def test_first_come_first_served(workers: int, limit: int, steps: list[tuple[bool, int]]) -> None:
    """Whoever joins in whichever worker: everybody agrees on who is first and on how many wait, and never too many do."""
    ledger, of = lines(workers, limit)
    waiting: list[tuple[int, int]] = []  # ticket, worker
    for joins, number in steps:
        child = number % workers
        if joins:
            ticket = of[child].join()
            assert bool(ticket) is (len(waiting) < limit)
            if ticket:
                assert all(ticket > earlier for earlier, _ in waiting)
                waiting.append((ticket, child))
        elif mine := [one for one in waiting if one[1] == child]:
            waiting.remove(mine[0])
            of[child].leave(mine[1][0] if len(mine) > 1 else 0)
        for line in of:
            assert line.waiting() == len(waiting)
            assert line.first() == (waiting[0] if waiting else (0, -1))
    assert ledger.slot_total(PerSlot.QUEUED, 4) == len(waiting)


def test_a_dead_worker_takes_its_own_along() -> None:
    """The next in line is somebody else's."""
    ledger, (one, other) = lines(2, 9)
    assert (one.join(), other.join(), one.join()) == (1, 2, 3)
    ledger.retire_row(0)
    assert (other.first(), other.waiting()) == ((2, 1), 1)


def test_a_row_that_comes_later() -> None:
    """Is looked at from then on."""
    ledger, (one,) = lines(1, 9)
    one.join()
    ledger.open_row(5)
    late = SharedQueue(ledger, 5, 4, 9, lambda: 0.0)
    assert late.join() == 2
    assert (one.waiting(), one.first()) == (2, (1, 0))
