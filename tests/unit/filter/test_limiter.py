"""Rate and concurrency of one limit, asked in one step."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from lbproxy.config.model import ClientLimitConfig, Rate
from lbproxy.filter.counts import CountTable
from lbproxy.filter.limiter import CLIENTS_KEPT, Limiter, LimiterMemory, LimitTicket, OverLimit, interval_of
from lbproxy.filter.rates import SPAN, RateTable
from lbproxy.remembered import Budget

SECOND = 1_000_000_000
HOME, AWAY = b"\1\1\1\1", b"\2\2\2\2"


def memories(workers: int) -> list[LimiterMemory]:
    """One for each worker, over the same cells."""
    rates = memoryview(bytearray(64 * SPAN * 8)).cast("q")
    counts = memoryview(bytearray(workers * 64 * SPAN * 8)).cast("q")
    rows = list(range(workers))
    return [
        LimiterMemory(
            RateTable(rates), CountTable(counts, 64 * SPAN, child), nullcontext(), lambda: rows, bytes(32), Budget(CLIENTS_KEPT)
        )
        for child in rows
    ]


@pytest.mark.parametrize(("rate", "interval"), [
    (Rate(20, 1), SECOND // 20),
    (Rate(3, 1), SECOND // 3 + 1),
    (Rate(5, 60), 12 * SECOND),
    (Rate(1, 3600), 3600 * SECOND),
])  # fmt: skip
def test_a_token_takes_its_share_of_the_period_never_less(rate: Rate, interval: int) -> None:
    assert interval_of(rate) == interval
    assert interval_of(rate) * rate.amount >= rate.period * SECOND


def test_a_rate_is_shared_by_workers_and_by_reloads() -> None:
    first, second = memories(2)
    limit = ClientLimitConfig(Rate(2, 1), 4)
    one, other, renewed = Limiter("a", limit, first), Limiter("a", limit, second), Limiter("a", limit, second)
    assert [limiter.take(HOME, 0) for limiter in (one, other, one, renewed)] == [None] * 4
    assert renewed.take(HOME, 0) == OverLimit(SECOND // 2)
    assert renewed.take(AWAY, 0) is None
    assert Limiter("b", limit, first).take(HOME, 0) is None
    assert one.take(HOME, SECOND // 2) is None


def test_the_burst_is_as_much_as_comes_in_a_period() -> None:
    [memory] = memories(1)
    limiter = Limiter("a", ClientLimitConfig(Rate(5, 60)), memory)
    assert [limiter.take(HOME, 0) for _ in range(6)] == [None] * 5 + [OverLimit(12 * SECOND)]


def test_a_token_is_given_back() -> None:
    """For one that turned out not to count; never more than were taken, and by any worker."""
    first, second = memories(2)
    limit = ClientLimitConfig(Rate(2, 1))
    one, other = Limiter("a", limit, first), Limiter("a", limit, second)
    for _ in range(10):
        assert one.take(HOME, 0) is None
        other.give_back(HOME)
    assert [one.take(HOME, 0) for _ in range(3)] == [None, None, OverLimit(SECOND // 2)]
    for _ in range(10):
        one.give_back(HOME)
        one.give_back(AWAY)
    assert [one.take(HOME, 100 * SECOND) for _ in range(3)] == [None, None, OverLimit(SECOND // 2)]
    Limiter("b", ClientLimitConfig(concurrency=1), first).give_back(HOME)


def test_concurrency_is_given_back() -> None:
    first, second = memories(2)
    limit = ClientLimitConfig(concurrency=2)
    one, other = Limiter("a", limit, first), Limiter("a", limit, second)
    tickets = [one.take(HOME, 0), other.take(HOME, 0)]
    assert one.take(HOME, 0) == other.take(HOME, 0) == OverLimit(0)
    for ticket in tickets:
        assert isinstance(ticket, LimitTicket)
        ticket.release()
    assert isinstance(one.take(HOME, 0), LimitTicket)


def test_who_comes_too_often_is_not_counted_as_under_way() -> None:
    [memory] = memories(1)
    limiter = Limiter("a", ClientLimitConfig(Rate(1, 1), 1, 1), memory)
    ticket = limiter.take(HOME, 0)
    assert isinstance(ticket, LimitTicket)
    assert limiter.take(HOME, 0) == OverLimit(0)
    ticket.release()
    assert limiter.take(HOME, 0) == OverLimit(SECOND)
    assert isinstance(limiter.take(HOME, SECOND), LimitTicket)
