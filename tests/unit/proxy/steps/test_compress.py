"""Answers through a coder: whole or in pieces, flushed when nothing more is here, left alone beyond the bounds."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from lbproxy.balance.ledger import Scalar
from lbproxy.coders import maker
from lbproxy.config.model import CompressConfig
from lbproxy.http.grammar import END
from lbproxy.proxy.steps.compress import SLICE, Allowance, Compression
from tests.unit.http.heads import asking, values
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import World, get, ok, post

CSS = "Content-Type: text/css"
ASKS = "Accept-Encoding: gzip"
BODY = b"body { color: red }\n" * 500
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nTransfer-Encoding: chunked\r\n\r\n"


def compressing(most: int = 100, share: float = 0.5, settings: CompressConfig | None = None) -> World:
    """A world whose route compresses."""
    world = World(1)
    destination = world.service.router.match(asking(b"h", b"/"))
    assert destination is not None
    allowance = Allowance(most, share, world.clock, world.ledger, 0)
    destination.steps = (Compression(settings or CompressConfig(), {"gzip": maker("gzip")}, allowance),)
    return world


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def unchunked(coded: bytes) -> tuple[bytes, bool]:
    """What the chunks hold, and whether the last one is there."""
    found = b""
    while coded:
        size, _, coded = coded.partition(b"\r\n")
        if not int(size, 16):
            return found, True
        found += coded[: int(size, 16)]
        coded = coded[int(size, 16) + 2 :]
    return found, False


def taken(client: Any) -> tuple[bytes, bytes]:
    head, _, body = client.take().partition(END)
    return head + END, body


def test_a_whole_answer() -> None:
    """It has a length again, its own; the next one on the connection is as good."""
    world = compressing()
    client = world.connect()
    for _ in range(2):
        client.feed(get("/", ASKS))
        world.upstream.feed(ok(BODY, CSS, 'ETag: "1"'))
        head, body = taken(client)
        assert values(head, "content-encoding") == [b"gzip"]
        assert values(head, "content-length") == [b"%d" % len(body)]
        assert values(head, "etag") == [b'W/"1"']
        assert zlib.decompress(body, 31) == BODY
    assert world.outcomes() == [(200, ""), (200, "")]
    assert len(world.service.idle) == 1
    assert world.ledger.total(Scalar.COMPRESSED) == 2
    assert world.ledger.total(Scalar.COMPRESS_IN) == 2 * len(BODY)
    assert 0 < world.ledger.total(Scalar.COMPRESS_OUT) < len(BODY)
    world.at_rest()


@pytest.mark.parametrize("minor", [0, 1])
def test_an_answer_in_pieces(minor: int) -> None:
    """In chunks, or up to the end of the connection for a client of HTTP/1.0."""
    world = compressing()
    client = world.connect()
    client.feed(get("/", ASKS, "Connection: keep-alive", minor=minor))
    whole = ok(BODY, CSS)
    world.upstream.feed(whole[:3000], whole[3000:7000])
    world.upstream.feed(whole[7000:])
    head, body = taken(client)
    assert values(head, "content-length") == []
    if minor:
        body, ended = unchunked(body)
        assert ended
        assert client.is_open()
    assert zlib.decompress(body, 31) == BODY
    world.at_rest()


def test_nothing_is_held_while_the_backend_says_nothing() -> None:
    """Each event can be read as soon as it is here, and what comes together is compressed together."""
    world = compressing(settings=CompressConfig(types=("text/event-stream",)))
    client = world.connect()
    client.feed(get("/", ASKS))
    reader = zlib.decompressobj(31)
    world.upstream.feed(CHUNKED.replace(b"text/css", b"text/event-stream"))
    _head, body = taken(client)
    for number in range(5):
        event = b"data: %d\n\n" % number
        world.upstream.feed(chunk(event))
        more, _ = unchunked(body + client.take())
        body = b""
        assert reader.decompress(more) == event
    world.upstream.feed(chunk(b"data: a\n\n"), chunk(b"data: b\n\n"))
    more, _ = unchunked(client.take())
    assert reader.decompress(more) == b"data: a\n\ndata: b\n\n"
    world.upstream.feed(b"0\r\n\r\n")
    more, ended = unchunked(client.take())
    reader.decompress(more)
    assert reader.eof
    assert ended
    world.at_rest()


def test_others_have_their_turn() -> None:
    """Behind each slice of a long body the loop goes on."""
    world = compressing()
    client = world.connect()
    client.feed(get("/", ASKS))
    body = bytes(SLICE * 4)
    slept = len(world.slept)
    world.upstream.feed(CHUNKED + chunk(body[: 3 * SLICE]))
    world.upstream.feed(chunk(body[3 * SLICE :]) + b"0\r\n\r\n")
    assert len(world.slept) - slept >= 2
    assert max(world.upstream.asked[1:]) <= SLICE
    coded, ended = unchunked(taken(client)[1])
    assert ended
    assert zlib.decompress(coded, 31) == body
    world.at_rest()


def test_one_that_does_not_become_shorter_leaves_as_it_is() -> None:
    """A whole one; and it says that it could have been another."""
    world = compressing(settings=CompressConfig(min_length=0))
    client = world.connect()
    client.feed(get("/", ASKS))
    world.upstream.feed(ok(b"abc", CSS))
    head, body = taken(client)
    assert body == b"abc"
    assert values(head, "content-encoding") == []
    assert values(head, "vary") == [b"Accept-Encoding"]
    world.at_rest()


@pytest.mark.parametrize("why", ["wants none", "busy", "no time", "head"])
def test_left_as_it_is(why: str) -> None:
    """For who does not want it, and beyond the bounds; Vary says that others get another one."""
    world = compressing(most=0 if why == "busy" else 100, share=0.0 if why == "no time" else 0.5)
    client = world.connect()
    asks = [] if why == "wants none" else [ASKS]
    client.feed(get("/", *asks, method="HEAD" if why == "head" else "GET"))
    answer = ok(BODY, CSS, 'ETag: "1"')
    world.upstream.feed(answer.partition(END)[0] + END if why == "head" else answer)
    head, body = taken(client)
    assert body == (b"" if why == "head" else BODY)
    assert values(head, "vary") == [b"Accept-Encoding"]
    assert values(head, "etag") == [b'"1"']
    assert world.ledger.total(Scalar.COMPRESS_BUSY) == (why in ("busy", "no time"))
    world.at_rest()


@pytest.mark.parametrize(("fields", "asks", "length"), [
    (("Content-Length: 5000", "Content-Type: text/css"), (ASKS,), []),
    (("Content-Length: 5000", "Content-Type: text/css"), (), [b"5000"]),
    (("Content-Length: 5000", "Content-Type: text/css"), ("Accept-Encoding: br",), [b"5000"]),
    (("Content-Length: 50", "Content-Type: text/css"), (ASKS,), [b"50"]),
    (("Content-Length: 5000", "Content-Type: image/png"), (ASKS,), [b"5000"]),
    (("Content-Length: 5000", "Content-Type: text/css", "Content-Encoding: gzip"), (ASKS,), [b"5000"]),
    (("Transfer-Encoding: chunked", "Content-Type: text/css"), (ASKS,), []),
])  # fmt: skip
def test_a_head_says_no_length_that_its_body_has_not(fields: tuple[str, ...], asks: tuple[str, ...], length: list[bytes]) -> None:
    """RFC 9110 8.6. The connection goes on behind it."""
    world = compressing()
    client = world.connect()
    for _ in range(2):
        client.feed(get("/", *asks, method="HEAD"))
        world.upstream.feed("\r\n".join(("HTTP/1.1 200 OK", *fields, "", "")).encode())
        head, body = taken(client)
        assert (values(head, "content-length"), body) == (length, b"")
        assert values(head, "content-type") == [fields[1].partition(": ")[2].encode()]
    client.feed(get("/"))
    world.upstream.feed(ok(b"next"))
    assert taken(client)[1] == b"next"
    world.at_rest()


def test_places_are_given_back() -> None:
    """Whatever becomes of an answer: one place serves many, one after another, and two at a time are one too many."""
    world = compressing(most=1)
    client, other = world.connect(), world.connect()
    for number in range(3):
        client.feed(get("/", ASKS))
        first = world.upstream
        first.feed(CHUNKED[:-2] + b"Connection: close" + END + chunk(BODY))
        other.feed(get("/", ASKS))
        world.upstream.feed(ok(BODY, CSS, "Connection: close"))
        assert taken(other)[1] == BODY, "no place"
        if number == 1:
            first.feed(EOF)  # truncated: the client is cut
            assert client.end == "abort"
            client = world.connect()
        else:
            first.feed(b"0\r\n\r\n")
            client.take()
    assert world.ledger.total(Scalar.COMPRESSED) == 3
    assert world.ledger.total(Scalar.COMPRESS_BUSY) == 3
    world.at_rest()


def test_a_cut_answer_does_not_look_whole() -> None:
    """The coder's end is not written behind what broke off."""
    world = compressing()
    client = world.connect()
    client.feed(get("/", ASKS))
    world.upstream.feed(CHUNKED + chunk(BODY))
    world.upstream.feed(EOF)
    coded, ended = unchunked(taken(client)[1])
    reader = zlib.decompressobj(31)
    reader.decompress(coded)
    assert not reader.eof
    assert not ended
    assert world.outcomes() == [(200, "response_truncated")]
    world.at_rest()


def test_trailers_stay_behind_it() -> None:
    """What comes behind the body comes behind the compressed one."""
    world = compressing()
    client = world.connect()
    client.feed(get("/", ASKS, "TE: trailers"))
    world.upstream.feed(CHUNKED + chunk(BODY))
    world.upstream.feed(b"0\r\nX-Check: 1\r\n\r\n")
    assert client.take().lower().endswith(b"0\r\nx-check: 1\r\n\r\n")
    world.at_rest()


def test_a_client_that_takes_nothing_holds_the_backend_up() -> None:
    """Nothing is read ahead of it, and its place is given back when it goes."""
    world = compressing(most=1)
    client = world.connect(room=100)
    client.feed(get("/", ASKS))
    noise = random.Random(1).randbytes(3 * SLICE)
    world.upstream.feed(CHUNKED + chunk(noise[: 2 * SLICE]))
    asked = len(world.upstream.asked)
    world.upstream.feed(chunk(noise[2 * SLICE :]))
    assert len(world.upstream.asked) == asked, "nobody reads"
    client.feed(EOF)
    other = world.connect()
    other.feed(get("/", ASKS))
    world.upstream.feed(ok(BODY, CSS))
    assert zlib.decompress(taken(other)[1], 31) == BODY
    world.at_rest()


def test_the_answer_to_an_upload() -> None:
    """A request with a body is answered as any other."""
    world = compressing()
    client = world.connect()
    client.feed(post(b"hello", ASKS))
    world.upstream.feed(ok(BODY, CSS))
    assert zlib.decompress(taken(client)[1], 31) == BODY
    world.at_rest()


def test_the_share_of_the_cpu_comes_back() -> None:
    """What was spent is refilled with time, up to a second's worth."""
    now = 0.0
    world = World()
    allowance = Allowance(10, 0.5, lambda: now, world.ledger, 0)

    def work() -> bytes:
        nonlocal now
        now += 0.6
        return b"x"

    assert allowance.begin()
    for _ in range(3):
        assert allowance.run(work) == b"x"
    assert not allowance.begin()
    now += 0.4
    assert not allowance.begin(), "0.5 less three times 0.6, and half of 2.2 has come back"
    now += 0.6
    assert allowance.begin()
    now += 100
    allowance.run(work)
    allowance.run(work)
    allowance.run(work)
    assert not allowance.begin(), "a second's worth is saved up at most"
