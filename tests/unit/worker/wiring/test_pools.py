"""The configuration's pools as objects."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time

import pytest
from gevent.hub import get_hub

from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, SlotState, state_at
from lbproxy.balance.pool import Pool
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.config import model
from lbproxy.ipc.handover import Handover
from lbproxy.net.strands import GeventStrands
from lbproxy.worker.wakeups import Wakeups
from lbproxy.worker.wiring.pools import Pools, make_pools


def made(*pools: model.PoolConfig, limit: int = 0) -> Pools:
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    ledger.set_secret(bytes(range(32)))
    backends = {}
    for number, pool in enumerate(pools):
        slots = range(number * 3, number * 3 + 3)
        backends[pool.name] = tuple(Backend(pool.name, f"b{slot}", "h", "127.0.0.1", 80, 1, limit, slot) for slot in slots)
        for slot in slots:
            ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
    one, other = socket.socketpair()
    other.close()
    with one:
        config = model.Config("", (), (), pools)
        handover = Handover(config, 1, 0, 0, ledger, multiprocessing.Lock(), (), backends, {}, -1, None, one)
        wakeups = Wakeups(get_hub().loop, (), 0)
        try:
            return make_pools(handover, GeventStrands(), time.monotonic, wakeups)
        finally:
            os.close(wakeups._mine)


@pytest.mark.parametrize("balance", ["least_conn", "round_robin", "random_two"])
def test_by_load_or_in_turn(balance: str) -> None:
    """Nothing is asked."""
    pools, admissions = made(model.PoolConfig("app", (), balance))
    assert type(pools["app"]) is Pool
    assert admissions == {}
    leases = [pools["app"].pick() for _ in range(30)]
    assert {lease.backend.name for lease in leases if isinstance(lease, Lease)} == {"b0", "b1", "b2"}


@pytest.mark.parametrize(
    "settings",
    [{"balance": "source_hash"}, {"sticky": model.StickyConfig()}, {"balance": "source_hash", "sticky": model.StickyConfig()}],
)
def test_by_what_a_request_says(settings: dict[str, object]) -> None:
    """The pool asks, and its admission knows the answer; other pools are as they are."""
    pools, admissions = made(model.PoolConfig("plain", ()), model.PoolConfig("app", (), **settings))  # type: ignore[arg-type]  # of the table above
    assert isinstance(pools["app"], KeyedPool)
    assert type(pools["plain"]) is Pool
    assert list(admissions) == ["app"]


def test_with_limits() -> None:
    """They queue, unless the queue is off: then a full pool says so at once."""
    pools, admissions = made(model.PoolConfig("app", ()), limit=1)
    assert isinstance(pools["app"], QueuedPool)
    assert list(admissions) == ["app"]
    pools, admissions = made(model.PoolConfig("app", (), queue=0), limit=1)
    assert type(pools["app"]) is Pool
    assert admissions == {}
