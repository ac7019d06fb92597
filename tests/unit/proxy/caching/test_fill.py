"""Many who ask for the same at a time, and one who asks for them."""

from __future__ import annotations

import pytest

from lbproxy.cache.keeper import Keeper
from lbproxy.cache.purges import Purge
from lbproxy.config import model
from tests.unit.proxy.caching.stores import CHUNKED, FRESH, LAST, Caching, answered, chunk, gone, herd, status, taken, unchunked
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


def test_first_bytes_of_chunks() -> None:
    """Nobody knows how long they are: the others get them as they come, and the end when that has come. A slow client of HTTP/1.0
    among them knows it by the end of the connection."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    old = world.connect()
    old.feed(get("/a", minor=0))
    world.upstream.feed(CHUNKED + chunk(b"abcd"))
    world.settle()
    for client in clients[1:]:
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; fwd=uri-miss; collapsed", chunk(b"abcd"))
    assert taken(old)[1] == b"abcd"
    world.upstream.feed(chunk(b"efgh"))
    world.settle()
    for client in clients[1:]:
        assert client.take() == chunk(b"efgh")
    late = herd(caching, 1)
    assert taken(late[0])[1] == chunk(b"abcdefgh")
    world.upstream.feed(LAST)
    world.settle()
    assert [client.take() for client in clients[1:] + late] == [LAST] * 5
    assert (old.take(), old.is_open()) == (b"efgh", False)
    assert taken(clients[0])[1].replace(b"\r\n", b"").endswith(b"efgh0")
    assert len(world.upstreams) == 1
    again = herd(caching, 1)
    assert taken(again[0])[1] == b"abcdefgh"
    assert caching.counted() == {"uri_miss": 1, "collapsed": 6, "hit": 1}
    assert caching.served() == 7 * 8
    gone(caching, clients + late + again)


def test_the_leaders_own_client_has_the_beginning_in_a_pause() -> None:
    """What is short of what its backend has said so far: nobody waits for a page whose end takes long."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    world.upstream.feed(CHUNKED + chunk(b"abcd"))
    world.settle()
    assert taken(clients[0])[1] == chunk(b"abcd")
    world.upstream.feed(LAST)
    world.settle()
    assert clients[0].take() == LAST
    gone(caching, clients)


@pytest.mark.parametrize("size", [100_000, 3_000_000])
@pytest.mark.parametrize("chunks", [True, False])
def test_long_bodies_come_out_of_the_file_that_grows(size: int, chunks: bool) -> None:
    """However long they are, and whoever comes when."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    whole = bytes(range(256)) * (size // 256)
    head = CHUNKED if chunks else ok(whole, FRESH)[: -len(whole)]
    world.upstream.feed(head)
    got = [bytearray() for _ in range(6)]
    for at in range(0, len(whole), 50_000):
        piece = whole[at : at + 50_000]
        world.upstream.feed(chunk(piece) if chunks else piece)
        world.settle()
        if at == 50_000:
            clients += herd(caching, 1)
        for each, client in zip(got[1:], clients[1:], strict=False):
            each += client.take()
    if chunks:
        world.upstream.feed(LAST)
        world.settle()
    for each, client in zip(got, clients, strict=True):
        each += client.take()
        body = bytes(each).partition(b"\r\n\r\n")[2]
        assert (unchunked(body) if chunks else body) == whole
    assert len(world.upstreams) == 1
    assert all(not fill.others for fill in caching.shelf.fills.values())
    again = herd(caching, 1)
    assert taken(again[0])[1] == whole
    gone(caching, clients + again)


@pytest.mark.parametrize("how", ["cut", "client", "full"])
@pytest.mark.parametrize("size", [4, 200_000])
@pytest.mark.parametrize("then", ["the same", "the same, sized", "longer", "another", "shorter", "an error", "nothing"])
def test_a_body_of_unknown_length_that_breaks_off(how: str, size: int, then: str) -> None:
    """Nobody takes what there is for the whole. Whoever has a part of it asks for himself, and gets the rest if it is the same
    answer; else he is cut. Nothing is stored, and nobody waits for that key for two minutes, unless it was only a client that went.
    A disk that is full breaks nothing off that is in memory."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    first = world.upstream
    first.take()
    first.feed(CHUNKED + chunk(b"x" * size))
    world.settle()
    if how == "cut":
        first.feed(EOF)
    elif how == "client":
        clients[0].feed(LOST)
    else:
        caching.bodies.full = True
        first.feed(chunk(b"y" * 100) + LAST)
    world.settle()
    caching.bodies.full = False
    whole = how == "full" and size == 4
    answer = {
        "the same": CHUNKED + chunk(b"x" * size) + chunk(b"rest") + LAST,
        "the same, sized": ok(b"x" * size + b"rest", FRESH),
        "longer": CHUNKED + chunk(b"x" * (size - 1)) + chunk(b"xrest") + LAST,
        "another": CHUNKED + chunk(b"x" * (size - 1) + b"y") + LAST,
        "shorter": ok(b"x" * (size - 1), FRESH),
        "an error": ok(b"no", status="500 Internal Server Error"),
        "nothing": b"nonsense\r\n\r\n",
    }[then]
    if not whole:
        assert answered(caching, answer, None) == 4
        assert not caching.storage.entries
        assert not caching.bodies.files
    good = whole or then in ("the same", "the same, sized", "longer")
    for client in clients[1:]:
        body = taken(client)[1]
        assert body.endswith(LAST) is good
        assert client.is_open() is good
        if good and not whole:
            assert unchunked(body) == b"x" * size + b"rest"
    if not whole:
        more = herd(caching, 3)
        for number in (1, 2) if how == "client" else (3,):
            assert answered(caching, ok(b"own", "Cache-Control: private"), None) == number
        clients += more
    gone(caching, [client for client in clients if client.is_open()])


def test_what_becomes_too_long_to_be_stored() -> None:
    """Whoever has its beginning gets all of it, as long as it can be held; whoever comes then asks for himself."""
    caching = Caching(model.CacheConfig(max_body=1000))
    world = caching.world
    clients = herd(caching)
    leader = world.upstream
    leader.take()
    leader.feed(CHUNKED + chunk(b"x" * 900))
    world.settle()
    leader.feed(chunk(b"y" * 200))
    world.settle()
    more = herd(caching, 2)
    assert answered(caching, ok(b"own", "Cache-Control: private"), leader) == 2
    leader.feed(chunk(b"z") + LAST)
    world.settle()
    for client in clients:
        assert unchunked(taken(client)[1]) == b"x" * 900 + b"y" * 200 + b"z"
    assert not caching.storage.entries
    gone(caching, clients + more)


def test_who_comes_behind_a_purge_gets_nothing_from_before_it() -> None:
    """A request that finds a fill on its way whose answer was asked for before the purge asks for itself."""
    caching = Caching()
    world = caching.world
    early = herd(caching)
    first = world.upstream
    first.feed(CHUNKED + chunk(b"old"))
    world.settle()
    assert Keeper(caching.storage.place.memory, caching.storage.place.lock).purge(Purge.PREFIX, b"http")
    late = herd(caching, 1)
    world.upstream.feed(ok(b"new", FRESH))
    assert taken(late[0])[1] == b"new"
    first.feed(LAST)
    world.settle()
    assert [unchunked(taken(client)[1]) for client in early] == [b"old"] * 5
    gone(caching, early + late)


@pytest.mark.parametrize("how", ["private", "error", "client", "backend", "stall"])
def test_a_leader_of_no_use(how: str) -> None:
    """The others go at once, in parallel, and nobody waits for that key for two minutes; but where it was only its client that
    went: or whoever likes could send all the others to the backend, as often as the answer runs out."""
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
    if how == "client":
        assert answered(caching, ok(b"own", FRESH), None) == 1
    else:
        assert answered(caching, answer, None) == 3
    for client in more:
        assert taken(client)[1] == b"own"
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
