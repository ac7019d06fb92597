"""Answers that come before the request is whole: what becomes of the rest of it, and of both connections."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.config import model
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.test_request_body import CHUNKED_POST, body_at, unchunked
from tests.unit.proxy.world import EOF, LOST, World, get, ok, post


def test_an_answer_before_the_end_of_the_request() -> None:
    """A backend that says that it closes takes no more: the connection to the client ends with the answer, in a way that lets it
    read that while it still sends."""
    world = World()
    client = world.connect()
    client.feed(post(b"x" * 10, length=1000))
    world.upstream.feed(ok(b"no", "Connection: close", status="413 Content Too Large"))
    got = client.take()
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in got
    assert client.end == "finish"
    assert world.upstream.end == "close"
    assert world.outcomes() == [(413, "")]
    world.at_rest()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("answer", ["length", "chunks", "none"])
def test_the_end_of_the_answer_is_not_the_end_of_the_request(chunked: bool, answer: str) -> None:
    """A backend that answers at once and reads on gets the rest; then both connections carry the next request."""
    world = World(backends=1)
    client = world.connect()
    body = b"x" * 40_000
    client.feed(CHUNKED_POST + b"%x\r\n" % len(body) + body[:10] if chunked else post(body[:10], length=len(body)))
    world.upstream.feed({
        "length": ok(b"yes"),
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
        "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    }[answer])  # fmt: skip
    got = client.take()
    assert got.startswith(b"HTTP/1.1 20")
    assert b"Connection: close" not in got
    assert world.ledger.slot_total(PerSlot.IN_FLIGHT, 0) == 1, "the backend is at work still"
    assert world.lines() == []
    for at in range(10, len(body), 5000):
        world.pass_time(20.0)
        client.feed(body[at : at + 5000])
    if chunked:
        client.feed(b"\r\n0\r\n\r\n")
    sent = body_at(world.upstream)
    assert (unchunked(sent) if chunked else sent) == body
    assert world.outcomes() == [(200 if answer != "none" else 204, "")]
    client.feed(get("/next"))
    assert world.dials == [9000]
    world.upstream.feed(ok(b"next"))
    assert client.take().endswith(b"next")
    world.at_rest()


@pytest.mark.parametrize("end", [
    "client leaves", "client resets", "client stalls", "garbage", "too large", "backend ends", "backend resets", "backend talks",
    "backend stalls", "drain",
])  # fmt: skip
def test_what_ends_the_rest_of_a_request_takes_no_answer_back(end: str) -> None:
    """The client has its answer whole, whatever happens to what it sends on; both connections end."""
    world = World(backends=1, limits=model.LimitsConfig(body=50_000))
    world.backend_room = 500 if end == "backend stalls" else None
    client = world.connect()
    client.feed(CHUNKED_POST, b"1\r\na\r\n")
    world.upstream.feed(ok(b"yes"))
    assert client.take().endswith(b"yes")
    assert client.is_open()
    match end:
        case "client leaves":
            client.feed(EOF)
        case "client resets":
            client.feed(LOST)
        case "client stalls":
            world.pass_time(31.0)
        case "garbage":
            client.feed(b"zz\r\n")
        case "too large":
            client.feed(b"%x\r\n" % 60_000 + b"x" * 60_000)
        case "backend ends":
            world.upstream.feed(EOF)
        case "backend resets":
            world.upstream.feed(LOST)
        case "backend talks":
            world.upstream.feed(ok(b"more"))
        case "backend stalls":
            client.feed(b"7d0\r\n" + b"x" * 2000 + b"\r\n")
            assert "w" in world.upstream.waits
            world.pass_time(61.0)
        case "drain":
            for connection in list(world.service.connections):
                connection.cut()
    assert client.take() == b""
    assert client.end == "finish"
    assert world.upstream.end
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("how", ["says close", "1.0", "drains"])
def test_a_client_that_will_be_closed_sends_all_the_same(how: str) -> None:
    """Its answer is its last; the backend gets the whole request even so."""
    world = World(backends=1)
    client = world.connect()
    if how == "1.0":
        client.feed(get("/", "Content-Length: 4", method="POST", minor=0) + b"ab")
    else:
        client.feed(post(b"ab", *(["Connection: close"] if how == "says close" else []), length=4))
    world.service.draining = how == "drains"
    world.upstream.feed(ok(b"yes"))
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.is_open()
    client.feed(b"cd")
    assert body_at(world.upstream) == b"abcd"
    assert client.end == "finish"
    assert len(world.service.idle) == 1
    world.at_rest()


@pytest.mark.parametrize(("invited", "began"), [(False, False), (True, False), (False, True)])
def test_a_body_that_waits_to_be_asked_for(invited: bool, began: bool) -> None:
    """Answered without being asked, its client may keep it or send it: nobody knows what comes next, so nothing does."""
    world = World(backends=1)
    client = world.connect()
    client.feed(get("/", "Content-Length: 4", "Expect: 100-continue", method="PUT") + (b"a" if began else b""))
    if invited:
        world.upstream.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.take()
    world.upstream.feed(ok(b"no", status="401 Unauthorized"))
    assert (b"\r\nConnection: close\r\n" in client.take()) == (not invited and not began)
    if invited or began:
        client.feed(b"bcd" if began else b"abcd")
        assert body_at(world.upstream) == b"abcd"
        assert client.is_open()
    else:
        assert client.end == "finish"
        assert world.upstream.end == "close"
    world.at_rest()


def test_an_answer_that_begins_before_the_end_of_the_request() -> None:
    """A streaming echo: both directions go on at the same time."""
    world = World()
    client = world.connect()
    client.feed(CHUNKED_POST, b"1\r\na\r\n")
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    assert client.take().endswith(b"1\r\na\r\n")
    client.feed(b"1\r\nb\r\n")
    assert world.upstream.sent.endswith(b"1\r\na\r\n1\r\nb\r\n")
    world.upstream.feed(b"1\r\nb\r\n")
    client.feed(b"0\r\n\r\n")
    world.upstream.feed(b"0\r\n\r\n")
    assert client.take() == b"1\r\nb\r\n0\r\n\r\n"
    assert client.is_open()
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_a_backend_may_have_ignored_is_not_taken_for_the_next_request(method: str, chunked: bool) -> None:
    """CL.0: whoever answers a GET without reading its body reads that as a request, and somebody else gets its answer."""
    world = World(backends=1)
    smuggled = b"GET /admin HTTP/1.1\r\nHost: h\r\n\r\n"
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(smuggled)
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(smuggled), smuggled) if chunked else smuggled
    client = world.connect()
    client.feed(b"%s / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n%s" % (method.encode(), framing, body))
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"" if method == "HEAD" else b"ok"))
    assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.is_open()
    reused = method in ("POST", "PUT", "PATCH", "OPTIONS")
    assert len(world.service.idle) == reused
    assert (world.upstream.end == "") is reused
    world.at_rest()


def test_a_connection_with_half_a_body_on_it_is_not_reused() -> None:
    """The client sent all, the backend answered and never takes the rest: what is left would stand before the next request."""
    world = World(backends=1)
    world.backend_room = 300
    client = world.connect()
    client.feed(post(b"x" * 10, length=1000), b"x" * 990)
    assert world.upstream.waits == "rw"
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    world.pass_time(61.0)
    assert world.upstream.end == "close"
    assert len(world.service.idle) == 0
    assert client.is_open(), "on its side all is well"
    world.backend_room = None
    client.feed(get())
    world.upstream.feed(ok())
    assert len(world.dials) == 2
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


@pytest.mark.parametrize("end", [EOF, LOST], ids=["leaves", "resets"])
@pytest.mark.parametrize("buffered", [False, True])
def test_a_client_that_has_sent_all_of_it_may_leave(buffered: bool, end: bytes | Exception) -> None:
    """It has its answer, and the backend reads on, slowly: it gets the rest, whoever holds that."""
    pool = model.PoolConfig("app", (), buffer_requests=70_000 if buffered else 0, buffer_file=1 << 20)
    world = World(backends=1, pool=pool, scratch=FakeScratch())
    world.backend_room = 70_000 if buffered else 1000
    client = world.connect()
    body = bytes(range(256)) * 800
    client.feed(post(body[:100], length=len(body)))
    if buffered:
        client.feed(body[100:])
    world.upstream.feed(ok(b"early"))
    if not buffered:
        world.upstream.make_room(3000)
        client.feed(body[100:60_000])
        world.upstream.make_room(len(body) - 5000)
        client.feed(body[60_000:])
    assert client.take().endswith(b"early")
    client.feed(end)
    assert world.upstream.waits, "it has not got all of it yet"
    while world.upstream.waits == "w":
        world.upstream.make_room(5000)
    assert body_at(world.upstream) == body
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_drain_that_ends_cuts_who_has_left() -> None:
    """The rest of a body is no reason to stay for ever."""
    world = World(backends=1)
    world.backend_room = 1000
    client = world.connect()
    client.feed(post(b"x" * 2000, length=50_000))
    world.upstream.feed(ok(b"early"))
    client.feed(b"x" * 48_000)
    client.feed(EOF)
    for connection in list(world.service.connections):
        connection.cut()
    world.settle()
    assert world.upstream.end in ("close", "abort")
    assert client.end
    world.at_rest()
