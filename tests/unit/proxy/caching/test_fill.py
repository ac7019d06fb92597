"""Many who ask for the same at a time, and one who asks for them."""

from __future__ import annotations

import pytest

from tests.unit.proxy.caching.stores import FRESH, Caching, answered, gone, herd, status, taken
from tests.unit.proxy.fake_stream import EOF, LOST
from tests.unit.proxy.world import get, ok


def test_one_asks_for_all() -> None:
    """The others get the first bytes as they come."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    assert len(world.upstreams) == 1
    whole = ok(b"abcdefgh", FRESH)
    world.upstream.feed(whole[:-4])
    world.settle()
    for client in clients[1:]:
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; fwd=uri-miss; collapsed", b"abcd")
    world.upstream.feed(whole[-4:])
    world.settle()
    assert taken(clients[0])[1] == b"abcdefgh"
    for client in clients[1:]:
        assert client.take() == b"efgh"
    assert sorted(line["cache"] for line in world.lines()) == ["collapsed"] * 4 + ["miss"]
    gone(caching, clients)


def test_chunks_are_waited_for() -> None:
    """Nobody knows how long they are: the others get them when they are stored."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + FRESH.encode() + b"\r\n\r\n4\r\nabcd\r\n")
    world.settle()
    world.upstream.feed(b"0\r\n\r\n")
    world.settle()
    for client in clients[1:]:
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; fwd=uri-miss; collapsed", b"abcd")
    assert len(world.upstreams) == 1
    clients[0].take()
    gone(caching, clients)


@pytest.mark.parametrize("how", ["private", "error", "client", "backend", "stall"])
def test_a_leader_of_no_use(how: str) -> None:
    """The others go at once, in parallel, and nobody waits for that key for two minutes."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    leader = world.upstream
    leader.take()
    if how == "private":
        leader.feed(ok(b"mine", "Cache-Control: private"))
    elif how == "error":
        leader.feed(ok(b"no", status="500 Internal Server Error"))
    elif how == "client":
        clients[0].feed(LOST)
    elif how == "backend":
        leader.feed(b"nonsense\r\n\r\n")
    else:
        world.pass_time(5.5)
    world.settle()
    answer = ok(b"own", "Cache-Control: private")
    assert answered(caching, answer, leader if how == "stall" else None) == 4
    for client in clients[1:]:
        assert taken(client)[1] == b"own"
    if how == "stall":
        leader.feed(ok(b"late", "Cache-Control: private"))
    more = herd(caching, 3)
    assert answered(caching, answer, None) == 3
    gone(caching, [client for client in clients + more if client.is_open()])


def test_a_slow_leader_holds_nobody_up() -> None:
    """While others wait, its own client gets its answer last."""
    caching = Caching()
    world = caching.world
    slow = world.connect(room=10)
    slow.feed(get("/a"))
    others = herd(caching, 2)
    world.upstream.feed(ok(b"x" * 1000, FRESH))
    world.settle()
    for client in others:
        assert taken(client)[1] == b"x" * 1000
    slow.feed(LOST)
    world.settle()
    for client in others:
        client.feed(EOF)
    world.at_rest()


def test_others_by_vary() -> None:
    """Who is told apart from the leader by its answer asks for himself."""
    caching = Caching()
    world = caching.world
    clients = [world.connect() for _ in range(2)]
    for number, client in enumerate(clients):
        client.feed(get("/a", f"A: {number}"))
    world.upstream.feed(ok(b"zero", FRESH, "Vary: A"))
    world.settle()
    assert taken(clients[0])[1] == b"zero"
    world.upstream.feed(ok(b"one", FRESH, "Vary: A"))
    world.settle()
    assert taken(clients[1])[1] == b"one"
    gone(caching, clients)
