"""A limit per client, asked: how often (rates.py) and how much at once (counts.py), as one step over all processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from lbproxy.config.model import ClientLimitConfig, Rate
from lbproxy.filter.counts import REFUSED, CountTable
from lbproxy.filter.keys import LimitKeys
from lbproxy.filter.rates import RateTable
from lbproxy.remembered import Budget

SECOND = 1_000_000_000
"""In nanoseconds, in which limits count time."""
CLIENTS_KEPT = 2 * 1024 * 1024
"""Bytes of what one worker remembers of clients' addresses, for all routes and limits together: some 6,000 of them."""


def interval_of(rate: Rate) -> int:
    """Nanoseconds a token takes; rounded up, so that it is never more than the rate."""
    return -(-rate.period * SECOND // rate.amount)


class LimiterMemory(NamedTuple):
    """What all limits of one worker share."""

    rates: RateTable
    counts: CountTable
    lock: AbstractContextManager[None]
    counting: Callable[[], Sequence[int]]
    """The children that count clients, from now on this one among them."""
    secret: bytes
    budget: Budget
    """For what is remembered of clients."""


class LimitTicket:
    """Something under way is counted, until `release`, exactly once."""

    __slots__ = ("_counts", "_place", "_tag")

    def __init__(self, counts: CountTable, place: int, tag: int) -> None:
        self._counts = counts
        self._place = place
        self._tag = tag

    def release(self) -> None:
        self._counts.give(self._place, self._tag)


class OverLimit(NamedTuple):
    wait: int
    """Nanoseconds until there is a token again; 0: it is no question of time, too much is under way."""


class Limiter:
    """Holds the clients of one limit to its rate and its count, over all workers."""

    __slots__ = ("_burst", "_concurrency", "_interval", "_keys", "_memory")

    def __init__(self, name: str, limit: ClientLimitConfig, memory: LimiterMemory) -> None:
        """`name`: the same over reloads, so that clients begin with what they had, and different from every other limit's."""
        self._interval = 0 if limit.rate is None else interval_of(limit.rate)
        self._burst = limit.burst or (0 if limit.rate is None else limit.rate.amount)
        self._concurrency = limit.concurrency
        self._keys = LimitKeys(memory.secret, name, memory.budget)
        self._memory = memory

    def give_back(self, site: bytes) -> None:
        """A token that `take` took, for what turned out not to count."""
        if self._interval:
            place, tag = self._keys.of(site)
            with self._memory.lock:
                self._memory.rates.give_back(place, tag, self._interval)

    def take(self, site: bytes, now: int) -> LimitTicket | OverLimit | None:
        """One more of this client (see addresses.Client.site). `now`: monotonic nanoseconds, of a clock that all processes share.

        A Ticket is to be released when it is over; None: nothing to release.
        """
        memory, (place, tag) = self._memory, self._keys.of(site)
        counted, wait = REFUSED, 0
        with memory.lock:
            if self._concurrency:
                counted = memory.counts.take(place, tag, self._concurrency, memory.counting())
                if counted == REFUSED:
                    return OverLimit(0)
            if self._interval:
                wait = memory.rates.take(place, tag, now, self._interval, self._burst)
        if not self._concurrency:
            return OverLimit(wait) if wait else None
        if wait:
            memory.counts.give(counted, tag)
            return OverLimit(wait)
        return LimitTicket(memory.counts, counted, tag)
