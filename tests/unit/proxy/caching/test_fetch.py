"""Old answers: asked for anew, made fresh by a 304, given out while backends fail."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from tests.unit.http.heads import values
from tests.unit.proxy.caching.stores import FRESH, Caching, date, fill, status, taken
from tests.unit.proxy.fake_stream import EOF, LOST
from tests.unit.proxy.world import get, ok


def test_validation() -> None:
    """What is old is asked for by its validators; a 304 makes it fresh, with what it says anew; 200 takes its place."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"x", FRESH, 'ETag: "1"', "X: old", date()))
    world.pass_time(61)
    client = world.connect()
    client.feed(get("/a"))
    assert b'If-None-Match: "1"' in world.upstream.take()
    world.upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nX: new\r\nCache-Control: max-age=30\r\n\r\n')
    head, body = taken(client)
    assert (head.split()[1], body, values(head, "x")) == (b"200", b"x", [b"new"])
    assert status(head) == "lbproxy; fwd=stale; fwd-status=304; stored"
    client.feed(get("/a"))
    assert status(taken(client)[0]) == "lbproxy; hit; ttl=30"
    client.feed(EOF)
    world.pass_time(31)
    client = world.connect()
    client.feed(get("/a", 'If-None-Match: "1"'))
    world.upstream.feed(ok(b"y", FRESH, 'ETag: "2"'))
    assert taken(client)[1] == b"y"
    client.feed(get("/a"))
    assert taken(client)[1] == b"y"
    assert [line["cache"] for line in world.lines()] == ["miss", "revalidated", "hit", "miss", "hit"]
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize("then", [ok(b"new", FRESH, 'ETag: "2"'), b'HTTP/1.1 304 Not Modified\r\nETag: "2"\r\n\r\n', None])
@pytest.mark.parametrize("field", ["A: b", 'If-None-Match: "1"'])
def test_a_304_of_something_else(then: bytes | None, field: str) -> None:
    """It means nothing that is stored, as where backends that share a pool name their answers each in its own way: all is asked
    for, without conditions, once more; for all who wait. A backend that says so again is passed on."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"x", "Cache-Control: no-cache", 'ETag: "1"'))
    clients = [world.connect() for _ in range(3)]
    for client in clients:
        client.feed(get("/a", field))
    assert b'If-None-Match: "1"' in world.upstream.take()
    world.upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "2"\r\n\r\n')
    world.settle()
    assert not caching.storage.entries
    assert b"If-None-Match" not in world.upstream.take()
    world.upstream.feed(EOF if then is None else then)
    world.settle()
    first = taken(clients[0])
    assert first[0].split()[1] == (b"502" if then is None else b"200" if b"200" in then else b"304")
    if then is not None and b"200" in then:
        assert [first[1], *(taken(client)[1] for client in clients[1:])] == [b"new"] * 3
        assert len(caching.storage.entries) == 1
    for client in clients:
        client.feed(LOST if client.is_open() else EOF)
    world.pass_time(3)
    world.at_rest()


@pytest.mark.parametrize("removed", [(), ("Set-Cookie",)])
@pytest.mark.parametrize("field", ["A: b", 'If-None-Match: "1"'])
def test_cookies_of_a_304(field: str, removed: tuple[str, ...]) -> None:
    """They are for the client whose request it answers, such as a session's that lasts on, if the route's rules let him have them;
    those who wait with him, and those who come then, get none."""
    headers = model.HeadersConfig(response=model.HeaderRulesConfig(remove=removed))
    caching = Caching(route=model.RouteConfig("app", headers=headers))
    world = caching.world
    fill(caching, ok(b"x", "Cache-Control: max-age=1", 'ETag: "1"'))
    world.pass_time(5)
    clients = [world.connect() for _ in range(2)]
    for client in clients:
        client.feed(get("/a", field))
    cookies = b"Set-Cookie: a=b\r\nset-cookie: c=d; Path=/\r\n"
    world.upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=60\r\n' + cookies + b"\r\n")
    world.settle()
    assert [values(taken(client)[0], "set-cookie") for client in clients] == [[] if removed else [b"a=b", b"c=d; Path=/"], []]
    clients[0].feed(get("/a"))
    assert values(taken(clients[0])[0], "set-cookie") == []
    for client in clients:
        client.feed(EOF)
    world.at_rest()


def test_a_304_that_takes_it_back() -> None:
    """Private by now: this client has it, nobody else will."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"x", "Cache-Control: no-cache", 'ETag: "1"'))
    client = world.connect()
    client.feed(get("/a"))
    world.upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: private\r\n\r\n')
    assert taken(client)[1] == b"x"
    assert not caching.storage.entries
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize("how", ["status", "refused", "closed"])
def test_stale_if_error(how: str) -> None:
    """For a while what is stored is better than an error."""
    caching = Caching(model.CacheConfig(stale_if_error=100))
    world = caching.world
    fill(caching, ok(b"x", FRESH))
    world.pass_time(70)
    client = world.connect()
    if how == "refused":
        for upstream in world.upstreams:
            if upstream.is_open():
                upstream.feed(EOF)
        world.refuse(0)
    client.feed(get("/a"))
    if how == "status":
        world.upstream.feed(ok(b"sorry", status="503 Service Unavailable"))
    if how == "closed":
        for _ in range(3):
            if world.upstream.is_open():
                world.upstream.feed(b"HTTP/1.1 2", EOF)
                world.settle()
    head, body = taken(client)
    assert (head.split()[1], body) == (b"200", b"x")
    assert status(head).startswith("lbproxy; fwd=stale")
    assert world.lines()[-1]["cache"] == "stale"
    client.feed(EOF)
    world.at_rest()


def test_too_old_for_an_error() -> None:
    """Behind that the error is the answer."""
    caching = Caching(model.CacheConfig(stale_if_error=100))
    world = caching.world
    fill(caching, ok(b"x", FRESH))
    world.pass_time(161)
    client = world.connect()
    client.feed(get("/a"))
    world.upstream.feed(ok(b"sorry", status="503 Service Unavailable"))
    assert taken(client)[1] == b"sorry"
    client.feed(EOF)
    world.at_rest()
