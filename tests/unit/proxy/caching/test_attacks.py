"""Attacks and mishaps that caches are known for, each a test of its own."""

from __future__ import annotations

import pytest

from lbproxy.config.model import CompressConfig
from lbproxy.http.grammar import END
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.proxy.telling import Telling
from tests.unit.http.heads import values
from tests.unit.proxy.caching.stores import FRESH, WALL, Caching, date, fill, status, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok


def test_two_hosts_with_one_pool() -> None:
    """Each has its own answers."""
    caching = Caching()
    fill(caching, ok(b"one", FRESH))
    client = caching.world.connect()
    client.feed(get("/a").replace(b"example.org", b"example.net"))
    caching.world.upstream.feed(ok(b"two", FRESH))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; fwd=uri-miss; stored", b"two")
    client.feed(EOF)
    caching.world.at_rest()


@pytest.mark.parametrize("target", [
    "/account/x.css", "/account;x.css", "/account%2Fx.css", "/account/%2e%2e/account/x.css", "/account?x.css", "/account/",
    "/Account",
])  # fmt: skip
def test_deception(target: str) -> None:
    """What a path looks like decides nothing: what the backend calls private is, by whatever name, and no name is another's."""
    caching = Caching()
    fill(caching, ok(b"public", FRESH), get("/account"))
    client = caching.world.connect()
    for _ in range(2):
        client.feed(get(target, "Cookie: session=1"))
        caching.world.upstream.feed(ok(b"secret", "Cache-Control: private", "Content-Type: text/css"))
        head, body = taken(client)
        assert (status(head), body) == ("lbproxy; fwd=uri-miss; detail=private", b"secret")
    client.feed(EOF)
    caching.world.at_rest()


class _Replaced(Course):
    """A step that gives another answer than the backend's, as one that has found a virus does."""

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        return _Page(sink)


class _Page(Telling):
    def __init__(self, behind: Sink) -> None:
        super().__init__(behind, b"")

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        raw = ok(b"blocked", status="403 Forbidden").partition(b"blocked")[0]
        super().whole(parse_response(raw, b"GET", 100), raw, b"blocked", lines)

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        self.whole(answer, out, first.pop(), lines)

    def room(self) -> int:
        return 100_000

    def piece(self, data: bytes) -> None:
        pass

    def end(self, data: bytes, trailers: Trailers) -> None:
        pass


class _Replacing(Step):
    def begin(self, journey: Journey) -> Course:
        return _Replaced()


@pytest.mark.parametrize("compress", [None, CompressConfig()])
@pytest.mark.parametrize("size", [2000, 100_000])
def test_what_a_step_has_put_in_the_place_of_an_answer(size: int, compress: CompressConfig | None) -> None:
    """It is not stored, least of all under the head of what it stands for."""
    caching = Caching(compress=compress)
    [(_, destination)] = caching.world.routed
    destination.steps = (_Replacing(), *(destination.steps or ()))
    for _ in range(2):
        client = caching.world.connect()
        client.feed(get("/a", "Accept-Encoding: gzip"))
        caching.world.upstream.feed(ok(bytes(size), FRESH, "Content-Type: text/css"))
        head, body = taken(client)
        assert (head[9:12], body) == (b"403", b"blocked")
        assert "fwd=uri-miss" in status(head)
        assert "stored" not in status(head)
        client.feed(EOF)
    caching.world.at_rest()


@pytest.mark.parametrize("stale", ["stale-if-error=600", "stale-while-revalidate=600, stale-if-error=600"])
def test_a_stale_body_is_never_doubled(stale: str) -> None:
    """Of an error that comes with a body nothing is passed on in front of the stale one; an answer of which a part is with the
    client, and that breaks off, is cut, and nothing stale stands behind it. The next request on the connection meets neither."""
    caching = Caching()
    world = caching.world
    fill(caching, ok(b"stale", f"Cache-Control: max-age=10, {stale}"))
    world.pass_time(700 if "revalidate" in stale else 20)
    if "revalidate" not in stale:
        client = world.connect()
        client.feed(get("/a"))
        world.upstream.feed(ok(b"an error's own body", status="503 Service Unavailable"))
        head, body = taken(client)
        assert (head[9:12], values(head, "content-length"), body) == (b"200", [b"5"], b"stale")
        client.feed(get("/b"))
        world.upstream.feed(ok(b"next"))
        assert taken(client)[1] == b"next"
        client.feed(EOF)
    client = world.connect()
    client.feed(get("/a"))
    world.upstream.feed(ok(b"x" * 100, FRESH)[:-60])
    world.upstream.feed(EOF)
    head, body = taken(client)
    assert (values(head, "content-length"), body, client.end) == ([b"100"], b"x" * 40, "abort")
    world.at_rest()


def test_a_flood_of_unique_urls_costs_what_is_configured() -> None:
    """The memory has the size that it was made with, whatever comes; and of what nobody asks for again nothing is held behind it:
    not a mark, not a fill, not an answer at hand."""
    caching = Caching()
    client, memory = caching.world.connect(), caching.storage.place.memory
    size, marks = len(caching.storage.place.buffer), memory.layout.marks
    for number in range(200):
        client.feed(get(f"/{number}?{'x' * 500}"))
        caching.world.upstream.feed(ok(bytes(50_000), FRESH))
        assert taken(client)[1] == bytes(50_000)
    assert 20 < memory.usage()["entries"] < 100
    assert (len(caching.storage.place.buffer), caching.shelf.fills, caching.hand.budget.used) == (size, {}, 0)
    assert not any(memory.view[marks.start : marks.end])


@pytest.mark.parametrize(("said", "code", "expected"), [
    ("9223372036854775808-", 416, b""),
    ("18446744073709551616-18446744073709551617", 416, b""),
    ("1-9223372036854775807", 206, b"bcde"),
    ("1-18446744073709551616", 206, b"bcde"),
    ("-9223372036854775808", 206, b"abcde"),
    ("9223372036854775808-1", 200, b"abcde"),
    ("0-" + "9" * 1000, 200, b"abcde"),
])  # fmt: skip
def test_ranges_past_2_to_the_63(said: str, code: int, expected: bytes) -> None:
    """Numbers that wrap round in C do not here: nothing in front of the body or behind it is given out."""
    assert part(said) == (code, expected)


@pytest.mark.parametrize(("said", "code", "expected"), [
    ("0-,0-", 206, b"abcde"),
    ("0-2,1-3", 206, b"abcd"),
    ("0-1,1-2,2-3", 206, b"abcd"),
    ("-1,-2", 206, b"de"),
    (",".join(["0-"] * 1000), 200, b"abcde"),
    ("0-0," * 1000 + "-5", 200, b"abcde"),
    ("0-1,0-1,3-4", 200, b"abcde"),
])  # fmt: skip
def test_overlapping_ranges(said: str, code: int, expected: bytes) -> None:
    """However often a byte is asked for, it is sent once: they are made one part, or all is sent."""
    assert part(said) == (code, expected)


def part(said: str) -> tuple[int, bytes]:
    """What a range of five stored bytes gets, from the cache alone."""
    caching = Caching()
    fill(caching, ok(b"abcde", FRESH))
    client = caching.world.connect()
    client.feed(get("/a", f"Range: bytes={said}"))
    head, body = taken(client)
    assert status(head).startswith("lbproxy; hit")
    assert values(head, "content-length") == [b"%d" % len(body)]
    client.feed(EOF)
    caching.world.at_rest()
    return int(head.split()[1]), body


def test_fat_get() -> None:
    """A GET with a body is answered by a backend, and its answer is nobody else's."""
    caching = Caching()
    fill(caching, ok(b"one", FRESH))
    client = caching.world.connect()
    client.feed(get("/a", "Content-Length: 1") + b"x")
    caching.world.upstream.feed(ok(b"two", FRESH))
    head, body = taken(client)
    assert (status(head), body) == ("lbproxy; fwd=bypass", b"two")
    client.feed(get("/a"))
    assert taken(client)[1] == b"one"
    client.feed(EOF)
    caching.world.at_rest()


@pytest.mark.parametrize("field", [
    "X-HTTP-Method-Override: DELETE", "x-method-override: PUT", "X-HTTP-Method: POST", "X.HTTP.Method.Override: PUT",
    "X!Method-Override: PUT",
])  # fmt: skip
def test_poisoning_by_method_override(field: str) -> None:
    """What a backend may take for another method is not stored, nor answered from what is."""
    caching = Caching()
    assert status(fill(caching, ok(b"deleted", FRESH), get("/a", field))) == "lbproxy; fwd=bypass"
    assert not caching.storage.entries
    caching.world.at_rest()


@pytest.mark.parametrize("field", [
    "X-Forwarded-Host: evil", "X-Forwarded-Proto: evil", "Forwarded: host=evil", "X.Forwarded.Host: evil", "X_Host: evil",
    "Front-End-Https: evil", "X-Url-Scheme: evil", "X-Script-Name: /evil", "X-Original-Method: evil", "X-Accel-Mapping: evil=/",
])  # fmt: skip
def test_poisoning_by_unkeyed_fields(field: str) -> None:
    """A client's own never reach the backend; those of a trusted proxy are a part of the key."""
    caching = Caching()
    world = caching.world
    client = world.connect()
    client.feed(get("/a", field))
    assert b"evil" not in world.upstream.take()
    world.upstream.feed(ok(b"x", FRESH))
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize("field", [
    "X-Forwarded-Host: evil", "X-Forwarded-Proto: http", "X-Forwarded-Port: 99", "X-Forwarded-Prefix: /evil", "X-Forwarded-SSL: on",
    "X-Forwarded-Scheme: evil", "X-Forwarded-Server: evil", "Front-End-Https: on", "X-Host: evil", "X-Url-Scheme: http",
    "X-Script-Name: /evil", "X-Original-Method: PUT", "Cf-Visitor: evil", "X-Sendfile-Type: evil",
    "X-Original-URL: /evil", "X-Rewrite-URL: /evil", "Forwarded: host=evil",
    "Forwarded: for=1.2.3.4, for=1.2.3.5;proto=https", 'Forwarded: for="x;host=evil"',
])  # fmt: skip
def test_poisoning_through_a_trusted_proxy(field: str) -> None:
    """Where it says another place, which its client may have said to it, that is another answer."""
    assert asked_through_a_proxy("X: 1", field) == [b"1", b"2"]


@pytest.mark.parametrize("fields", [
    ("X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 1.2.3.5"), ("Forwarded: for=1.2.3.4", 'Forwarded: for="[::1]:5"'),
])  # fmt: skip
def test_clients_of_a_trusted_proxy_share_answers(fields: tuple[str, str]) -> None:
    """Who asks is no part of the key."""
    assert asked_through_a_proxy(*fields) == [b"1", b"1"]


def asked_through_a_proxy(*fields: str) -> list[bytes]:
    """What two requests get, where a backend gives each another answer."""
    from ipaddress import ip_network

    caching = Caching()
    world, got = caching.world, []
    for body, field in zip((b"1", b"2"), fields, strict=True):
        client = world.connect(trusted=(ip_network("192.0.2.0/24"),))
        client.feed(get("/a", field))
        answer = client.take()
        if not answer:
            world.upstream.feed(ok(body, FRESH))
            answer = client.take()
        got.append(answer.partition(END)[2])
        client.feed(EOF)
    world.at_rest()
    return got


def test_poisoning_by_capitals_in_host() -> None:
    """A backend that minds them is not told of them by a request whose answer is for everybody: not by the first one, not by one
    that asks for all who wait, not by one in the background, and not where it says what its answer depends on."""
    caching = Caching()
    world = caching.world
    capitals, plain = get("/a").replace(b"example.org", b"Example.ORG"), get("/a")
    clients = [world.connect() for _ in range(4)]
    for client, asked in zip(clients, (capitals, plain, capitals, plain), strict=True):
        client.feed(asked)
    world.settle()
    [asked] = [each.take() for each in world.upstreams]
    assert b"Host: example.org\r\n" in asked
    world.upstream.feed(ok(b"page", "Cache-Control: max-age=5, stale-while-revalidate=60", "Vary: Host"))
    for client in clients:
        assert taken(client)[1] == b"page"
    for asked in (plain, capitals):
        clients[0].feed(asked)
        assert status(taken(clients[0])[0]) == "lbproxy; hit; ttl=5"
    world.pass_time(6)
    clients[0].feed(capitals)
    assert taken(clients[0])[1] == b"page"
    assert b"Host: example.org\r\n" in world.upstream.take()
    world.upstream.feed(ok(b"new", FRESH, "Vary: Host"))
    clients[1].feed(plain)
    assert taken(clients[1])[1] == b"new"
    for client in clients:
        client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize("more", [{"method": "POST"}, {"method": "OPTIONS"}])
def test_capitals_are_passed_on_where_nothing_is_stored(more: dict[str, str]) -> None:
    """What goes by the cache gets to its backend as it came."""
    caching = Caching()
    client = caching.world.connect()
    client.feed(get("/a", "Content-Length: 0", **more).replace(b"example.org", b"Example.ORG"))  # type: ignore[arg-type]
    assert b"Host: Example.ORG\r\n" in caching.world.upstream.take()
    caching.world.upstream.feed(ok())
    client.feed(EOF)
    caching.world.at_rest()


@pytest.mark.parametrize("compress", [None, CompressConfig(min_length=1)])
@pytest.mark.parametrize("before", [(), ("Vary: A",)])
@pytest.mark.parametrize("how", ["asked", "in the background", "head"])
def test_what_depends_on_more_than_it_did(compress: CompressConfig | None, before: tuple[str, ...], how: str) -> None:
    """A 304 that names further fields in Vary is this client's; what is stored was found without them, and is for nobody else. One
    that names the same, or fewer, is."""
    for said, shared in ((("Vary: A, Cookie",), False), (("Vary: *",), False), (before, True), ((), True)):
        caching = Caching(compress=compress)
        world = caching.world
        mine = ("A: 1", "Cookie: mine", "Accept-Encoding: gzip")
        swr = ", stale-while-revalidate=60" if how == "in the background" else ""
        stored = ok(b"mine" * 100, 'ETag: "1"', f"Cache-Control: max-age=1{swr}", "Content-Type: text/css", *before)
        fill(caching, stored, get("/a", *mine))
        world.pass_time(5)
        client = world.connect()
        client.feed(get("/a", *mine, method="HEAD" if how == "head" else "GET"))
        line = "HTTP/1.1 200 OK" if how == "head" else "HTTP/1.1 304 Not Modified"
        world.upstream.feed("\r\n".join((line, 'ETag: "1"', FRESH, *said, "", "")).encode())
        assert b" 200 " in client.take()
        client.feed(get("/a", "A: 1", "Cookie: other", "Accept-Encoding: gzip"))
        world.settle()
        assert bool(client.take()) is shared
        if not shared:
            world.upstream.feed(ok(b"other", "Cache-Control: private"))
            assert taken(client)[1] == b"other"
        client.feed(EOF)
        world.at_rest()


def test_fields_that_connection_names_are_not_stored() -> None:
    """Nor the hop-by-hop ones."""
    caching = Caching()
    fill(caching, ok(b"x", FRESH, "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5"))
    [entry] = caching.storage.entries.values()
    assert b"X-Hop" not in entry.meta
    assert b"Keep-Alive" not in entry.meta


def test_interim_answers_are_not_stored() -> None:
    """The final one is, alone."""
    caching = Caching()
    client = caching.world.connect()
    client.feed(get("/a"))
    caching.world.upstream.feed(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + ok(b"x", FRESH))
    client.take()
    client.feed(get("/a"))
    head, _ = taken(client)
    assert values(head, "link") == []
    assert status(head) == "lbproxy; hit; ttl=60"
    client.feed(EOF)
    caching.world.at_rest()


def test_purge_beats_a_fill_begun_before_it() -> None:
    """What is forgotten while an answer is on its way is not stored by that."""
    caching = Caching()
    world = caching.world
    client, other = world.connect(), world.connect()
    client.feed(get("/a"))
    reading = world.upstream
    other.feed(get("/a", "Content-Length: 0", method="DELETE"))
    world.upstream.feed(ok(b""))
    reading.feed(ok(b"old", FRESH))
    assert taken(client)[1] == b"old"
    assert not caching.storage.entries
    for each in (client, other):
        each.feed(EOF)
    world.at_rest()


def test_clock_steps() -> None:
    """Whoever sets the wall clock neither makes anything last nor ages it."""
    caching = Caching()
    fill(caching, ok(b"x", FRESH, date()))
    caching.cache.asking = caching.cache.asking._replace(wall=lambda: WALL + 10**7)
    client = caching.world.connect()
    client.feed(get("/a"))
    assert status(taken(client)[0]) == "lbproxy; hit; ttl=60"
    caching.world.pass_time(61)
    client = caching.world.connect()
    client.feed(get("/a"))
    caching.cache.asking = caching.cache.asking._replace(wall=lambda: 0.0)
    caching.world.upstream.feed(ok(b"y", FRESH))
    assert taken(client)[1] == b"y"
    client.feed(EOF)
    caching.world.at_rest()


def test_a_clients_purge_means_nothing() -> None:
    """It goes to the backend as any method does; a refusal there leaves everything as it is."""
    caching = Caching()
    fill(caching, ok(b"x", FRESH))
    client = caching.world.connect()
    client.feed(get("/a", method="PURGE"))
    caching.world.upstream.feed(ok(b"", status="405 Method Not Allowed"))
    taken(client)
    client.feed(get("/a"))
    assert status(taken(client)[0]).startswith("lbproxy; hit")
    client.feed(EOF)
    caching.world.at_rest()


@pytest.mark.parametrize(("method", "fields"), [("POST", ()), ("PUT", ()), ("DELETE", ()), ("PATCH", ()), ("FOO", ())])
def test_unsafe_methods_invalidate(method: str, fields: tuple[str, ...]) -> None:
    """The target, and what the answer names on the same origin."""
    caching = Caching()
    world = caching.world
    for path in ("/a", "/b", "/c"):
        fill(caching, ok(b"x", FRESH), get(path))
    client = world.connect()
    client.feed(get("/a", "Content-Length: 0", method=method))
    world.upstream.feed(ok(b"", "Location: /b", "Content-Location: https://example.org/c", status="201 Created"))
    taken(client)
    assert not caching.storage.entries
    client.feed(EOF)
    world.at_rest()


@pytest.mark.parametrize(("first", "second"), [
    (("Authorization: Basic eDp5",), ()), ((), ("Authorization: Basic eDp5",)),
])  # fmt: skip
def test_credentials(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """An answer that does not say that it is for anybody passes by them."""
    caching = Caching()
    fill(caching, ok(b"one", FRESH), get("/a", *first))
    client = caching.world.connect()
    client.feed(get("/a", *second))
    caching.world.upstream.feed(ok(b"two", FRESH))
    assert taken(client)[1] == b"two"
    client.feed(EOF)
    caching.world.at_rest()


def test_whose_request_steps_find_out() -> None:
    """Where passwords or tokens are asked for, only what is public is stored."""
    caching = Caching(personal=True)
    assert "detail=authorization" in status(fill(caching, ok(b"one", FRESH)))
    assert status(fill(caching, ok(b"one", "Cache-Control: public, max-age=60"))).endswith("stored")
    caching.world.at_rest()
