"""What is stored where: large bodies in files, variants below their key."""

from __future__ import annotations

from lbproxy.cache.layout import Counter
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


def test_a_request_is_one_look_up() -> None:
    """However many steps that takes: through a fork, at hand or not, in the counts of the storage."""
    caching = Caching()
    fields = "Accept-Language: de"
    fill(caching, ok(b"gut", FRESH, "Vary: Accept-Language"), get("/a", fields))
    client = caching.world.connect()
    counters = caching.storage.place.counters
    misses = counters[Counter.MISSES]
    for number in range(1, 4):
        client.feed(get("/a", fields))
        assert taken(client)[1] == b"gut"
        assert (counters[Counter.HITS], counters[Counter.MISSES], counters[Counter.BYTES]) == (number, misses, 3 * number)
    client.feed(get("/a", "Accept-Language: en"))
    caching.world.upstream.feed(ok(b"good", FRESH, "Vary: Accept-Language"))
    assert taken(client)[1] == b"good"
    assert (counters[Counter.HITS], counters[Counter.MISSES]) == (3, misses + 1)


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
