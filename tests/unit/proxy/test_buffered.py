"""Pools that take bodies in whole: no backend is held by a client that is slow to say something, or to listen."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot, Scalar
from lbproxy.config import model
from lbproxy.errors import ConnectionLost
from lbproxy.streams import BLOCK
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.world import CHUNKED, EOF, World, get, ok, post

POOL = model.PoolConfig("app", (), buffer_requests=1000, buffer_responses=1000)


def buffering(backends: int = 2, **others: object) -> World:
    """A world whose pool buffers."""
    settings = model.PoolConfig("app", (), **{"buffer_requests": 1000, "buffer_responses": 1000, **others})  # type: ignore[arg-type]
    return World(backends, pool=settings, scratch=FakeScratch(), timeouts=model.TimeoutsConfig(request_head=5.0))


def in_flight(world: World) -> int:
    return world.ledger.total(Scalar.LIVE_REQUESTS)


def body_of(sent: bytes) -> bytes:
    return sent.partition(b"\r\n\r\n")[2]


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize("size", [10, 5000, 3 * BLOCK])
def test_a_backend_hears_of_a_request_when_all_of_it_is_here(size: int) -> None:
    """Until then nothing is dialled and nothing leased; then it gets everything at once, in memory or not."""
    world = buffering(backends=1)
    client = world.connect()
    body = bytes(range(256)) * (size // 256 + 1)
    client.feed(post(body[:1], length=len(body)))
    for at in range(1, len(body) - 1, 4000):
        client.feed(body[at : min(at + 4000, len(body) - 1)])
        assert (world.dials, in_flight(world)) == ([], 0)
    client.feed(body[-1:])
    assert in_flight(world) == 1
    assert body_of(world.upstream.sent) == body
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    client.feed(get())
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    assert len(world.upstreams) == 1, "both connections go on"
    world.at_rest()


@pytest.mark.parametrize("size", [5, 3 * BLOCK])
def test_a_chunked_body_gets_its_length(size: int) -> None:
    """For servers that know no chunks."""
    world = buffering()
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method="POST"))
    client.feed(b"%x\r\n%b\r\n" % (size, b"z" * size))
    assert world.dials == []
    client.feed(b"0\r\n\r\n" + get("/next"))
    head = world.upstream.sent.partition(b"\r\n\r\n")[0]
    assert b"\r\nContent-Length: %d\r\n" % size in head
    assert b"chunked" not in head
    assert body_of(world.upstream.sent) == b"z" * size
    world.upstream.take()
    world.upstream.feed(ok())
    assert world.upstream.sent.startswith(b"GET /next "), "what came behind the body is the next request"
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_a_client_that_asks_is_told_to_go_on() -> None:
    """By us, since no backend has heard of it; and the backend is not asked again."""
    world = buffering()
    client = world.connect()
    client.feed(get("/", "Content-Length: 5", "Expect: 100-continue", method="PUT"))
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.feed(b"hello")
    assert b"Expect" not in world.upstream.sent
    assert body_of(world.upstream.sent) == b"hello"
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_one_that_is_refused_is_not() -> None:
    """413 before a byte of the body."""
    world = World(pool=POOL, limits=model.LimitsConfig(body=4), scratch=FakeScratch())
    client = world.connect()
    client.feed(get("/", "Content-Length: 5", "Expect: 100-continue", method="PUT"))
    assert client.take().startswith(b"HTTP/1.1 413 ")
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method="PUT"), b"5\r\nhello\r\n")
    assert client.take().startswith(b"HTTP/1.1 413 ")
    assert world.dials == []
    assert world.outcomes() == [(413, "body_too_large")] * 2
    world.at_rest()


@pytest.mark.parametrize(("what", "status", "reason"), [
    (EOF, 400, "body_truncated"), (ConnectionLost("reset"), 499, "client_closed"),
    (b"zz\r\n", 400, "bad_chunk"), (None, 408, "body_timeout"),
])  # fmt: skip
def test_a_client_that_fails_costs_no_backend(what: bytes | Exception | None, status: int, reason: str) -> None:
    world = buffering()
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method="POST"), b"%x\r\n%b\r\n" % (2 * BLOCK, b"z" * 2 * BLOCK))
    assert world.scratch is not None
    assert world.scratch.blocks
    if what is None:
        world.pass_time(31.0)
    else:
        client.feed(what)
    assert world.dials == []
    assert world.outcomes() == [(status, reason)]
    world.at_rest()


def test_a_request_that_is_here_can_be_sent_again() -> None:
    """Whatever its size, where its method allows."""
    world = buffering()
    client = world.connect()
    body = b"z" * 3 * BLOCK
    client.feed(post(body, method="PUT"))
    first = world.upstream
    assert body_of(first.sent) == body
    first.feed(EOF)
    assert body_of(world.upstream.sent) == body
    assert world.dials == [9000, 9001]
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("why", ["limit", "disk"])
def test_what_is_too_much_is_passed_on_as_it_comes(why: str, chunked: bool) -> None:
    """Beyond the file's limit, and when the disk is full, which is told: nothing is lost."""
    world = buffering(buffer_file=2 * BLOCK if why == "limit" else 2**30)
    assert world.scratch is not None
    if why == "disk":
        world.scratch.refuses = "No space left on device"
    client = world.connect()
    size = 5 * BLOCK
    if chunked:
        client.feed(get("/", "Transfer-Encoding: chunked", "Expect: 100-continue", method="POST"))
        client.feed(b"%x\r\n" % size)
    else:
        client.feed(post(b"", length=size))
    for _ in range(5):
        client.feed(b"z" * BLOCK)
    assert world.dials == [9000]
    client.feed(b"\r\n0\r\n\r\n") if chunked else None
    sent = body_of(world.upstream.sent)
    if chunked:
        assert b"\r\nTransfer-Encoding: chunked\r\n" in world.upstream.sent
        assert sent.endswith(b"\r\n0\r\n\r\n")
    assert sent.count(b"z") == size
    assert world.troubles == (["No space left on device"] if why == "disk" else [])
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_disk_that_cannot_be_read() -> None:
    """500, with the reason: the body is not what it was."""
    world = buffering()
    assert world.scratch is not None
    client = world.connect()
    client.feed(post(b"z" * 2 * BLOCK, length=2 * BLOCK + 1))
    world.scratch.refuses = "I/O error"
    client.feed(b"z")
    assert client.take().startswith(b"HTTP/1.1 500 ")
    assert world.outcomes() == [(500, "buffer_unreadable")]
    world.at_rest()


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("form", ["with its head", "length", "chunked", "until close"])
def test_a_backend_is_free_as_soon_as_it_has_said_everything(form: str) -> None:
    """Whatever time the client takes; its connection serves the next request meanwhile."""
    world = buffering(backends=1)
    slow = world.connect(room=100)
    slow.feed(get())
    backend = world.upstream
    body = b"z" * (500 if form == "with its head" else 3 * BLOCK)
    if form == "chunked":
        backend.feed(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    elif form == "until close":
        backend.feed(b"HTTP/1.1 200 OK\r\n\r\n", body, EOF)
    else:
        wire = ok(body)
        backend.feed(*([wire] if form == "with its head" else [wire[:1000], wire[1000:]]))
    assert in_flight(world) == 0
    assert world.count(PerSlot.IN_FLIGHT, 0) == 0
    assert len(slow.sent) == 100
    other = world.connect()
    other.feed(get())
    if form != "until close":
        assert world.upstream is backend
    world.upstream.feed(ok())
    assert other.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    slow.make_room(None)
    assert slow.sent.count(b"z") == len(body)
    [line] = world.lines()
    assert (line["status"], line["reason"], line["bytes_out"]) == (200, "", len(slow.sent))
    slow.take()
    slow.feed(get())
    world.upstream.feed(ok())
    assert slow.take().endswith(b"ok")
    world.at_rest()


def test_buffering_delays_nothing() -> None:
    """Each piece leaves as it comes."""
    world = buffering()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(CHUNKED)
    assert client.take().startswith(b"HTTP/1.1 200 ")
    for _ in range(3):
        world.upstream.feed(b"2\r\nab\r\n")
        assert client.take() == b"2\r\nab\r\n"
    world.upstream.feed(b"0\r\n\r\n")
    assert client.take() == b"0\r\n\r\n"
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("field", ["Content-Type: text/event-stream", "X-Accel-Buffering: no"])
def test_some_answers_are_not_buffered(field: str) -> None:
    """Their backend is held back with the client."""
    world = buffering()
    client = world.connect(room=100)
    client.feed(get())
    world.upstream.feed(CHUNKED[:-2] + f"{field}\r\n\r\n".encode(), b"5\r\nhello\r\n" * 1000)
    assert client.waits == "w"
    assert in_flight(world) == 1
    client.make_room(None)
    world.upstream.feed(b"0\r\n\r\n")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("why", ["limit", "disk"])
def test_an_answer_that_is_too_long_waits_for_its_client(why: str) -> None:
    """Back-pressure, as without buffering; the whole of it arrives."""
    world = buffering(buffer_file=2 * BLOCK if why == "limit" else 2**30)
    assert world.scratch is not None
    if why == "disk":
        world.scratch.refuses = "No space left on device"
    client = world.connect(room=100)
    client.feed(get())
    backend, size = world.upstream, 8 * BLOCK
    backend.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(8):
        backend.feed(b"z" * BLOCK)
    assert in_flight(world) == 1
    assert backend.unread, "the rest stays with the backend"
    client.make_room(None)
    assert in_flight(world) == 0
    assert client.sent.count(b"z") == size
    assert world.troubles == (["No space left on device"] if why == "disk" else [])
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("when", ["while it comes", "when it is here"])
@pytest.mark.parametrize("how", ["reset", "gone", "stalled", "cut"])
def test_a_client_that_leaves(when: str, how: str) -> None:
    """Nothing is left of it: no strand, no block, no lease."""
    world = buffering()
    client = world.connect(room=100)
    client.feed(get())
    size = 4 * BLOCK
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    world.upstream.feed(b"z" * (size if when == "when it is here" else size - 1))
    if how == "stalled":
        if when == "while it comes":
            world.pass_time(20.0)
            world.upstream.feed(b"z")
        world.pass_time(61.0)
    elif how == "cut":
        for connection in list(world.service.connections):
            connection.cut()
        world.settle()
    elif how == "gone":
        client.feed(EOF)
    else:
        client.broken = ConnectionLost("reset")
        client.make_room(1)
    wanted = {"stalled": (499, "client_timeout"), "cut": (200, "drain_timeout")}
    assert world.outcomes() == [wanted.get(how, (499, "client_closed"))]
    assert client.end == "abort"
    world.at_rest()


def test_a_backend_that_breaks_off_in_the_middle() -> None:
    """What it said arrives, and then the client sees that something is missing."""
    world = buffering()
    client = world.connect(room=100)
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"z" * 4000, EOF)
    assert client.is_open()
    client.make_room(None)
    assert client.sent.count(b"z") == 4000
    assert client.end == "abort"
    assert world.outcomes() == [(200, "response_truncated")]
    world.at_rest()
