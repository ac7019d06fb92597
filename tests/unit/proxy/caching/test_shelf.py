"""What is stored where: large bodies in files, variants below their key."""

from __future__ import annotations

from tests.unit.proxy.caching.stores import FRESH, Caching, fill, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok


def test_large_bodies() -> None:
    """They are in a file, read in pieces, and a part of one is, too."""
    caching = Caching()
    world = caching.world
    body = bytes(range(256)) * 1024
    fill(caching, ok(body, FRESH))
    assert list(caching.bodies.files.values()) == [body]
    client = world.connect()
    client.feed(get("/a"))
    assert taken(client)[1] == body
    client.feed(get("/a", "Range: bytes=200000-"))
    assert taken(client)[1] == body[200000:]
    caching.bodies.files.clear()
    client.feed(get("/a"))
    world.upstream.feed(ok(b"anew", FRESH))
    assert taken(client)[1] == b"anew"
    client.feed(EOF)
    world.at_rest()


def test_a_full_disk_is_a_miss() -> None:
    """The client has its answer all the same."""
    caching = Caching()
    caching.bodies.full = True
    fill(caching, ok(b"x" * 100_000, FRESH))
    assert not caching.storage.entries
    caching.world.at_rest()


def test_vary_by_10000_values_is_bounded() -> None:
    """Eight variants at most, the newest."""
    caching = Caching()
    world = caching.world
    client = world.connect()
    for number in range(1000):
        client.feed(get("/a", f"A: {number}"))
        world.upstream.feed(ok(b"%d" % number, FRESH, "Vary: A"))
        assert taken(client)[1] == b"%d" % number
    assert len(caching.storage.entries) == 9
    client.feed(get("/a", "A: 999"))
    assert taken(client)[1] == b"999"
    client.feed(EOF)
    world.at_rest()
