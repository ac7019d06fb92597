"""lbproxy.proxy.caching.resume: what is the same answer, and what follows a part of it."""

from __future__ import annotations

import pytest

from lbproxy.http.h1.response import parse_response
from lbproxy.proxy.caching.resume import Beginning
from tests.unit.proxy.caching.stores import FRESH, Caching, answered, gone, herd, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import ok

HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "1"'


@pytest.mark.parametrize(("size", "said", "same"), [
    (4, HEAD + b"\r\nContent-Length: 4", True),
    (4, HEAD + b"\r\nContent-Length: 5", False),
    (4, HEAD + b"\r\nTransfer-Encoding: chunked", False),
    (-1, HEAD + b"\r\nContent-Length: 5", True),
    (-1, HEAD + b"\r\nTransfer-Encoding: chunked\r\nDate: today\r\nX-Other: field", True),
    (-1, HEAD, False),
    (-1, HEAD.replace(b"200 OK", b"206 Partial Content") + b"\r\nContent-Length: 5", False),
    (-1, HEAD.replace(b'"1"', b'"2"') + b"\r\nContent-Length: 5", False),
    (-1, HEAD.replace(b"html", b"css") + b"\r\nContent-Length: 5", False),
    (-1, HEAD + b"\r\nContent-Encoding: gzip\r\nContent-Length: 5", False),
    (-1, HEAD + b"\r\nLast-Modified: today\r\nContent-Length: 5", False),
])  # fmt: skip
def test_heads_of_one_answer(size: int, said: bytes, same: bool) -> None:
    """What was promised to the client holds, and validators are those that it has."""
    assert Beginning(HEAD, size).continued_by(parse_response(said + b"\r\n\r\n", b"GET", 100)) is same


def test_bytes_of_one_answer() -> None:
    """Told by a digest, however they came."""
    one, two = Beginning(HEAD, -1), Beginning(HEAD, -1)
    one.add(b"ab")
    one.add(b"c")
    two.add(b"abc")
    assert (one.length, one.begins(two)) == (3, True)
    two.add(b"d")
    assert not one.begins(two)


@pytest.mark.parametrize(("tag", "good"), [('"1"', True), ('"2"', False)])
def test_the_rest_under_the_same_validators(tag: str, good: bool) -> None:
    """The same bytes under another ETag are another answer, which nothing is put together of. An interim answer comes too late."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    world.upstream.take()
    world.upstream.feed(ok(b"abcdefgh", FRESH, 'ETag: "1"')[:-4])
    world.settle()
    world.upstream.feed(EOF)
    world.settle()
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    assert answered(caching, hint + ok(b"abcdefgh", FRESH, f"ETag: {tag}"), None) == 4
    for client in clients[1:]:
        assert (taken(client)[1], client.is_open()) == (b"abcdefgh" if good else b"abcd", good)
    reasons = [line["reason"] for line in world.lines()]
    assert sorted(reasons) == sorted(["response_truncated", *([""] if good else ["collapsed_changed"]) * 4])
    gone(caching, [client for client in clients if client.is_open()])
