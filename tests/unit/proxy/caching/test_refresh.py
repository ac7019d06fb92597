"""Old answers that are given out while somebody sees to new ones."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from tests.unit.proxy.caching.stores import FRESH, Caching, fill, status, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok


@pytest.mark.parametrize(
    "answer", [ok(b"new", FRESH), b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=60\r\n\r\n']
)
def test_stale_while_revalidate(answer: bytes) -> None:
    """Everybody gets the old one at once, and one request of ours sees to the new one."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"old", "Cache-Control: max-age=60, stale-while-revalidate=60", 'ETag: "1"'))
    world.pass_time(70)
    client = world.connect()
    for _ in range(3):
        client.feed(get("/a"))
        world.settle()
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; hit; ttl=-10", b"old")
    asked = world.upstream.take()
    assert asked.count(b"GET /a") == 1
    assert b'If-None-Match: "1"' in asked
    world.upstream.feed(answer)
    client.feed(get("/a"))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; hit; ttl=60", b"new" if b"new" in answer else b"old")
    assert [line["cache"] for line in world.lines()] == ["miss", "stale", "stale", "stale", "hit"]
    client.feed(EOF)
    world.at_rest()


def test_large_bodies() -> None:
    """They go into a file as they come, and none is left behind of one that breaks off or becomes too large."""
    caching = Caching(model.CacheConfig(max_body=200_000))
    world = caching.world
    stale = "Cache-Control: max-age=60, stale-while-revalidate=6000"
    fill(caching, ok(b"o" * 100_000, stale))

    def asked(answer: bytes) -> bytes:
        world.pass_time(130)  # a key is left alone after a failure
        client = world.connect()
        client.feed(get("/a"))
        world.settle()
        assert taken(client)[1][:1] == b"o"
        world.upstream.feed(answer)
        if world.upstream.is_open():
            world.upstream.feed(EOF)
        world.settle()
        client.feed(get("/a"))
        got = taken(client)[1]
        client.feed(EOF)
        return got

    cut = ok(b"n" * 150_000, stale)[:-10]
    assert asked(cut)[:1] == b"o"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + stale.encode() + b"\r\n\r\n30d41\r\n" + b"n" * 200_001
    assert asked(chunked)[:1] == b"o"
    assert asked(ok(b"n" * 150_000, stale)) == b"n" * 150_000
    assert caching.bodies.open_ones == 0
    world.at_rest()


@pytest.mark.parametrize(("refusal", "kept"), [
    ("429 Too Many Requests", True), ("431 Request Header Fields Too Large", True), ("503 Service Unavailable", True),
    ("404 Not Found", False), ("410 Gone", False),
])  # fmt: skip
def test_a_refusal_of_the_one_who_asked(refusal: str, kept: bool) -> None:
    """What is said of one client, or of how busy the backend is, says nothing of what is stored; what is said of it does."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"old", "Cache-Control: max-age=60, stale-while-revalidate=600"))
    world.pass_time(70)
    client = world.connect()
    client.feed(get("/a"))
    assert taken(client)[1] == b"old"
    world.upstream.feed(ok(b"no", status=refusal))
    world.settle()
    assert bool(caching.storage.entries) is kept
    client.feed(EOF)
    world.at_rest()
