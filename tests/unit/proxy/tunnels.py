"""Tunnels in a world without sockets: how tests open one and look at what is left of it."""

from __future__ import annotations

from tests.unit.proxy.world import FakeStream, World, get

ASK = get("/chat", "Connection: Upgrade", "Upgrade: raw/1")
GRANT = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\nX-Own: 1\r\nKeep-Alive: 5\r\n\r\n"


def opened(world: World, room: int | None = None) -> tuple[FakeStream, FakeStream]:
    """(client, backend) with an open tunnel between them, and nothing left over from opening it."""
    client = world.connect()
    client.feed(ASK)
    backend = world.upstream
    backend.feed(GRANT)
    assert tunnels(world) == 1
    assert client.take().startswith(b"HTTP/1.1 101 ")
    assert backend.take().startswith(b"GET /chat ")
    client.room = room
    return client, backend


def tunnels(world: World) -> int:
    """As a draining worker counts them."""
    return sum(connection.tunnel for connection in world.service.connections)


def ended(world: World, reason: str) -> None:
    """One line in the log, and nothing left."""
    assert tunnels(world) == 0
    assert world.outcomes() == [(101, reason)]
    world.at_rest()
    assert not any(stream.waits for stream in world.streams), "somebody waits on a stream that has ended"
