"""Answers that are stored compressed: a variant for each kind of client, each with a head of its own; nobody gets another's."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import pytest

from lbproxy.balance.ledger import Scalar
from lbproxy.cache.keeper import Keeper
from lbproxy.cache.purges import Purge
from lbproxy.config.model import CacheConfig, CompressConfig
from tests.unit.http.heads import values
from tests.unit.proxy.caching.stores import FRESH, Caching, fill, status, taken
from tests.unit.proxy.fake_stream import EOF, FakeStream
from tests.unit.proxy.steps.test_compress import chunk, unchunked
from tests.unit.proxy.world import get, ok

brotli: Any = import_module("brotli")
zstandard: Any = import_module("zstandard")
READERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": lambda data: zlib.decompress(data, 31),
    b"zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    b"br": brotli.decompress,
}
CSS = "Content-Type: text/css"
BODY = b"body { color: red }\n" * 500
HIT = "lbproxy; hit; ttl=60"
ALL = CompressConfig(("br", "zstd", "gzip"))


def accepts(said: str) -> str:
    return f"Accept-Encoding: {said}"


class Got(NamedTuple):
    head: bytes
    body: bytes
    """As it was before it was compressed."""
    coding: bytes

    def said(self, name: str) -> list[bytes]:
        return values(self.head, name)


def decoded(head: bytes, body: bytes) -> Got:
    [coding] = values(head, "content-encoding") or [b""]
    if values(head, "transfer-encoding"):
        body, over = unchunked(body)
        assert over
    elif body:
        assert values(head, "content-length") == [b"%d" % len(body)]
    if coding and body:
        body = READERS[coding](body)
    return Got(head, body, coding)


def asked(client: FakeStream, *fields: str, path: str = "/a", method: bytes = b"GET") -> Got:
    """Out of the cache: no backend is there."""
    client.feed(get(path, *fields).replace(b"GET", method, 1))
    return decoded(*taken(client))


def filled(caching: Caching, answer: bytes, *fields: str) -> Got:
    client = caching.world.connect()
    client.feed(get("/a", *fields))
    caching.world.upstream.feed(answer)
    got = decoded(*taken(client))
    client.feed(EOF)
    return got


def css(*fields: str, body: bytes = BODY) -> bytes:
    return ok(body, CSS, *fields)


@pytest.mark.parametrize(("said", "coding"), [
    ("gzip, deflate, br, zstd", b"br"), ("gzip, zstd", b"zstd"), ("gzip", b"gzip"), ("br;q=0.1, gzip", b"gzip"),
    ("x-gzip", b"gzip"), ("*", b"br"), ("*, br;q=0", b"zstd"), ("identity;q=0, gzip;q=0.1", b"gzip"), ("identity", b""),
    ("deflate", b""), ("br;q=0", b""), ("gzip;q=0.5, identity;q=1", b""), ("br;q=1.5", b""),
])  # fmt: skip
def test_each_kind_of_client_has_its_own(said: str, coding: bytes) -> None:
    """Whole or in pieces, asked for or found, at hand or not: all get the same bytes, with the same head."""
    for answer in (css(FRESH, 'ETag: "1"', "Accept-Ranges: bytes"), chunked(FRESH, 'ETag: "1"', "Accept-Ranges: bytes")):
        caching = Caching(compress=ALL)
        first = filled(caching, answer, accepts(said))
        assert (first.coding, first.body) == (coding, BODY)
        client = caching.world.connect()
        for _ in range(3):
            got = asked(client, accepts(said))
            assert (status(got.head), got.coding, got.body) == (HIT, coding, BODY)
            assert got.said("etag") == first.said("etag") == ([b'W/"1"'] if coding else [b'"1"'])
            assert got.said("vary") == first.said("vary") == [b"Accept-Encoding"]
            assert got.said("accept-ranges") == ([] if coding else [b"bytes"])
            assert got.said("transfer-encoding") == []
        head = asked(client, accepts(said), method=b"HEAD")
        assert (head.said("content-length"), head.coding, head.body) == (got.said("content-length"), coding, b"")
        client.feed(EOF)
        caching.world.at_rest()
        assert caching.world.ledger.total(Scalar.COMPRESSED) == (1 if coding else 0)


def chunked(*fields: str) -> bytes:
    head = b"\r\n".join([b"HTTP/1.1 200 OK", CSS.encode(), *(field.encode() for field in fields), b"Transfer-Encoding: chunked"])
    return head + b"\r\n\r\n" + b"".join(chunk(BODY[at : at + 3000]) for at in range(0, len(BODY), 3000)) + b"0\r\n\r\n"


def test_kinds_do_not_meet() -> None:
    """Each asks the backend once; all of them stay beside each other, for every language, and a purge takes all."""
    caching = Caching(compress=ALL)
    kinds = {"br": b"br", "zstd": b"zstd", "gzip": b"gzip", "identity": b""}
    tongues = [f"Accept-Language: t{number}" for number in range(8)]
    for tongue in tongues:
        for said in kinds:
            assert "fwd=" in status(filled(caching, css(FRESH, "Vary: Accept-Language"), accepts(said), tongue).head)
    client = caching.world.connect()
    for tongue in tongues:
        for said, coding in kinds.items():
            got = asked(client, accepts(said), tongue)
            assert (status(got.head), got.coding, got.body) == (HIT, coding, BODY)
    filled(caching, css(FRESH, "Vary: Accept-Language"), accepts("br"), "Accept-Language: more")
    got = filled(caching, css(FRESH, "Vary: Accept-Language"), accepts("br"), tongues[0])
    assert "fwd=vary-miss" in status(got.head), "the oldest has made room"
    place = caching.storage.place
    Keeper(place.memory, place.lock).purge(Purge.URL, b"https://example.org/a")
    for said in kinds:
        assert "fwd=uri-miss" in status(filled(caching, css("Cache-Control: no-store"), accepts(said), tongues[3]).head)


def test_an_unsafe_request_forgets_all_kinds() -> None:
    caching = Caching(compress=ALL)
    for said in ("br", "gzip", "identity"):
        filled(caching, css(FRESH), accepts(said))
    client = caching.world.connect()
    client.feed(get("/a", method="DELETE"))
    caching.world.upstream.feed(ok(b""))
    taken(client)
    for said in ("br", "gzip", "identity"):
        assert "hit" not in status(filled(caching, css("Cache-Control: no-store"), accepts(said)).head)


def test_who_has_it_is_told_so() -> None:
    """By the ETag of his kind, or of another: the comparison is the weak one. Also where it has to be asked for first."""
    caching = Caching(compress=ALL)
    filled(caching, css(FRESH, 'ETag: "1"'), accepts("br"))
    client = caching.world.connect()
    for tag in ('W/"1"', '"1"', "*"):
        got = asked(client, accepts("br"), f"If-None-Match: {tag}")
        assert (got.head[9:12], got.said("etag"), got.said("vary"), got.body) == (b"304", [b'W/"1"'], [b"Accept-Encoding"], b"")
    assert asked(client, accepts("br"), 'If-None-Match: W/"2"').body == BODY
    client.feed(get("/a", accepts("gzip"), 'If-None-Match: W/"1"'))
    caching.world.upstream.feed(css(FRESH, 'ETag: "1"'))
    head, _ = taken(client)
    assert (head[9:12], values(head, "etag"), values(head, "vary")) == (b"304", [b'W/"1"'], [b"Accept-Encoding"])
    assert asked(client, accepts("gzip")).coding == b"gzip"


def test_what_is_stale_is_asked_about_by_both_of_its_names() -> None:
    """A backend may compare byte by byte. The 304 brings it up to date, and it varies as before, whatever that says."""
    caching = Caching(compress=ALL)
    filled(caching, css(FRESH, 'ETag: "1"', "Vary: Accept-Language"), accepts("gzip"))
    caching.world.pass_time(61)
    client = caching.world.connect()
    client.feed(get("/a", accepts("gzip")))
    upstream = caching.world.upstream
    assert b'\r\nIf-None-Match: W/"1", "1"\r\n' in upstream.take()
    upstream.feed(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nVary: Accept-Language\r\n' + FRESH.encode() + b"\r\n\r\n")
    got = decoded(*taken(client))
    assert (got.coding, got.body, got.said("vary")) == (b"gzip", BODY, [b"Accept-Language", b"Accept-Encoding"])
    got = asked(client, accepts("gzip"))
    assert (status(got.head), got.coding, got.said("etag")) == (HIT, b"gzip", [b'W/"1"'])


def test_in_the_background() -> None:
    """What is asked for anew while the stale one is given out is compressed likewise; what can no longer be is not kept."""
    for answer, after in ((css(FRESH, body=BODY[::-1]), BODY[::-1]), (ok(b"short", FRESH, CSS), None)):
        caching = Caching(CacheConfig(stale_while_revalidate=60.0), compress=ALL)
        filled(caching, css(FRESH), accepts("br"))
        caching.world.pass_time(61)
        client = caching.world.connect()
        got = asked(client, accepts("br"))
        assert (got.coding, got.body) == (b"br", BODY)
        caching.world.settle()
        caching.world.upstream.feed(answer)
        caching.world.settle()
        if after is None:
            assert "hit" not in status(filled(caching, css("Cache-Control: no-store"), accepts("br")).head)
        else:
            got = asked(client, accepts("br"))
            assert (status(got.head), got.coding, got.body) == (HIT, b"br", after)
        client.feed(EOF)
        caching.world.at_rest()


def test_parts_are_of_what_came() -> None:
    """A range of compressed bytes is nobody's; who asks for one gets it of the variant as it came."""
    caching = Caching(compress=ALL)
    filled(caching, css(FRESH, 'ETag: "1"'), accepts("br"))
    filled(caching, css(FRESH, 'ETag: "1"'))
    client = caching.world.connect()
    for field in ("Range: bytes=5-9", 'If-Range: "1"\r\nRange: bytes=5-9'):
        got = asked(client, accepts("br"), field)
        assert (got.head[9:12], got.coding, got.body, got.said("etag")) == (b"206", b"", BODY[5:10], [b'"1"'])
    got = asked(client, accepts("br"), 'If-Range: W/"1"', "Range: bytes=5-9")
    assert (got.head[9:12], got.body) == (b"200", BODY)


@pytest.mark.parametrize("answer", [
    ok(BODY, FRESH, "Content-Type: image/png"), ok(BODY, FRESH, CSS, "Content-Encoding: gzip"), ok(b"short", FRESH, CSS),
    ok(BODY, FRESH + ", no-transform", CSS), ok(BODY, FRESH, CSS, "Content-Digest: sha-256=:x:"),
])  # fmt: skip
def test_what_is_left_alone_is_stored_once(answer: bytes) -> None:
    """For everybody."""
    caching = Caching(compress=ALL)
    fill(caching, answer, get("/a", accepts("br")))
    client = caching.world.connect()
    for said in ("br", "gzip", "identity"):
        client.feed(get("/a", accepts(said)))
        head, body = taken(client)
        assert (status(head), body) == (HIT, answer.partition(b"\r\n\r\n")[2])
        assert values(head, "vary") == []


def test_who_wants_it_untouched() -> None:
    """no-transform of a request: it gets the variant as it came, and makes it for nobody else."""
    caching = Caching(compress=ALL)
    assert filled(caching, css(FRESH), accepts("br"), "Cache-Control: no-transform").coding == b""
    assert filled(caching, css(FRESH), accepts("br")).coding == b"br"


def test_brotli_is_made_of_what_is_stored_alone() -> None:
    """Others get what is quicker: answers that may not be stored, and those of requests that go by the cache."""
    caching = Caching(compress=ALL)
    assert filled(caching, css("Cache-Control: private"), accepts("gzip, br")).coding == b"gzip"
    assert filled(caching, css("Cache-Control: private"), accepts("br")).coding == b""
    client = caching.world.connect()
    client.feed(get("/a", accepts("gzip, br"), "X-HTTP-Method-Override: PUT"))
    caching.world.upstream.feed(css())
    assert decoded(*taken(client)).coding == b"gzip"
    client.feed(get("/a", accepts("gzip, br"), method="DELETE"))
    caching.world.upstream.feed(css())
    assert decoded(*taken(client)).coding == b"gzip"
    client.feed(EOF)
    caching.world.at_rest()


def test_at_the_bound_nothing_is_stored_as_what_it_is_not() -> None:
    """It leaves as it came, and is compressed when there is room."""
    caching = Caching(compress=ALL, allowed=0)
    got = filled(caching, css(FRESH), accepts("br"))
    assert (got.coding, got.body, "detail=busy" in status(got.head)) == (b"", BODY, True)
    assert got.said("vary") == [b"Accept-Encoding"]
    assert caching.compression is not None
    caching.compression.allowance.most = 1
    for _ in range(2):
        assert filled(caching, css(FRESH), accepts("br")).coding == b"br"
        caching.storage.forget(next(iter(caching.storage.entries)))


def test_one_that_breaks_off_is_not_stored() -> None:
    caching = Caching(compress=ALL)
    client = caching.world.connect()
    client.feed(get("/a", accepts("br")))
    caching.world.upstream.feed(chunked(FRESH)[:-500])
    caching.world.upstream.feed(EOF)
    assert client.end == "abort"
    assert not caching.storage.entries
    caching.world.at_rest()


def test_those_who_ask_at_a_time_ask_once_for_each_kind() -> None:
    """A herd of two kinds on a cold key: two requests, and everybody has his own."""
    caching = Caching(compress=ALL)
    clients = [(said, caching.world.connect()) for said in ("br", "gzip") * 5]
    for said, client in clients:
        client.feed(get("/a", accepts(said)))
    assert len(caching.world.upstreams) == 2
    for upstream in caching.world.upstreams:
        upstream.feed(css(FRESH))
    for said, client in clients:
        got = decoded(*taken(client))
        assert (got.coding, got.body) == (said.encode(), BODY)
