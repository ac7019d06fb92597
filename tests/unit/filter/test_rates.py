"""Token buckets in shared memory: never more than burst + rate * t, whoever asks, in whatever order, however many they are."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.filter.rates import LAG, SPAN, WAYS, RateTable

SECOND = 1_000_000_000


def table(sets: int = 1) -> RateTable:
    return RateTable(memoryview(bytearray(sets * SPAN * 8)).cast("q"))


def admitted(rates: RateTable, tag: int, now: int, interval: int, burst: int, asks: int) -> int:
    return sum(rates.take(0, tag, now, interval, burst) == 0 for _ in range(asks))


def assert_within(times: list[int], interval: int, burst: int) -> None:
    """In every window that begins and ends with an admitted request."""
    times = sorted(times)
    for first, begin in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - begin) // interval, (begin, times[last])


@given(
    st.integers(1, 50),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 40), st.integers(-20, 20)), max_size=150),
)
def test_no_window_holds_more_than_burst_and_rate(interval: int, burst: int, asks: list[tuple[int, int, int]]) -> None:
    """Twelve clients on eight places: they push each other out all the time, and workers' clocks are behind one another."""
    rates = table()
    clock = 1000
    seen: dict[int, list[int]] = defaultdict(list)
    for tag, later, lag in asks:
        clock += later
        now = clock + lag
        if rates.take(0, tag, now, interval, burst) == 0:
            seen[tag].append(now)
    for times in seen.values():
        assert_within(times, interval, burst)


@given(st.integers(1, 50), st.integers(1, 6), st.lists(st.integers(0, 60), max_size=60))
def test_nobody_alone_gets_less(interval: int, burst: int, gaps: list[int]) -> None:
    """Beside the table stands a bucket as one would draw it: it fills in steps of a nanosecond."""
    rates = table()
    now, level = 1000, burst * interval
    for gap in gaps:
        now += gap
        level = min(burst * interval, level + gap)
        wanted = level >= interval
        wait = rates.take(0, 7, now, interval, burst)
        assert (wait == 0) is wanted
        if wanted:
            level -= interval
        else:
            assert wait == interval - level


def test_the_wait_is_kept() -> None:
    rates = table()
    assert admitted(rates, 1, 0, SECOND, 5, 10) == 5
    wait = rates.take(0, 1, SECOND // 4, SECOND, 5)
    assert wait == SECOND * 3 // 4
    assert rates.take(0, 1, SECOND // 4 + wait, SECOND, 5) == 0
    assert rates.take(0, 1, SECOND // 4 + wait, SECOND, 5) == SECOND


def test_who_is_deep_in_debt_is_not_pushed_out_by_a_crowd() -> None:
    rates = table()
    assert admitted(rates, 1, 0, SECOND, 10, 10) == 10
    for tag in range(2, 1000):
        rates.take(0, tag, 0, SECOND, 10)
    assert rates.take(0, 1, 0, SECOND, 10) > 0
    crowd = sum(rates.take(0, tag, 0, SECOND, 10) == 0 for tag in range(2, 1000))
    assert crowd <= WAYS * 10


def test_a_crowd_is_admitted_no_more_than_its_places() -> None:
    """A thousand addresses in one set, each with a full bucket of its own in an honest world; a table of fixed size is stricter."""
    rates = table()
    assert sum(rates.take(0, tag, 0, SECOND, 3) == 0 for tag in range(1, 1000)) == WAYS * 3


def test_full_buckets_are_forgotten_first() -> None:
    rates = table()
    for tag in range(1, WAYS + 1):
        rates.take(0, tag, 0, SECOND, 2)
    assert admitted(rates, 100, 3 * SECOND, SECOND, 2, 5) == 2  # all the others are full again: the newcomer owes nothing


def test_other_limits_debts_do_not_close_the_door() -> None:
    """Eight clients of a strict limit; one of a lax one waits no longer than its own bucket takes."""
    rates = table()
    for tag in range(1, WAYS + 1):
        assert admitted(rates, tag, 0, 60 * SECOND, 5, 6) == 5
    now, step = 0, SECOND // 20
    waits = []
    for _ in range(40):
        waits.append(rates.take(0, 100, now, step, 10))
        now += step
    assert waits.count(0) >= 38


def test_a_stricter_limit_after_a_reload_does_not_lock_out() -> None:
    rates = table()
    assert admitted(rates, 1, 0, 60 * SECOND, 100, 200) == 100
    assert rates.take(0, 1, 0, SECOND, 2) == SECOND  # not the hundred minutes that the old one would take
    assert rates.take(0, 1, SECOND, SECOND, 2) == 0


@pytest.mark.parametrize("garbage", [2**63 - 1, -(2**63)])
def test_garbage_in_the_memory_passes(garbage: int) -> None:
    memory = memoryview(bytearray(SPAN * 8)).cast("q")
    for cell in range(SPAN):
        memory[cell] = garbage if cell >= WAYS else cell + 1
    rates = RateTable(memory)
    now = 10 * LAG
    for turn in range(5):
        rates.take(0, 1, now + turn * SECOND, SECOND, 2)
    assert rates.take(0, 1, now + 10 * SECOND, SECOND, 2) == 0
    assert rates.take(0, 99, now + 10 * SECOND, SECOND, 2) in (0, SECOND)
    assert rates.take(0, 99, now + 20 * SECOND, SECOND, 2) == 0
