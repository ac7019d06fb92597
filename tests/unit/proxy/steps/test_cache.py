"""A route's cache, from a client's bytes to a backend's and back."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from tests.unit.http.heads import values
from tests.unit.proxy.caching.stores import FRESH, Caching, date, fill, status, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok


def test_miss_and_hits() -> None:
    """The backend is asked once; hits have its answer with an age, and say so, over kept connections."""
    caching = Caching()
    world = caching.world
    client = world.connect()
    client.feed(get("/a"))
    world.upstream.feed(ok(b"body", FRESH, date(), "X: 1", "Content-Type: text/plain"))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; fwd=uri-miss; stored", b"body")
    for age in (0, 7):
        world.pass_time(age)
        client.feed(get("/a"))
        head, body = taken(client)
        assert body == b"body"
        assert status(head) == f"lbproxy; hit; ttl={60 - age}"
        assert values(head, "age") == [b"%d" % age]
        assert values(head, "x") == [b"1"]
        assert values(head, "content-length") == [b"4"]
    assert [line["cache"] for line in world.lines()] == ["miss", "hit", "hit"]
    assert len(world.upstreams) == 1
    client.feed(EOF)
    world.at_rest()


def test_head_from_get() -> None:
    """HEAD gets the head of the stored answer; its own answer is not stored."""
    caching = Caching()
    world = caching.world
    client = world.connect()
    client.feed(get("/a", method="HEAD"))
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=60\r\n\r\n")
    assert status(taken(client)[0]) == "lbproxy; fwd=uri-miss"
    fill(caching, ok(b"body", FRESH))
    client.feed(get("/a", method="HEAD"))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; hit; ttl=60", b"")
    assert values(head, "content-length") == [b"4"]
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize(("field", "code", "body", "extra"), [
    ("Range: bytes=1-2", 206, b"bc", ("content-range", b"bytes 1-2/5")),
    ("Range: bytes=-2", 206, b"de", ("content-range", b"bytes 3-4/5")),
    ("Range: bytes=9-", 416, b"", ("content-range", b"bytes */5")),
    ("Range: bytes=9223372036854775808-", 416, b"", ("content-range", b"bytes */5")),
    ("Range: bytes=0-1,3-4", 200, b"abcde", ("etag", b'"e"')),
    ('If-None-Match: W/"e"', 304, b"", ("etag", b'"e"')),
    ('If-None-Match: "x"', 200, b"abcde", ("etag", b'"e"')),
])  # fmt: skip
def test_less_than_all(field: str, code: int, body: bytes, extra: tuple[str, bytes]) -> None:
    """Parts and conditions are answered from the whole answer that is stored, in memory or in a file."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"abcde", FRESH, 'ETag: "e"'))
    client = world.connect()
    client.feed(get("/a", field))
    head, got = taken(client)
    assert (int(head.split()[1]), got) == (code, body)
    assert values(head, extra[0]) == [extra[1]]
    assert status(head).startswith("lbproxy; hit")
    assert world.lines()[-1]["status"] == code
    client.feed(EOF)
    world.at_rest()


def test_conditions_of_clients_do_not_keep_it_empty() -> None:
    """A miss asks for all; the client that has it already gets a 304, and the next one all."""
    caching = Caching()
    world = caching.world
    client = world.connect()
    client.feed(get("/a", 'If-None-Match: "e"'))
    assert b"If-None-Match" not in world.upstream.take()
    world.upstream.feed(ok(b"abcde", FRESH, 'ETag: "e"'))
    head, body = taken(client)
    assert (head.split()[1], body) == (b"304", b"")
    client.feed(get("/a"))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; hit; ttl=60", b"abcde")
    assert [line["status"] for line in world.lines()] == [304, 200]
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize("compress", [None, model.CompressConfig()])
@pytest.mark.parametrize(("field", "answer", "code"), [
    ('If-None-Match: "e"', ok(b"mine", "Cache-Control: private", 'ETag: "e"', "Set-Cookie: a=b"), 304),
    ('If-None-Match: W/"e"', ok(b"mine", "Cache-Control: no-store", 'ETag: "e"'), 304),
    ('If-None-Match: "f"', ok(b"mine", "Cache-Control: private", 'ETag: "e"'), 200),
    ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", ok(b"mine", "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT"), 304),
    ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", ok(b"mine", "Last-Modified: Tue, 14 Nov 2023 22:13:21 GMT"), 200),
    ('If-None-Match: "e"', ok(b"mine", 'ETag: "e"', status="404 Not Found"), 404),
    ('If-None-Match: "e"', ok(bytes(2**20 + 1), 'ETag: "e"'), 200),
    ('If-None-Match: "e"', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "e"\r\n\r\n4\r\nmine\r\n0\r\n\r\n', 200),
])  # fmt: skip
def test_conditions_where_nothing_is_stored(field: str, answer: bytes, code: int, compress: model.CompressConfig | None) -> None:
    """The backend was not told of them, so that they are answered here; fields that are the client's own, such as cookies, are with
    the 304 as well. What may be long, or not end, is not read for nothing."""
    caching = Caching(compress=compress)
    client = caching.world.connect()
    for _ in range(2):
        client.feed(get("/a", field, "Accept-Encoding: gzip"))
        caching.world.upstream.feed(answer)
        head, body = taken(client)
        assert int(head.split()[1]) == code
        if code == 304:
            assert (body, values(head, "content-length")) == (b"", [])
            assert values(head, "set-cookie") == ([b"a=b"] if b"Set-Cookie" in answer else [])
            assert values(head, "etag") + values(head, "last-modified") != []
        else:
            assert body
        assert caching.world.lines()[-1]["status"] == code
        assert not caching.storage.entries
    client.feed(EOF)
    caching.world.at_rest()


def test_bypass() -> None:
    """Requests that meet the conditions go by."""
    caching = Caching(model.CacheConfig(bypass=model.MatchConfig(headers=(("Cookie", ("*session=*",)),))))
    fill(caching, ok(b"x", FRESH))
    client = caching.world.connect()
    client.feed(get("/a", "Cookie: a=b; session=1"))
    caching.world.upstream.feed(ok(b"own", FRESH))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; fwd=bypass", b"own")
    client.feed(get("/a"))
    assert taken(client)[1] == b"x"
    client.feed(EOF)
    caching.world.at_rest()


def test_methods() -> None:
    """Those that are named, alone."""
    caching = Caching(model.CacheConfig(methods=("GET",)))
    fill(caching, ok(b"x", FRESH))
    client = caching.world.connect()
    client.feed(get("/a", method="HEAD"))
    caching.world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    assert status(taken(client)[0]) == "lbproxy; fwd=method"
    client.feed(EOF)
    caching.world.at_rest()


def test_only_if_cached() -> None:
    """Nobody else is asked, where clients are listened to."""
    caching = Caching(model.CacheConfig(respect_client=True))
    client = caching.world.connect()
    client.feed(get("/a", "Cache-Control: only-if-cached"))
    assert taken(client)[0].split()[1] == b"504"
    client.feed(EOF)
    assert caching.world.outcomes() == [(504, "only_if_cached")]
    caching.world.at_rest()


def test_a_file_that_becomes_unreadable() -> None:
    """Who is in the middle of it is cut; whoever comes then has it from the backend, and it is stored anew."""
    caching = Caching()
    world, body = caching.world, bytes(300_000)
    fill(caching, ok(body, FRESH))
    slow = world.connect(room=1000)
    slow.feed(get("/a"))
    [data] = caching.bodies.files.values()
    del data[200_000:]
    slow.make_room(None)
    world.settle()
    assert slow.end == "abort"
    assert len(slow.take()) < 300_000
    for _ in range(2):
        client = world.connect()
        client.feed(get("/a"))
        if client.is_open() and not (answer := client.take()):
            world.upstream.feed(ok(body, FRESH))
            answer = client.take()
        assert answer.endswith(body)
        client.feed(EOF)
    assert [len(data) for data in caching.bodies.files.values()] == [300_000]
    world.at_rest()


def test_a_file_that_is_not_what_was_stored() -> None:
    """It is asked for again, and the client notices nothing."""
    caching = Caching()
    world, body = caching.world, bytes(300_000)
    fill(caching, ok(body, FRESH))
    [data] = caching.bodies.files.values()
    del data[200_000:]
    client = world.connect()
    client.feed(get("/a"))
    world.upstream.feed(ok(body, FRESH))
    head, got = taken(client)
    assert (status(head), got) == ("lbproxy; fwd=uri-miss; stored", body)
    client.feed(EOF)
    world.at_rest()


def test_too_large() -> None:
    """It passes, and is not stored; so does one of unknown length that becomes too large."""
    caching = Caching(model.CacheConfig(max_body=10))
    assert status(fill(caching, ok(b"x" * 11, FRESH))) == "lbproxy; fwd=uri-miss; detail=too_large"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + FRESH.encode() + b"\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"
    fill(caching, chunked)
    assert not caching.storage.entries
    caching.world.at_rest()


def test_rules_for_answers_are_each_clients_own() -> None:
    """Ids and other fields that vary are put on to hits as to any answer."""
    from lbproxy.config.model import HeadersConfig

    caching = Caching(route=model.RouteConfig("app", headers=HeadersConfig(request_id="on")))
    world = caching.world
    ids = set(values(fill(caching, ok(b"x", FRESH)), "x-request-id"))
    client = world.connect()
    for _ in range(2):
        client.feed(get("/a"))
        head, _ = taken(client)
        assert status(head).startswith("lbproxy; hit")
        ids |= set(values(head, "x-request-id"))
    assert len(ids) == 3
    [entry] = caching.storage.entries.values()
    assert b"x-request-id" not in entry.meta.lower()
    client.feed(EOF)
    world.at_rest()


def test_a_hit_is_led_back_as_its_answer_was() -> None:
    """Where a prefix is taken off requests, a redirect of the backend's leads to the same place from the cache, and what unsafe
    requests make stale is found."""
    route = model.RouteConfig("app", path="/app/", paths=model.PathRulesConfig(strip="/app"))
    caching = Caching(route=route)
    head = fill(caching, ok(b"", FRESH, "Location: /x", status="301 Moved"), get("/app/a"))
    client = caching.world.connect()
    client.feed(get("/app/a"))
    again, _ = taken(client)
    assert values(again, "location") == values(head, "location") == [b"/app/x"]
    assert status(again).startswith("lbproxy; hit")
    client.feed(get("/app/b", "Content-Length: 0", method="POST"))
    caching.world.upstream.feed(ok(b"", "Location: /a", status="303 See Other"))
    taken(client)
    assert not caching.storage.entries
    client.feed(EOF)
    caching.world.at_rest()
