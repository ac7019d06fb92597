"""The connections to one backend: as many as are needed, opened for whoever waits, and one less when nobody needs it."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.balance.policies import make
from lbproxy.balance.policy import Ground
from lbproxy.config import model
from lbproxy.errors import UpstreamError
from tests.support import h2_frames as wire
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.h2_server import h2_world, server
from tests.unit.proxy.world import EOF, get, post


def test_streams_up_to_what_the_backend_allows() -> None:
    """The one that does not fit waits for another connection; nobody is refused."""
    world = h2_world()
    client = H2Client(world)
    client.say(wire.headers(1))
    first = server(world, settings=wire.settings((3, 2)))
    client.say(wire.headers(3) + wire.headers(5))
    assert len(world.upstreams) == 2
    second = server(world)
    assert [request.stream for request in first.requests()] == [1, 3]
    assert [request.stream for request in second.requests()] == [1]
    first.answer(1)
    first.answer(3)
    second.answer(1)
    assert world.outcomes() == [(200, "")] * 3
    world.at_rest()


def test_a_stream_that_ends_makes_room_for_who_waits() -> None:
    """Whatever comes first, that or the connection that is being opened."""
    world = h2_world()
    clients = [world.connect() for _ in range(3)]
    clients[0].feed(get())
    backend = server(world, settings=wire.settings((3, 1)))
    clients[1].feed(get())
    assert len(world.upstreams) == 2  # its SETTINGS do not come yet
    backend.answer(1)
    backend.answer(3)
    assert clients[1].take().endswith(b"ok")
    assert world.outcomes() == [(200, ""), (200, "")]


def test_many_at_once_share_the_first_connection() -> None:
    """They wait for one that is being opened, and begin together."""
    world = h2_world()
    client = H2Client(world)
    client.say(b"".join(wire.headers(stream) for stream in range(1, 100, 2)))
    assert world.dials == [9000]
    backend = server(world)
    assert len(backend.requests()) == 50
    for stream in range(1, 100, 2):
        backend.answer(stream)
    assert world.outcomes() == [(200, "")] * 50
    assert world.count(PerSlot.CONNECTS, 0) == world.count(PerSlot.H2_CONNECTS, 0) == 1
    world.at_rest()


def test_a_client_that_leaves_while_a_connection_is_opened() -> None:
    """Takes nothing from the others who wait for it."""
    world = h2_world()
    first, second = world.connect(), world.connect()
    first.feed(get())
    second.feed(get())
    first.feed(EOF)
    assert world.dials == [9000]
    backend = server(world)
    backend.answer(1)
    assert second.take().endswith(b"ok")
    assert world.outcomes() == [(499, "client_closed"), (200, "")]
    world.at_rest()


def test_a_backend_that_refuses_connections() -> None:
    """All who wait go elsewhere at once: nothing was sent."""
    world = h2_world(backends=2)
    world.refuse(0)
    client = world.connect()
    client.feed(post(b"body"))
    assert world.dials == [9000, 9001]
    server(world).answer(1)
    assert client.take().endswith(b"ok")
    assert world.count(PerSlot.FAILURES, 0) == 1
    world.at_rest()


@pytest.mark.parametrize(("said", "reason"), [
    (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "h2_not_spoken"),
    (EOF, "h2_not_spoken"),
    (wire.settings((3, 0)), "h2_no_streams"),
])  # fmt: skip
def test_a_backend_that_cannot_be_spoken_to(said: bytes, reason: str) -> None:
    """It has been sent no request, so another one gets it, a POST as well."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(post(b"body"))
    world.upstream.feed(said)
    server(world, 1).answer(1)
    assert client.take().endswith(b"ok")
    assert world.count(PerSlot.FAILURES, 0) == 1
    other = h2_world(backends=1, pool=model.PoolConfig("app", (), protocol="h2", retries=0))
    client = other.connect()
    client.feed(get())
    other.upstream.feed(said)
    assert other.outcomes() == [(502, reason)]
    world.at_rest()


def test_a_backend_that_does_not_greet() -> None:
    """`connect` limits that, too."""
    world = h2_world(timeouts=model.TimeoutsConfig(connect=2.0), pool=model.PoolConfig("app", (), protocol="h2", retries=0))
    client = world.connect()
    client.feed(get())
    world.pass_time(3.0)
    assert client.take().startswith(b"HTTP/1.1 504 ")
    assert world.outcomes() == [(504, "connect_timeout")]
    assert world.upstream.end == "abort"
    world.at_rest()


def test_no_more_are_idle_than_may_be() -> None:
    """connections.idle, per worker and backend."""
    settings = model.ConnectionsConfig(idle=1)
    world = h2_world(pool=model.PoolConfig("app", (), protocol="h2", connections=settings))
    clients = [world.connect() for _ in range(2)]
    clients[0].feed(get())
    first = server(world, settings=wire.settings((3, 1)))
    clients[1].feed(get())
    second = server(world)
    first.answer(1)
    second.answer(1)
    world.settle()
    assert sorted(bool(stream.end) for stream in world.upstreams) == [False, True]
    world.at_rest()


def test_of_several_the_first_with_room_is_taken() -> None:
    """So that the others fall idle, and go."""
    settings = model.ConnectionsConfig(idle_timeout=5.0)
    world = h2_world(pool=model.PoolConfig("app", (), protocol="h2", connections=settings))
    client = H2Client(world)
    client.say(wire.headers(1))
    first = server(world, settings=wire.settings((3, 1)))
    client.say(wire.headers(3))
    second = server(world)
    first.answer(1)
    second.answer(1)
    for stream in range(5, 25, 2):
        client.say(wire.headers(stream))
        first.answer(stream - 2)
        world.pass_time(1.0)
    assert [stream.end for stream in world.upstreams] == ["", "close"]
    assert world.count(PerSlot.H2_OPEN, 0) == 1


def test_a_dial_that_fails_in_an_unforeseen_way() -> None:
    """Is told, and nobody waits for ever."""
    world = h2_world(backends=1)
    world.refusing[9000] = RuntimeError("unforeseen")  # type: ignore[assignment]  # that is what is tried
    client = world.connect()
    client.feed(get())
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert [str(fault) for fault in world.faults] == ["unforeseen"]
    assert not isinstance(world.faults[0], UpstreamError)


def test_a_slot_that_has_another_owner() -> None:
    """Nobody is sent to the address of a backend that has left, whoever came to its slot late."""
    world = h2_world(backends=1)
    shared = world.idle.shared
    assert shared is not None
    client = world.connect()
    client.feed(get())
    server(world).answer(1)
    [old] = world.pool.backends
    moved = old._replace(port=9007)
    world.pool.set_backends([moved], make("least_conn", Ground(world.ledger.cells, [moved.slot], lambda: 0.5)))
    client.feed(get())
    assert world.dials == [9000, 9007]
    server(world).answer(1)
    world.settle()
    assert world.upstreams[0].end == "close"
    assert world.outcomes() == [(200, ""), (200, "")]
    world.at_rest()


def test_a_backend_that_leaves_while_somebody_waits_for_it() -> None:
    """He goes elsewhere at once."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(get())
    assert world.dials == [9000]
    world.idle.backends_moved([0], [1])
    world.settle()
    assert world.dials == [9000, 9001]
    server(world, 1).answer(1)
    assert client.take().endswith(b"ok")
    assert world.upstreams[0].end
    world.at_rest()
