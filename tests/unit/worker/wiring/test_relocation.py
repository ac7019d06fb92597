"""A worker's pools follow the addresses of names."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gevent.hub import get_hub

from lbproxy.balance import endpoints
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, SlotState, cell_at, state_at
from lbproxy.balance.pick_result import ASK
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.selection import NO_PREFERENCE
from lbproxy.config import model
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import Placed
from lbproxy.net.strands import GeventStrands
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.worker.wakeups import Wakeups
from lbproxy.worker.wiring.pools import make_pools
from lbproxy.worker.wiring.relocation import Relocation
from tests.unit.proxy.test_upstream_pool import QuietStream

NAME = "app.test:80"


class Scene:
    """One pool: a name with one address in slot 0, an address in slot 1, the pool's own slot 2."""

    def __init__(self, limit: int = 0, **settings: Any) -> None:
        ledger = self.ledger = Ledger(bytearray(SIZE))
        ledger.open_row(0)
        for slot in range(6):
            ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
        written = (
            model.BackendConfig(model.Address("app.test", 80), 1, limit),
            model.BackendConfig(model.Address("10.9.9.9", 80), 1, limit),
        )
        config = model.Config("", (), (), (model.PoolConfig("app", written, **settings),))
        pools = endpoints.unplaced(config, {"app.test": ("10.0.0.1",)})
        placed = endpoints.placed(pools, dict(zip(endpoints.identities(config, pools), range(3), strict=True)))
        one, other = socket.socketpair()
        other.close()
        with one:
            self.handover = Handover(config, 1, 0, 0, ledger, multiprocessing.Lock(), (), placed, {}, -1, None, one)
            self.wakeups = Wakeups(get_hub().loop, (), 0)
            self.pools = make_pools(self.handover, GeventStrands(), time.monotonic, self.wakeups)
        self.idle = UpstreamPool(time.monotonic)
        self.relocation = Relocation(self.handover, self.pools, self.idle)
        self.pool = self.pools.pools["app"]

    def place(self, text: str) -> None:
        self.relocation.apply(Placed("app", NAME, text))

    def picks(self, count: int = 12) -> set[str]:
        """Who gets requests."""
        leases = [self.pool.pick((), NO_PREFERENCE) if isinstance(self.pool, KeyedPool) else self.pool.pick() for _ in range(count)]
        for lease in leases:
            assert isinstance(lease, Lease)
            lease.release()
        return {lease.name for lease in leases if isinstance(lease, Lease)}


@pytest.fixture(params=[
    {}, {"balance": "round_robin"}, {"balance": "random_two"}, {"balance": "source_hash"}, {"sticky": model.StickyConfig()},
    {"limit": 50},
])  # fmt: skip
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(**request.param)
    yield made
    os.close(made.wakeups._mine)


def test_who_is_new_gets_requests_and_who_left_none(scene: Scene) -> None:
    assert scene.picks() == {"app.test@10.0.0.1:80", "10.9.9.9:80"}
    scene.place("10.0.0.1=0,10.0.0.2=3")
    assert scene.picks(60) == {"app.test@10.0.0.1:80", "app.test@10.0.0.2:80", "10.9.9.9:80"}
    scene.place("10.0.0.2=3")
    assert scene.picks() == {"app.test@10.0.0.2:80", "10.9.9.9:80"}
    assert [backend.slot for backend in scene.handover.backends["app"]] == [3, 1]
    assert scene.ledger.verify() == []


def test_idle_connections_of_who_left_are_closed(scene: Scene) -> None:
    streams = [QuietStream(), QuietStream()]
    for stream, backend in zip(streams, scene.pool.backends, strict=True):
        scene.idle.put(Upstream(stream, backend), 0.0)
    scene.place("10.0.0.2=3")
    assert [stream.closed for stream in streams] == [1, 0]


def test_the_queue_stays_where_it_is() -> None:
    """In the pool's own slot: workers that follow a moment later still stand in the same line."""
    scene = Scene(limit=1)
    try:
        pool = scene.pool
        assert isinstance(pool, QueuedPool)
        assert pool.pick() is ASK
        assert pool.join() == 1
        scene.place("10.0.0.2=3")
        assert pool.join() == 2
        assert scene.ledger.cells[cell_at(0, PerSlot.QUEUED, 2)] == 2
        assert scene.ledger.cells[cell_at(0, PerSlot.LINE_HEAD, 2)] == 1
    finally:
        os.close(scene.wakeups._mine)
