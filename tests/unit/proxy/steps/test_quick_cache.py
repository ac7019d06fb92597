"""lbproxy.proxy.steps.quick_cache: what is at hand is given out without a look at what is stored, by the same rules."""

from __future__ import annotations

import pytest

from lbproxy.cache.keeper import Keeper
from lbproxy.cache.purges import Purge
from lbproxy.cache.watch import CacheWatch, HeldEntry
from lbproxy.config import model
from tests.unit.http.heads import values
from tests.unit.proxy.caching.stores import FRESH, Caching, fill, status, taken
from tests.unit.proxy.fake_stream import EOF, FakeStream
from tests.unit.proxy.world import get, ok

HIT = "lbproxy; hit; ttl=60"


def asked(caching: Caching, client: FakeStream, *fields: str, path: str = "/a") -> tuple[str, bytes, int]:
    """Cache-Status, body, looks at what is stored."""
    before = caching.storage.looks
    client.feed(get(path, *fields))
    head, body = taken(client)
    return status(head), body, caching.storage.looks - before


def at_hand(answer: bytes, *asking: str, caching: Caching | None = None, age: int = 0) -> tuple[Caching, FakeStream]:
    """A client that has asked for an answer that is stored, so that it is at hand."""
    caching = caching or Caching()
    fill(caching, answer, get("/a", *asking))
    client = caching.world.connect()
    said, _, looks = asked(caching, client, *asking)
    assert (said, looks > 0) == (f"lbproxy; hit; ttl={60 - age}", True)
    return caching, client


def test_the_second_hit_looks_at_nothing() -> None:
    """By the same client or another one, over the same bytes or others; Age goes on, and every request has its line."""
    caching, client = at_hand(ok(b"body", FRESH, "X: 1"))
    assert asked(caching, client) == (HIT, b"body", 0)
    caching.world.pass_time(7)
    other = caching.world.connect()
    before = caching.storage.looks
    other.feed(get("/a", "User-Agent: another"))
    head, body = taken(other)
    assert (status(head), values(head, "age"), values(head, "x"), body) == ("lbproxy; hit; ttl=53", [b"7"], [b"1"], b"body")
    assert caching.storage.looks == before
    client.feed(EOF)
    other.feed(EOF)
    told = [(line["cache"], line["backend"]) for line in caching.world.lines()]
    assert [cache for cache, _ in told] == ["miss", "hit", "hit", "hit"]
    assert [backend for _, backend in told][1:] == [""] * 3
    caching.world.at_rest()


def test_a_client_that_closes_is_told_so() -> None:
    _, client = at_hand(ok(b"body", FRESH))
    client.feed(get("/a", "Connection: close"))
    head, body = taken(client)
    assert (values(head, "connection"), body, client.end) == ([b"close"], b"body", "finish")


@pytest.mark.parametrize(("field", "said"), [
    ("Range: bytes=0-1", HIT),
    ("Authorization: Basic eDp4", "lbproxy; fwd=bypass; detail=authorization"),
    ("Cache-Control: no-cache", "lbproxy; fwd=request; stored"), ("X-HTTP-Method-Override: DELETE", "lbproxy; fwd=bypass"),
    ("Cookie: login=1", "lbproxy; fwd=bypass"),
])  # fmt: skip
def test_who_says_more_is_considered(field: str, said: str) -> None:
    """What such a request gets is for the rest of the cache to say."""
    caching = Caching(model.CacheConfig(respect_client=True, bypass=model.MatchConfig(headers=(("Cookie", ("login=*",)),))))
    caching, client = at_hand(ok(b"body", FRESH, 'ETag: "e"'), caching=caching)
    client.feed(get("/a", field))
    if said != HIT:
        caching.world.upstream.feed(ok(b"new", FRESH))
    head, body = taken(client)
    assert status(head) == said
    assert body != b"body"


def test_when_it_is_stale_it_is_not_at_hand() -> None:
    caching, client = at_hand(ok(b"body", FRESH, "Age: 55"), age=55)
    caching.world.pass_time(5)
    client.feed(get("/a"))
    caching.world.upstream.feed(ok(b"new", FRESH))
    head, body = taken(client)
    assert ("fwd=stale" in status(head), body) == (True, b"new")
    assert asked(caching, client)[1] == b"new"


def test_a_purge_counts_at_once() -> None:
    caching, client = at_hand(ok(b"body", FRESH))
    place = caching.storage.place
    Keeper(place.memory, place.lock).purge(Purge.ALL, b"")
    client.feed(get("/a"))
    caching.world.upstream.feed(ok(b"new", FRESH))
    head, body = taken(client)
    assert ("fwd=uri-miss" in status(head), body) == (True, b"new")


def test_what_another_worker_stores_instead_counts_at_once() -> None:
    """An unsafe request forgets it, wherever it was carried out."""
    caching, client = at_hand(ok(b"body", FRESH))
    [digest] = caching.storage.entries
    caching.storage.forget(digest)
    client.feed(get("/a"))
    caching.world.upstream.feed(ok(b"new", FRESH))
    assert taken(client)[1] == b"new"


VARIES = "Vary: Accept-Language"


def test_variants() -> None:
    """Each client gets its own, from what is at hand, also where it says the same in other words; a new one disturbs nobody."""
    german, english = "Accept-Language: de", "Accept-Language: en"
    caching, client = at_hand(ok(b"gut", FRESH, VARIES), german)
    at_hand(ok(b"good", FRESH, VARIES), english, caching=caching)
    asked(caching, client, german)  # the fork is another one since
    for fields, body in (((german,), b"gut"), ((english,), b"good"), ((german, "X: 1"), b"gut")):
        assert asked(caching, caching.world.connect(), *fields) == (HIT, body, 0)
    assert asked(caching, client, german) == (HIT, b"gut", 0)
    client.feed(get("/a", "Accept-Language: fr"))
    caching.world.upstream.feed(ok(b"bon", FRESH, VARIES))
    assert taken(client)[1] == b"bon"


def test_what_is_at_hand_is_bounded() -> None:
    """Of long bodies, which are elsewhere, and of many short ones, there is never more here than a worker may have."""
    caching = Caching()
    client = caching.world.connect()
    for size in (50_000, 100_000, 200_000):
        fill(caching, ok(bytes(size), FRESH), get(f"/{size}"))
        for _ in range(3):
            assert len(asked(caching, client, path=f"/{size}")[1]) == size
    assert caching.hand.budget.used < 30_000
    for number in range(400):
        path = f"/{number}"
        fill(caching, ok(bytes(10_000), FRESH), get(path))
        asked(caching, client, path=path)
        assert caching.hand.budget.used <= 2**20
    assert asked(caching, client, path="/399")[2] == 0


def test_two_hosts_and_two_schemes() -> None:
    caching, client = at_hand(ok(b"body", FRESH))
    client.feed(get("/a").replace(b"Host: example.org", b"Host: b.test"))
    caching.world.upstream.feed(ok(b"other", FRESH))
    assert taken(client)[1] == b"other"
    assert asked(caching, client) == (HIT, b"body", 0)


@pytest.mark.parametrize("size", [16_384, 16_385, 65_536, 65_537, 131_072])
def test_longer_bodies_are_copied_as_they_are_asked_for(size: int) -> None:
    """Out of the memory, or an open file: whole, each time, and counted."""
    body = bytes(number % 251 for number in range(size))
    caching, client = at_hand(ok(body, FRESH))
    for _ in range(2):
        assert asked(caching, client) == (HIT, body, 0)
    assert caching.served() == 3 * size
    assert caching.counted()["hit"] == 3


def test_what_becomes_another_one_while_it_is_copied() -> None:
    """It was overwritten meanwhile: then it is looked for as ever."""
    caching, client = at_hand(ok(bytes(50_000), FRESH))
    says = [True, False]
    caching.cache.watch = _Doubtful(caching, says)
    _, body, looks = asked(caching, client)
    assert (body, says, looks > 0) == (bytes(50_000), [], True)


class _Doubtful(CacheWatch):
    """Says of each answer in turn whether it is still stored."""

    def __init__(self, caching: Caching, says: list[bool]) -> None:
        super().__init__(caching.storage.place.memory, caching.storage.place.counters)
        self.says = says

    def still(self, held: HeldEntry) -> bool:
        return self.says.pop(0) if self.says else super().still(held)


def test_a_file_that_is_gone_is_a_miss() -> None:
    caching, client = at_hand(ok(bytes(100_000), FRESH))
    caching.bodies.files.clear()
    client.feed(get("/a"))
    caching.world.upstream.feed(ok(b"new", FRESH))
    assert taken(client)[1] == b"new"


@pytest.mark.parametrize("size", [4, 50_000, 100_000, 200_000])
def test_head_and_what_has_not_changed(size: int) -> None:
    """At hand as well, whatever the body: nothing is read, or said to be read, of that."""
    body = bytes(size)
    caching, client = at_hand(ok(body, FRESH, 'ETag: "e"', "Last-Modified: Tue, 14 Nov 2023 00:00:00 GMT", "X: 1"))
    served = caching.served()
    conditions = 'If-None-Match: "d", W/"e"', "If-Modified-Since: Tue, 14 Nov 2023 00:00:00 GMT"
    for field in conditions:
        for asking in (get("/a", field), get("/a", field).replace(b"GET", b"HEAD")):
            before = caching.storage.looks
            client.feed(asking)
            head, rest = taken(client)
            assert head.startswith(b"HTTP/1.1 304 "), head
            assert (status(head), values(head, "etag"), values(head, "x"), rest) == (HIT, [b'"e"'], [], b"")
            assert values(head, "content-length") == []
            assert caching.storage.looks == before
    before = caching.storage.looks
    client.feed(get("/a").replace(b"GET", b"HEAD"))
    head, rest = taken(client)
    assert (status(head), values(head, "content-length"), rest) == (HIT, [b"%d" % size], b"")
    assert (caching.storage.looks, caching.served()) == (before, served)
    client.feed(get("/a", 'If-None-Match: "other"', conditions[1]))  # the second of which does not count then (RFC 9110 13.2.2)
    head, rest = taken(client)
    assert (head.startswith(b"HTTP/1.1 200 "), len(rest)) == (True, size)
    client.feed(EOF)
    caching.world.at_rest()


def test_conditions_fall_into_no_other_hands() -> None:
    """What a request says of a part, or wants nobody to answer but the backend, is none of these."""
    caching, client = at_hand(ok(b"body", FRESH, 'ETag: "e"'))
    client.feed(get("/a", 'If-None-Match: "e"', 'If-Range: "e"', "Range: bytes=0-1"))
    assert taken(client)[0].startswith(b"HTTP/1.1 304 ")
    client.feed(get("/a", 'If-None-Match: "x"', 'If-Range: "e"', "Range: bytes=0-1"))
    assert taken(client)[1] == b"bo"
    client.feed(get("/a", 'If-Match: "e"', 'If-None-Match: "e"'))
    caching.world.upstream.feed(ok(b"origin", FRESH))
    assert taken(client)[1] == b"origin"
