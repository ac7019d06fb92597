"""The filters of routes and listeners as a worker's objects, made from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lbproxy.balance.ledger import COUNT_ROW_CELLS, Ledger, PickLock
from lbproxy.config.model import ClientLimitConfig, Config, RouteFiltersConfig
from lbproxy.filter.counts import CountTable
from lbproxy.filter.limiter import CLIENTS_KEPT, Limiter, LimiterMemory
from lbproxy.filter.rates import RateTable
from lbproxy.ipc.handover import Handover
from lbproxy.proxy.steps.filters import Filters
from lbproxy.remembered import Budget

_NO_LIMIT = ClientLimitConfig()


def limit_memory(handover: Handover) -> LimiterMemory:
    """What all of this worker's limits per client count in. The lock is the one for picks: both are held for microseconds."""
    ledger, child = handover.ledger, handover.child
    return LimiterMemory(
        RateTable(ledger.rates),
        CountTable(ledger.counts, COUNT_ROW_CELLS, child),
        PickLock(handover.pick_lock, ledger, child),
        partial(ledger.counting, child),
        ledger.secret(),
        Budget(CLIENTS_KEPT),
    )


def make_filters(
    config: Config, ledger: Ledger, child: int, memory: LimiterMemory, clock: Callable[[], float]
) -> list[Filters | None]:
    """For each route, in the order of the configuration; None: it refuses nothing. `clock`: monotonic seconds."""
    shared = {limit.name: Limiter(f"client_limit {limit.name}", limit, memory) for limit in config.client_limits}
    made: list[Filters | None] = []
    for route in config.routes:
        settings = route.filters
        limiters = [shared[name] for name in settings.client_limits]
        if settings.limit != _NO_LIMIT:
            limiters.append(Limiter(f"route {route.name}", settings.limit, memory))
        made.append(Filters(settings, limiters, ledger, child, clock, memory.budget) if _wanted(settings) else None)
    return made


def _wanted(settings: RouteFiltersConfig) -> bool:
    """Whether there is anything to ask of a request: anything is said but the size of bodies, which is looked at as they come."""
    return replace(settings, max_body=None) != RouteFiltersConfig()
