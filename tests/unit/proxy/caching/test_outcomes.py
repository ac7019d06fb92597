"""What is counted of requests on routes with a cache."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.observe.cache_names import CACHE_EVENTS, CACHE_RESULTS, CACHE_UNSTORED
from lbproxy.proxy.caching.outcomes import BY_REASON, WORDS, CacheOutcome
from tests.unit.proxy.caching.stores import FRESH, Caching, fill, gone, herd, status, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok


def test_names_stand_in_the_order_of_their_cells() -> None:
    """Those who read the ledger have no other way to know."""
    assert tuple(one.name.lower() for one in CacheOutcome) == (*CACHE_RESULTS, *CACHE_EVENTS)
    assert len(WORDS) == len(CACHE_RESULTS)
    assert {CACHE_RESULTS[one] for one in BY_REASON.values()} <= set(CACHE_RESULTS)


def test_each_request_is_counted_once() -> None:
    """By what it got; bytes are those that clients got out of the cache, and no others."""
    caching = Caching(model.CacheConfig(methods=("GET",), respect_client=True))
    world = caching.world
    fill(caching, ok(b"12345", "Cache-Control: max-age=60, stale-if-error=600", 'ETag: "e"'))
    client = world.connect()
    for request in (get("/a"), get("/a", "Range: bytes=1-2"), get("/a", 'If-None-Match: "e"')):
        client.feed(request)
        taken(client)
    assert caching.served() == 7
    for request in (get("/a", method="HEAD"), get("/a", "Cache-Control: no-cache"), get("/a", "Content-Length: 0", method="POST")):
        client.feed(request)
        world.upstream.feed(ok(b"", status="200 OK"))
        taken(client)
    client.feed(EOF)
    world.at_rest()
    assert caching.counted() == {"hit": 3, "uri_miss": 1, "request": 1, "method": 2, "no_lifetime": 1}
    assert sum(caching.cells[: len(CACHE_RESULTS)]) == len(world.lines())


def test_old_answers() -> None:
    """Validated, replaced, or given out since the backend fails: each is told from the others."""
    caching = Caching()
    world = caching.world
    kept = "Cache-Control: max-age=60, stale-if-error=600"
    fill(caching, ok(b"x", kept, 'ETag: "e"'))
    for answer in (b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n', ok(b"", status="503 No"), ok(b"y", kept)):
        world.pass_time(61)
        fill(caching, answer)
    assert caching.counted() == {"uri_miss": 1, "validated": 1, "stale_if_error": 1, "expired": 1}
    assert [line["cache"] for line in world.lines()] == ["miss", "revalidated", "stale", "miss"]
    world.at_rest()


def test_those_who_wait() -> None:
    """In vain, or not."""
    caching = Caching()
    clients = herd(caching, 3)
    caching.world.upstream.feed(ok(b"x", FRESH))
    gone(caching, clients)
    assert caching.counted() == {"uri_miss": 1, "collapsed": 2}
    clients = herd(caching, 3, "/b")
    caching.world.upstream.feed(ok(b"x", "Cache-Control: private"))
    caching.world.settle()
    assert caching.cells[CacheOutcome.WAITED_IN_VAIN] == 2
    for upstream in caching.world.upstreams:
        if b"GET /b" in upstream.take():
            upstream.feed(ok(b"x", "Cache-Control: private"))
    gone(caching, clients)
    assert caching.counted() == {"uri_miss": 4, "collapsed": 2, "private": 3}


@pytest.mark.parametrize("why", ["private", "no_store"])
def test_why_answers_are_not_stored(why: str) -> None:
    """In the words that the answer tells its client."""
    caching = Caching()
    said = status(fill(caching, ok(b"x", f"Cache-Control: {why.replace('_', '-')}")))
    assert said == f"lbproxy; fwd=uri-miss; detail={why}"
    assert caching.counted() == {"uri_miss": 1, why: 1}
    assert set(caching.counted()) <= {*CACHE_RESULTS, *CACHE_UNSTORED}


def test_a_body_that_was_pushed_out() -> None:
    """A stored head whose body is gone asks the backend for all of it, not whether it has changed."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"x" * 70_000, FRESH, 'ETag: "e"'))
    caching.bodies.files.clear()
    client = world.connect()
    client.feed(get("/a"))
    assert b"If-None-Match" not in world.upstream.take()
    world.upstream.feed(ok(b"y", FRESH))
    assert taken(client)[1] == b"y"
    client.feed(EOF)
    assert caching.counted() == {"uri_miss": 2}
    world.at_rest()


def test_a_body_that_is_pushed_out_while_it_is_validated() -> None:
    """It is held until its client has it."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"x" * 70_000, FRESH, 'ETag: "e"'))
    world.pass_time(61)
    client = world.connect()
    client.feed(get("/a"))
    caching.bodies.files.clear()
    world.upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n')
    head, body = taken(client)
    assert (head.split()[1], len(body)) == (b"200", 70_000)
    client.feed(EOF)
    world.at_rest()
