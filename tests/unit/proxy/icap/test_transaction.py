"""A request to an ICAP server: read while it is written, and within its time."""

from __future__ import annotations

import pytest

from lbproxy.http.grammar import END
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.icap_world import backend, looked_at, options, server
from tests.unit.proxy.world import get, post


def test_the_same_instead_of_204() -> None:
    """Servers echo what they are content with; 20 MB of it, while they are still being written to."""
    world = looked_at(respmod="/resp", memory=100_000, scratch=FakeScratch())
    client = world.connect()
    client.feed(get())
    stream = backend(world)
    assert stream is not None
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\nETag: \"a\"\r\n\r\n"
    stream.feed(head)
    stream.feed(b"a" * 50_000)
    server(world).feed(options(""))
    echo = server(world)
    echo.room = 0
    echo.take()
    echo.feed(b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%b" % (len(head), head))
    chunk = b"%x\r\n%b\r\n" % (50_000, b"a" * 50_000)
    for _ in range(399):
        stream.feed(b"a" * 50_000)
        assert "w" in echo.waits
        echo.feed(chunk)  # it writes, and does not read before it has written
        echo.make_room(100_000)
        echo.take()
        echo.room = 0
    echo.make_room(None)
    echo.feed(chunk + b"0\r\n\r\n")
    answer = client.take()
    assert len(answer.partition(END)[2]) == 20_000_000
    assert b'ETag: "a"' in answer
    assert world.inspected == ["icap_answer changed"]
    world.at_rest()


@pytest.mark.parametrize("when", ["preview", "end", "options"])
def test_a_server_that_says_nothing(when: str) -> None:
    """Its time is limited; that of a client who is slow with the body is not its."""
    world = looked_at(timeout=5.0)
    client = world.connect()
    client.feed(post(b"abc", length=6))
    if when != "options":
        server(world).feed(options("Preview: 4\r\n" if when == "preview" else ""))
        world.pass_time(20)
        assert not server(world).end, "it is the client's turn"
        client.feed(b"def")
    world.pass_time(6)
    assert client.take().startswith(b"HTTP/1.1 503")
    assert world.outcomes() == [(503, "icap_unavailable")]
    assert len(world.dials) == 1, "another one would take as long"
    world.at_rest()


@pytest.mark.parametrize("what", ["own head", "HTTP's head"])
def test_a_server_that_never_ends_a_head(what: str) -> None:
    """A byte now and then is not an answer: a request would wait for days."""
    world = looked_at(timeout=5.0)
    client = world.connect()
    client.feed(get())
    begun = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=1000\r\n"
    server(world).feed(begun if what == "own head" else begun + b"\r\nHTTP/1.1 403 No\r\n")
    for _ in range(4):
        if not server(world).end:
            server(world).feed(b"X")
            world.pass_time(3.0)
    assert world.outcomes() == [(503, "icap_unavailable")]
    world.at_rest()


PAGE_BEGINS = b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 403 No\r\n\r\n"


def test_a_body_that_takes_its_time() -> None:
    """It is waited for as long as more of it comes at a rate, however long that takes; also in bursts, with pauses between them."""
    world = looked_at(timeout=5.0)
    client = world.connect()
    client.feed(get())
    server(world).feed(PAGE_BEGINS)
    for pause in (3.0, 4.5, 4.5, 4.5, 1.5, 1.5, 1.5, 1.5):
        world.pass_time(pause)
        server(world).feed(b"2000\r\n" + b"X" * 8192 + b"\r\n")
    server(world).feed(b"0\r\n\r\n")
    assert len(client.take().partition(END)[2]) == 8 * 8192
    assert world.outcomes() == [(403, "icap_blocked")]
    world.at_rest()


@pytest.mark.parametrize("drip", [b"1\r\nX\r\n", b"0", b"1;x=%b\r\nX\r\n" % (b"y" * 900)])
@pytest.mark.parametrize("asked", ["request", "answer", "options"])
def test_a_body_that_drips(drip: bytes, asked: str) -> None:
    """A byte now and then, or what is not even of the body, is silence: it would keep a request, its spool and a connection for
    days. It costs no more time than a server that says nothing."""
    world = looked_at(timeout=5.0, respmod="/resp") if asked == "answer" else looked_at(timeout=5.0)
    client = world.connect()
    client.feed(post(b"abc") if asked == "options" else get())
    if asked == "answer":
        stream = backend(world)
        assert stream is not None
        stream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        server(world).feed(options(""))
    begins = b"ICAP/1.0 200 OK\r\nEncapsulated: opt-body=0\r\n\r\n" if asked == "options" else PAGE_BEGINS
    asked_of = server(world)
    asked_of.feed(begins)
    since = world.now
    while not asked_of.end:
        asked_of.feed(drip)
        world.pass_time(1.0)
        assert world.now - since < 8.0
    assert world.outcomes() == [(503, "icap_unavailable")]
    world.at_rest()


def test_a_small_piece_waits_for_no_more_than_silence() -> None:
    """What came fast before earns no more than all of the patience."""
    world = looked_at(timeout=5.0)
    client = world.connect()
    client.feed(get())
    server(world).feed(PAGE_BEGINS)
    server(world).feed(b"%x\r\n%b\r\n" % (200_000, b"X" * 200_000))
    world.pass_time(4.5)
    assert not server(world).end
    world.pass_time(1.0)
    assert server(world).end
    assert world.outcomes() == [(503, "icap_unavailable")]
    world.at_rest()
