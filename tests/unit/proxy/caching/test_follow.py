"""Those who wait in another worker for what one asks for: two worlds with one storage."""

from __future__ import annotations

import pytest

from lbproxy.cache.interface import FillTicket, StoredEntry, Turn
from lbproxy.cache.keeper import Keeper
from lbproxy.cache.purges import Purge
from lbproxy.proxy.caching.fill import Opened
from lbproxy.proxy.caching.follow import read, written
from tests.unit.proxy.caching.stores import (
    CHUNKED,
    FRESH,
    LAST,
    Caching,
    answered,
    chunk,
    fill,
    gone,
    herd,
    status,
    taken,
    unchunked,
)
from tests.unit.proxy.fake_stream import EOF, LOST
from tests.unit.proxy.world import get, ok

LOOK = 0.02
"""Seconds in which whoever follows has looked."""


class Workers:
    """Two of them: the first has the leader, three wait in the second."""

    def __init__(self, field: str = "", room: int | None = None) -> None:
        self.one = Caching()
        self.two = Caching(beside=self.one)
        self.leader = self.one.world.connect() if room is None else self.one.world.connect(room=room)
        self.leader.feed(get("/a", *([field] if field else [])))
        self.one.world.settle()
        self.others = herd(self.two, 3)
        self.look()

    def look(self) -> None:
        """Time passes for both."""
        for caching in (self.one, self.two):
            caching.world.pass_time(LOOK)
            caching.world.settle()

    def over(self) -> None:
        """Everybody goes."""
        gone(self.one, [self.leader] if self.leader.is_open() else [])
        gone(self.two, [each for each in self.others if each.is_open()])


def test_first_bytes_are_given_as_they_come() -> None:
    """Nobody in the second worker asks a backend, and nobody waits for the whole."""
    workers = Workers()
    whole = ok(b"abcdefgh", FRESH, "X: 1")
    workers.one.world.upstream.feed(whole[:-4])
    workers.look()
    workers.look()
    for client in workers.others:
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; fwd=uri-miss; collapsed", b"abcd")
    workers.one.world.upstream.feed(whole[-4:])
    workers.look()
    for client in workers.others:
        assert client.take() == b"efgh"
    assert taken(workers.leader)[1] == b"abcdefgh"
    assert not workers.two.world.upstreams
    assert workers.two.counted() == {"collapsed": 3}
    assert not workers.two.shelf.fills
    workers.over()


def test_first_bytes_of_chunks_are_given_as_they_come() -> None:
    """And the end is told: nobody takes what is there for all of it before that."""
    workers = Workers()
    workers.one.world.upstream.feed(CHUNKED + chunk(b"abcd"))
    workers.look()
    workers.look()
    for client in workers.others:
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; fwd=uri-miss; collapsed", chunk(b"abcd"))
    workers.one.world.upstream.feed(chunk(b"efgh"))
    workers.look()
    assert [client.take() for client in workers.others] == [chunk(b"efgh")] * 3
    workers.one.world.upstream.feed(LAST)
    workers.look()
    assert [client.take() for client in workers.others] == [LAST] * 3
    assert unchunked(taken(workers.leader)[1]) == b"abcdefgh"
    assert not workers.two.world.upstreams
    assert workers.two.counted() == {"collapsed": 3}
    assert workers.two.served() == 24
    workers.over()


@pytest.mark.parametrize("chunks", [True, False])
def test_long_bodies_come_out_of_the_file_that_grows(chunks: bool) -> None:
    """Longer than any room in shared memory."""
    workers = Workers()
    size = 1_500_000
    workers.one.world.upstream.feed(CHUNKED if chunks else ok(b"x" * size, FRESH)[:-size])
    got = [bytearray() for _ in workers.others]
    for _ in range(0, size, 50_000):
        workers.one.world.upstream.feed(chunk(b"x" * 50_000) if chunks else b"x" * 50_000)
        workers.look()
        for each, client in zip(got, workers.others, strict=True):
            each += client.take()
    assert all(len(each) > 1_000_000 for each in got)
    if chunks:
        workers.one.world.upstream.feed(LAST)
    workers.look()
    for each, client in zip(got, workers.others, strict=True):
        body = bytes(each + client.take()).partition(b"\r\n\r\n")[2]
        assert (unchunked(body) if chunks else body) == b"x" * size
    assert not workers.two.world.upstreams
    workers.over()


def test_who_comes_in_a_pause() -> None:
    """The beginning was here before anybody in the other worker wanted it."""
    one = Caching()
    two = Caching(beside=one)
    [leader] = herd(one, 1)
    one.world.upstream.feed(CHUNKED + chunk(b"abcd"))
    others = herd(two, 2)
    for caching in (two, one, two):
        caching.world.pass_time(0.25)
        caching.world.settle()
    assert [taken(client)[1] for client in others] == [chunk(b"abcd")] * 2
    one.world.upstream.feed(LAST)
    two.world.pass_time(0.25)
    assert [client.take() for client in others] == [LAST] * 2
    gone(one, [leader])
    gone(two, others)


def test_a_purge_in_between() -> None:
    """Who comes behind it in another worker is given nothing of what was asked for before."""
    workers = Workers()
    workers.one.world.upstream.feed(CHUNKED + chunk(b"old"))
    workers.look()
    assert Keeper(workers.one.storage.place.memory, workers.one.storage.place.lock).purge(Purge.ALL, b"")
    late = herd(workers.two, 2)
    assert answered(workers.two, ok(b"new", FRESH), None) == 2
    assert [taken(client)[1] for client in late] == [b"new"] * 2
    workers.one.world.upstream.feed(LAST)
    workers.look()
    assert [unchunked(taken(client)[1]) for client in workers.others] == [b"old"] * 3
    gone(workers.two, late)
    workers.over()


@pytest.mark.parametrize("how", ["private", "error", "client", "backend", "stall"])
def test_a_leader_of_no_use(how: str) -> None:
    """All of the second worker go at once, in parallel, and nobody there waits for that key for two minutes."""
    workers = Workers()
    world = workers.one.world
    leader = world.upstream
    if how == "private":
        leader.feed(ok(b"mine", "Cache-Control: private"))
    elif how == "error":
        leader.feed(ok(b"no", status="500 Internal Server Error"))
    elif how == "client":
        workers.leader.feed(LOST)
    elif how == "backend":
        leader.feed(b"nonsense\r\n\r\n")
    else:
        for caching in (workers.one, workers.two):
            caching.world.pass_time(5.5)
    workers.look()
    answer = ok(b"own", "Cache-Control: private")
    assert answered(workers.two, answer, None) == 3
    for client in workers.others:
        assert taken(client)[1] == b"own"
    if how == "stall":
        leader.feed(ok(b"late", "Cache-Control: private"))
    more = herd(workers.two, 2)
    for number in (1, 1) if how == "client" else (2,):  # whoever leaves parts nobody else
        assert answered(workers.two, answer, None) == number
    gone(workers.two, more)
    workers.over()


@pytest.mark.parametrize("begun", [ok(b"abcdefgh", FRESH)[:-4], CHUNKED + chunk(b"abcd")])
@pytest.mark.parametrize("dies", [True, False])
def test_a_leader_that_breaks_off(begun: bytes, dies: bool) -> None:
    """Whoever has a part of it asks for the rest, and where that is another answer is told that there is no more: by the end of the
    connection, and by no last chunk. Nobody waits for that key for two minutes."""
    workers = Workers()
    workers.one.world.upstream.feed(begun)
    workers.look()
    workers.look()
    assert all(b"abcd" in taken(client)[1] for client in workers.others)
    if dies:  # as the master sees to it
        area, now = workers.one.storage, int(workers.one.world.now * 1000)
        area.marks.owner_gone(1, now)
        area.feeds.owner_gone(1)
    else:
        workers.one.world.upstream.feed(EOF)
    workers.look()
    assert not any(client.take() for client in workers.others)
    assert answered(workers.two, ok(b"another", FRESH), None) == 3
    assert not any(client.take() for client in workers.others)
    assert not any(client.is_open() for client in workers.others)
    assert {outcome[1] for outcome in workers.two.world.outcomes()} == {"collapsed_changed"}
    late = herd(workers.two, 2)
    assert answered(workers.two, ok(b"own", "Cache-Control: private"), None) == 2
    gone(workers.two, late)
    if dies:
        workers.one.world.upstream.feed(EOF)
    workers.look()
    workers.over()


def test_a_backend_that_pauses() -> None:
    """In the middle of a body, for longer than anybody waits for a beginning: the others wait as the leader does."""
    workers = Workers()
    near = herd(workers.one, 1)
    whole = ok(b"abcdefgh", FRESH)
    workers.one.world.upstream.feed(whole[:-4])
    workers.look()
    workers.look()
    for caching in (workers.one, workers.two):
        caching.world.pass_time(20.0)
    workers.one.world.upstream.feed(whole[-4:])
    workers.look()
    for client in (*workers.others, *near):
        assert taken(client)[1] == b"abcdefgh"
    gone(workers.one, near)
    workers.over()


def test_a_slow_leader_holds_nobody_up() -> None:
    """Its own client gets its answer behind those of the other worker."""
    workers = Workers(room=10)
    workers.one.world.upstream.feed(ok(b"x" * 1000, FRESH))
    workers.look()
    assert all(taken(client)[1] == b"x" * 1000 for client in workers.others)
    workers.leader.feed(LOST)
    workers.look()
    workers.over()


def test_others_by_vary() -> None:
    """They are told apart from the leader across workers as within one."""
    workers = Workers("A: 0")
    workers.one.world.upstream.feed(ok(b"zero", FRESH, "Vary: A"))
    workers.look()
    assert answered(workers.two, ok(b"none", FRESH, "Vary: A"), None) == 3
    assert all(taken(client)[1] == b"none" for client in workers.others)
    workers.over()


def test_nobody_follows_for_nobody() -> None:
    """When the last who waits has gone, whoever looks stops."""
    workers = Workers()
    for client in workers.others:
        client.feed(LOST)
    workers.two.world.settle()
    workers.look()
    assert not workers.two.shelf.fills
    workers.one.world.upstream.feed(ok(b"x", FRESH))
    workers.look()
    workers.over()


def test_meta_of_feeds() -> None:
    """All that the others have to know, and nothing is read that is not that."""
    for names, tags in (((), ()), ((b"a", b"accept"), (b"red", b"x,y"))):
        opened = Opened(names, b"v" * 16, True, b"HTTP/1.1 200 OK\r\nX: 1", 12.5, FillTicket(b"d" * 16, 3, 2**63), tags)
        assert read(written(opened)) == opened
    assert read(b"short") is None


def test_what_was_stored_just_now_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not there when this one looked, and who has asked for it is done with it when it takes its turn."""
    one = Caching()
    fill(Caching(beside=one), ok(b"abc", FRESH))
    get_it, looks = one.storage.get, iter([False, True, True, True])

    def seen_late(digest: bytes, counted: bool = True) -> StoredEntry | None:
        return get_it(digest, counted) if next(looks) else None

    monkeypatch.setattr(one.storage, "get", seen_late)
    monkeypatch.setattr(one.cache, "watch", None)
    client = one.world.connect()
    client.feed(get("/a"))
    one.world.settle()
    monkeypatch.undo()
    assert not one.world.upstreams
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; fwd=uri-miss; collapsed", b"abc")
    [digest] = one.storage.entries
    assert one.storage.marks.look(digest, 0) is Turn.LEAD, "the turn was given back"
    gone(one, [client])


@pytest.mark.parametrize("came", ["nothing", "the head", "more than is held"])
def test_nobody_stands_in_a_line_for_what_is_too_long(came: str) -> None:
    """Of an answer that says no length, and becomes too long for the memory where no files are configured, nobody waits for another
    one: all who waited, in both workers, have asked their backends before any of these has answered, and so have those who come in
    the next two minutes."""
    workers = Workers()
    one, two = workers.one, workers.two
    for caching in (one, two):
        caching.shelf.bodies = None
    beside = herd(one, 3)
    leader = one.world.upstream
    leader.take()
    piece = chunk(b"x" * 50_000)
    if came != "nothing":
        leader.feed(CHUNKED + piece)
        workers.look()
        assert all(b"x" in each.take() for each in beside)
    leader.feed((CHUNKED if came == "nothing" else b"") + piece * 25)  # and not its end
    workers.look()
    if came == "more than is held":
        leader.feed(piece * 25)
        workers.look()
    whole = CHUNKED + piece * 60 + LAST
    more = herd(one, 2), herd(two, 2)
    asked = [
        [each for each in caching.world.upstreams if each is not leader and each.is_open() and b"GET /a" in each.take()]
        for caching in (one, two)
    ]
    assert [len(each) for each in asked] == [3 + 2, 3 + 2]
    for caching in (one, two):
        assert answered(caching, b"", leader) == 0  # they were taken above: none is asked for later
    for each in (*asked[0], *asked[1]):
        each.feed(whole)
    workers.look()
    for client in (*beside, *workers.others, *more[0], *more[1]):
        assert client.take().endswith(LAST)
    leader.feed(piece * (60 - 26 - (25 if came == "more than is held" else 0)) + LAST)
    gone(one, [*beside, *more[0]])
    gone(two, more[1])
    workers.over()
