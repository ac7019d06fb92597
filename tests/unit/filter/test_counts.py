"""What clients have under way, added up over workers."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.filter.counts import ALONE, REFUSED, CountTable
from lbproxy.filter.rates import SPAN, WAYS

ROWS = (0, 1, 2)


def tables(sets: int = 1) -> list[CountTable]:
    memory = memoryview(bytearray(len(ROWS) * sets * SPAN * 8)).cast("q")
    return [CountTable(memory, sets * SPAN, child) for child in ROWS]


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.booleans()), max_size=120))
def test_exact_over_all_workers(limit: int, steps: list[tuple[int, int, bool]]) -> None:
    """Three workers and six clients come and go in any order."""
    workers = tables()
    held: list[tuple[int, int, int]] = []
    for child, tag, comes in steps:
        if comes:
            ticket = workers[child].take(5, tag, limit, ROWS)
            under_way = sum(1 for _, other, _ in held if other == tag)
            assert (ticket != REFUSED) is (under_way < limit)
            if ticket != REFUSED:
                held.append((child, tag, ticket))
        elif held:
            child, tag, ticket = held.pop(tag % len(held))
            workers[child].give(ticket, tag)
    for child, tag, ticket in held:
        workers[child].give(ticket, tag)
    for tag in range(1, 7):
        assert [workers[0].take(5, tag, limit, ROWS) != REFUSED for _ in range(limit + 1)] == [True] * limit + [False]


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=200))
def test_a_full_set_is_counted_alone(steps: list[tuple[int, bool]]) -> None:
    """Thirty clients on eight places: each is still held to its limit in its worker."""
    worker = tables()[1]
    held: list[tuple[int, int]] = []
    counts: Counter[int] = Counter()
    for tag, comes in steps:
        if comes:
            ticket = worker.take(0, tag, 2, ROWS)
            assert (ticket != REFUSED) is (counts[tag] < 2)
            if ticket != REFUSED:
                counts[tag] += 1
                held.append((tag, ticket))
        elif held:
            tag, ticket = held.pop(tag % len(held))
            counts[tag] -= 1
            worker.give(ticket, tag)
    for tag, ticket in held:
        worker.give(ticket, tag)
    assert not worker._alone


def test_places_are_used_again() -> None:
    worker = tables()[0]
    tickets = [worker.take(0, tag, 1, ROWS) for tag in range(1, WAYS + 1)]
    assert worker.take(0, 100, 1, ROWS) == ALONE
    worker.give(ALONE, 100)
    worker.give(tickets[3], 4)
    assert worker.take(0, 100, 1, ROWS) == tickets[3]
