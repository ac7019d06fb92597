"""What a backend says to HEAD, beside what is stored (RFC 9111 4.3.5)."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from tests.unit.http.heads import values
from tests.unit.proxy.caching.stores import FRESH, Caching, fill, status, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok

OLD = ok(b"old", FRESH, 'ETag: "1"', "X: old")


def head(*fields: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", FRESH, *fields, "", "")).encode()


def asked(caching: Caching, answer: bytes, request: bytes) -> bytes:
    client = caching.world.connect()
    client.feed(request)
    caching.world.upstream.feed(answer)
    found, _ = taken(client)
    client.feed(EOF)
    return found


@pytest.mark.parametrize("compress", [None, model.CompressConfig(min_length=1)])
def test_what_is_still_right_lasts_on(compress: model.CompressConfig | None) -> None:
    """As by a 304: the fields that it says are the stored answer's from then on, for each kind."""
    caching = Caching(compress=compress)
    world = caching.world
    body = b"old" * 1000
    coding = "Accept-Encoding: gzip"
    fill(caching, ok(body, FRESH, 'ETag: "1"', "Content-Type: text/css"), get("/a", coding))
    world.pass_time(61)
    told = asked(caching, head('ETag: "1"', "Content-Length: 3000", "X: new"), get("/a", coding, method="HEAD"))
    assert status(told) == "lbproxy; fwd=stale"
    client = world.connect()
    client.feed(get("/a", coding))
    got, _ = taken(client)
    assert (status(got), values(got, "x")) == ("lbproxy; hit; ttl=60", [b"new"])
    assert values(got, "content-encoding") == ([] if compress is None else [b"gzip"])
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize(("said", "anew"), [
    (('ETag: "2"',), True), (('ETag: "1"', "Content-Length: 4"), True), (("Content-Length: 4",), True),
    (('ETag: "1"', "Content-Length: 3"), False), (('ETag: "1"',), False), (("X: 1",), False),
])  # fmt: skip
def test_what_is_another_one_by_now_is_not_given_out(said: tuple[str, ...], anew: bool) -> None:
    """Fresh as it may be."""
    caching = Caching(model.CacheConfig(respect_client=True))
    fill(caching, OLD)
    asked(caching, head(*said), get("/a", "Cache-Control: no-cache", method="HEAD"))
    client = caching.world.connect()
    client.feed(get("/a"))
    if anew:
        caching.world.upstream.feed(ok(b"new", FRESH))
    assert taken(client)[1] == (b"new" if anew else b"old")
    client.feed(EOF)
    caching.world.at_rest()


@pytest.mark.parametrize("answer", [
    head("X: 1"), head("Content-Length: 3"),  # nothing that would tell one from another
    head('ETag: "1"').replace(b"200", b"404"), head('ETag: "1"').replace(b"max-age=60", b"private"),
])  # fmt: skip
def test_what_says_nothing_of_that(answer: bytes) -> None:
    """Whatever it says, what is stored lasts as long as it did."""
    caching = Caching()
    fill(caching, OLD)
    caching.world.pass_time(61)
    asked(caching, answer, get("/a", method="HEAD"))
    client = caching.world.connect()
    client.feed(get("/a"))
    assert b'If-None-Match: "1"' in caching.world.upstream.take()
    caching.world.upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=60\r\n\r\n')
    got, body = taken(client)
    assert (values(got, "x"), body) == ([b"old"], b"old")
    client.feed(EOF)
    caching.world.at_rest()


def test_cookies_are_not_stored_by_it() -> None:
    """They are for whoever has asked."""
    caching = Caching()
    fill(caching, OLD)
    caching.world.pass_time(61)
    told = asked(caching, head('ETag: "1"', "Set-Cookie: a=b"), get("/a", method="HEAD"))
    assert values(told, "set-cookie") == [b"a=b"]
    client = caching.world.connect()
    client.feed(get("/a"))
    assert values(taken(client)[0], "set-cookie") == []
    client.feed(EOF)
    caching.world.at_rest()


def test_a_purge_on_the_way() -> None:
    """What was asked before it brings nothing back."""
    caching = Caching()
    fill(caching, OLD)
    caching.world.pass_time(61)
    client = caching.world.connect()
    client.feed(get("/a", method="HEAD"))
    caching.world.settle()
    for digest in caching.storage.entries:
        caching.storage.forget(digest)
    caching.world.upstream.feed(head('ETag: "1"'))
    taken(client)
    assert not caching.storage.entries
    client.feed(EOF)
    caching.world.at_rest()
