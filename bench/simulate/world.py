"""A site in simulated time: requests arrive at chance workers, lbproxy's own pools choose, each backend serves one after the other.

Theory of operation. Time is counted in mean service times. Requests arrive as a Poisson process at LOAD of what the backends
together can do. Service times are uneven: nine of ten take half of the mean on average, the tenth eleven times as long as these,
both exponentially distributed. A backend serves one request at a time in the order of arrival, so that a request's wait is known
when it is placed: until the backend has done all that it had.

What chooses is lbproxy.balance.pool.Pool with the policies that ship, over a real ledger in ordinary memory. Counting is exact when
all workers share one ledger; and since only the sums over its rows matter, one row then stands for all of them. "Per worker" gives
each worker a ledger of its own: that is how a proxy balances whose processes do not know of each other, or several machines with a
proxy each.

All policies get the same requests at the same workers: the random numbers come from one seed.
"""

from __future__ import annotations

import mmap
import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PickLock, SlotState, state_at
from lbproxy.balance.policies import make
from lbproxy.balance.policy import Ground, PickOutcome, Policy
from lbproxy.balance.pool import Pool

LOAD = 0.8
LONG_SHARE, SHORT_MEAN, LONG_MEAN = 0.1, 0.5, 5.5
LEAST_REQUESTS = 60_000
PER_BACKEND = 60
"""Requests, at least; the first half is not counted: the site begins empty, and queues take long to come to what they will be."""


class Request(NamedTuple):
    arrives: float
    service: float
    worker: float
    """0 <= worker < 1, so that the same request can be given to any number of workers."""


class Policies(NamedTuple):
    """A way to choose. `make` gives the policy for a pool over that ledger."""

    name: str
    make: Callable[[Ledger, Sequence[Backend], random.Random], Policy]
    shared: bool
    """All workers count together."""


def _named(name: str) -> Callable[[Ledger, Sequence[Backend], random.Random], Policy]:
    """One of those that a configuration can name."""
    return lambda ledger, backends, chance: make(name, Ground(ledger.cells, [backend.slot for backend in backends], chance.random))


EXACT = Policies("least_conn exact", _named("least_conn"), True)
TWO = Policies("random_two exact", _named("random_two"), True)
ROUND = Policies("round_robin", _named("round_robin"), True)
LEAST_EACH = Policies("least_conn per worker", _named("least_conn"), False)
TWO_EACH = Policies("random_two per worker", _named("random_two"), False)
TOGETHER = (EXACT, TWO, ROUND)
EACH = (LEAST_EACH, TWO_EACH)


class Waits(NamedTuple):
    """Of one policy on one site, in mean service times."""

    policy: str
    backends: int
    workers: int
    """0: any number, they count together."""
    requests: int
    p50: float
    p99: float
    longest: float


def requests(count: int, rate: float, seed: int) -> Iterator[Request]:
    """`rate`: a mean service time."""
    chance = random.Random(seed)
    now = 0.0
    for _ in range(count):
        now += chance.expovariate(rate)
        mean = LONG_MEAN if chance.random() < LONG_SHARE else SHORT_MEAN
        yield Request(now, chance.expovariate(1 / mean), chance.random())


def pools(policy: Policies, backends: int, workers: int, seed: int) -> list[Pool]:
    """One for each worker; one for all of them when they count together. Every backend is up."""
    made = []
    chance = random.Random(seed)
    ours = [Backend("sim", f"b{at}", "sim", "127.0.0.1", 1 + at, 1, 0, at) for at in range(backends)]
    for _ in range(1 if policy.shared else workers):
        ledger = Ledger(mmap.mmap(-1, SIZE))
        ledger.open_row(0)
        for backend in ours:
            ledger.cells[state_at(SlotState.HEALTH, backend.slot)] = HealthState.UP
        ledger.cells[state_at(SlotState.ROTOR, 0)] = chance.randrange(backends)
        lock = PickLock(multiprocessing.Lock(), ledger, 0)
        made.append(Pool("sim", ours, ledger, lock, 0, policy.make(ledger, ours, chance)))
    return made


def simulate(policy: Policies, backends: int, workers: int, seed: int, count: int = 0) -> Waits:
    """`count`: requests, 0 for as many as the number of backends asks for."""
    count = count or max(LEAST_REQUESTS, PER_BACKEND * backends)
    chosen_by = pools(policy, backends, workers, seed)
    free_at = [0.0] * backends
    under_way: list[tuple[float, int, Lease, float]] = []
    waits = []
    for number, request in enumerate(requests(count, LOAD * backends, seed)):
        now = request.arrives
        while under_way and under_way[0][0] <= now:
            ended, _, done, began = heappop(under_way)
            if done.told is not None:
                done.told(ended - began, PickOutcome.ANSWERED)
            done.release()
        lease = chosen_by[int(request.worker * len(chosen_by))].pick()
        assert isinstance(lease, Lease), "all backends are up"
        begins = max(now, free_at[lease.slot])
        free_at[lease.slot] = ends = begins + request.service
        heappush(under_way, (ends, number, lease, now))
        if number * 2 >= count:
            waits.append(begins - now)
    waits.sort()
    return Waits(
        policy.name,
        backends,
        0 if policy.shared else workers,
        len(waits),
        waits[len(waits) // 2],
        waits[len(waits) * 99 // 100],
        waits[-1],
    )
