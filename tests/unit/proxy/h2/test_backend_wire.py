"""The reader and the writer of a connection to a backend: what is torn, lost or slow there."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.streams import Buffer
from tests.support import h2_frames as wire
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.h2_server import h2_world, server
from tests.unit.proxy.world import EOF, LOST, get, post


def test_requests_of_one_turn_leave_in_one_write() -> None:
    """Many streams, one system call."""
    world = h2_world()
    clients = [world.connect() for _ in range(3)]
    for client in clients:
        client.feed(get())
    writes: list[bytes] = []
    stream = world.upstream
    real = stream.write

    def write(data: Buffer) -> None:
        writes.append(bytes(data))
        real(data)

    stream.write = write  # type: ignore[method-assign]
    backend = server(world)
    [data] = writes
    assert [frame.kind for frame in wire.frames(data)] == [wire.SETTINGS, wire.HEADERS, wire.HEADERS, wire.HEADERS]
    assert len(backend.requests()) == 3
    for number in (1, 3, 5):
        backend.answer(number)
    assert [client.take()[-2:] for client in clients] == [b"ok"] * 3
    world.at_rest()


def test_a_client_that_leaves_in_the_middle_of_a_write() -> None:
    """Tears no frame: the others are served on."""
    world = h2_world()
    world.backend_room = 30
    first, second = world.connect(), world.connect()
    first.feed(get())
    second.feed(get())
    world.upstream.make_room(100)
    world.upstream.feed(wire.settings() + wire.settings(ack=True))
    first.feed(EOF)
    world.upstream.make_room(None)
    backend = server(world, settings=None)
    backend.listen()
    assert backend.engine.failure is None
    backend.answer(3)
    assert second.take().endswith(b"ok")
    world.at_rest()


def test_a_backend_that_takes_nothing() -> None:
    """After write_stall everybody who waits gets a 504; the connection is gone."""
    world = h2_world(timeouts=model.TimeoutsConfig(write_stall=3.0))
    client = world.connect()
    client.feed(post(b"", length=1_000_000))
    server(world).say(wire.window(0, 1 << 20) + wire.window(1, 1 << 20))
    world.upstream.room = 10
    for _ in range(4):
        client.feed(b"x" * 65536)
    world.pass_time(4.0)
    assert world.outcomes() == [(504, "write_timeout")]
    assert world.upstream.end == "abort"


@pytest.mark.parametrize("end", [EOF, LOST])
def test_an_idle_connection_that_ends(end: bytes | Exception) -> None:
    """It is gone, whether anybody reads it at the moment or not."""
    for idle in (0.0, 5.0):
        world = h2_world()
        client = world.connect()
        client.feed(get())
        server(world).answer(1)
        world.pass_time(idle)
        world.upstream.feed(end)
        assert world.upstream.end
        assert len(world.idle) == 0
        client.feed(get())
        server(world).answer(1)
        assert world.outcomes() == [(200, ""), (200, "")]
        world.at_rest()


def test_resets_of_what_is_over() -> None:
    """One is nothing, many are a flood; nothing is kept of them."""
    world = h2_world(backends=1)
    client = H2Client(world)
    client.ask()
    backend = server(world)
    backend.answer(1)
    backend.say(wire.reset(1) * 500)
    assert not world.upstream.end
    backend.say(wire.reset(1) * 600)
    assert world.upstream.end
    assert world.ended == ["h2_glitches"]
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_flood_that_comes_one_by_one() -> None:
    """A backend that asks again as soon as it is answered is no better than one that asks much at once."""
    world = h2_world(backends=1)
    client = world.connect()
    client.feed(get())
    backend = server(world)
    for _ in range(101):
        if not world.upstream.end:
            backend.say(wire.ping())
            backend.listen()
    assert world.ended == ["h2_pings"]
    assert world.outcomes() == [(502, "h2_pings")]
    world.at_rest()
