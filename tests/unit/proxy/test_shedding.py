"""Who goes when there is no room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.shedding import SHARE, SPARED, shed_oldest
from lbproxy.streams import NEVER
from tests.unit.proxy.world import World, get, ok

NOW = 1000.0


class Fake:
    """A connection that is idle since then."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.gone = False

    def idle_since(self) -> float:
        return self.since

    def shed(self) -> None:
        self.gone = True


@given(st.lists(st.one_of(st.floats(0.0, NOW), st.just(NEVER)), max_size=300))
def test_the_oldest_go(ages: list[float]) -> None:
    """A share of the idle ones, at least one if there is any; never one at work, or idle only just."""
    connections = [Fake(age) for age in ages]
    count = shed_oldest(connections, NOW)
    gone = [connection.since for connection in connections if connection.gone]
    idle = [age for age in ages if age <= NOW - SPARED]
    assert count == len(gone) == -(-len(idle) // SHARE)
    assert sorted(gone) == sorted(idle)[:count]


def test_client_connections() -> None:
    """Idle without a greenlet: closed in peace. At work, or idle only just: left alone."""
    world = World(1)

    def shed() -> int:
        clients = [each for each in world.service.connections if isinstance(each, ClientConnection)]
        return shed_oldest(clients, world.now)

    old, busy = world.connect(), world.connect()
    for client in (old, busy):
        client.feed(get())
        world.upstream.feed(ok())
    assert shed() == 0
    world.pass_time(2.0)
    busy.feed(get())
    assert shed() == 1
    assert old.end == "finish"
    assert busy.is_open()
    assert shed() == 0
    world.upstream.feed(ok())
    world.at_rest()
