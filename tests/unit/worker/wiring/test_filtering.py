"""What the configuration refuses, as objects."""

from __future__ import annotations

import mmap
import multiprocessing
import socket
from dataclasses import fields

from lbproxy.balance.ledger import COUNT_ROW_CELLS, WHOLE_SIZE, Ledger
from lbproxy.config.model import ClientLimitConfig, Config, Rate, RouteConfig, RouteFiltersConfig
from lbproxy.filter.limiter import Limiter, LimitTicket, OverLimit
from lbproxy.ipc.handover import Handover
from lbproxy.worker.wiring.filtering import _wanted, limit_memory, make_filters

HOME = b"\1\2\3\4"


def handovers(config: Config, workers: int) -> list[Handover]:
    """Of workers that share a ledger."""
    ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
    lock = multiprocessing.Lock()
    one, other = socket.socketpair()
    one.close()
    other.close()
    for child in range(workers):
        ledger.open_row(child)
    return [Handover(config, 1, child, child, ledger, lock, (), {}, {}, -1, None, one) for child in range(workers)]


def test_routes_get_what_they_ask_for() -> None:
    shared = ClientLimitConfig(Rate(5, 1), name="site")
    settings = (
        RouteFiltersConfig(),
        RouteFiltersConfig(max_body=0),
        RouteFiltersConfig(methods=("GET",)),
        RouteFiltersConfig(client_limits=("site",)),
        RouteFiltersConfig(limit=ClientLimitConfig(concurrency=1)),
    )
    routes = tuple(RouteConfig("app", path=f"/{number}", filters=filters) for number, filters in enumerate(settings))
    config = Config("", (), routes, (), client_limits=(shared,))
    [handover] = handovers(config, 1)
    made = make_filters(config, handover.ledger, 0, limit_memory(handover), lambda: 0.0)
    assert [filters is not None for filters in made] == [False, False, True, True, True]


def test_no_key_is_forgotten() -> None:
    """Whatever a route says of what it refuses, alone, makes its filter: a key that is new, too. But for the size of bodies."""
    for field in fields(RouteFiltersConfig):
        said = RouteFiltersConfig()
        object.__setattr__(said, field.name, object())
        assert _wanted(said) is (field.name != "max_body"), field.name


def test_workers_share_what_clients_did_and_a_dead_one_takes_its_counts_along() -> None:
    first, second = handovers(Config("", (), (), ()), 2)
    limit = ClientLimitConfig(Rate(1, 3600), 4, 2)
    one, other = Limiter("x", limit, limit_memory(first)), Limiter("x", limit, limit_memory(second))
    mine, yours = one.take(HOME, 0), other.take(HOME, 0)
    assert isinstance(mine, LimitTicket)
    assert isinstance(yours, LimitTicket)
    assert one.take(HOME, 0) == other.take(HOME, 0) == OverLimit(0)
    first.ledger.retire_row(1)
    assert first.ledger.counting(0) == [0]
    assert isinstance(one.take(HOME, 0), LimitTicket)
    assert one.take(HOME, 0) == OverLimit(0)
    mine.release()
    assert isinstance(one.take(HOME, 0), LimitTicket)
    assert one.take(HOME, 0) == OverLimit(0)
    assert not any(first.ledger.counts[COUNT_ROW_CELLS : 2 * COUNT_ROW_CELLS])
