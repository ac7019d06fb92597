"""A client's connection: heads in any pieces, idle times, what is refused."""

from __future__ import annotations

from itertools import pairwise
from sys import getrefcount

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.balance.ledger import Scalar
from lbproxy.config import model
from lbproxy.proxy.client import IDLE_IN_GREENLET, ClientConnection
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import NEVER
from tests.unit.proxy.world import EOF, LOST, FakeStream, World, get, ok, post


def parked(world: World) -> bool:
    """No greenlet is left: all connections are the event loop's."""
    return all(strand.dead for strand in world.strands)


def served(world: World, client: FakeStream) -> None:
    client.feed(get())
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")


# ---------------------------------------------------------------- heads


@settings(max_examples=80, deadline=None)
@given(
    requests=st.lists(st.sampled_from([get("/a"), get("/b", "X: y"), post(b"hello"), b"\r\n" + get("/c")]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 1000), max_size=10),
)
def test_the_pieces_in_which_requests_come_do_not_matter(requests: list[bytes], cuts: list[int]) -> None:
    """Pipelined, one by one, or byte by byte: each is answered, in order."""
    world = World()
    client = world.connect()
    wire = b"".join(requests)
    places = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})
    answers = 0
    for begin, end in pairwise(places):
        client.feed(wire[begin:end])
        while any(upstream.waits == "r" for upstream in world.upstreams):
            busy = next(upstream for upstream in world.upstreams if upstream.waits == "r")
            if len(busy.sent.partition(b"\r\n\r\n")[2]) < (5 if busy.sent.startswith(b"POST") else 0):
                break  # waits for the rest of its body
            busy.take()
            busy.feed(ok(b"%d" % answers))
            answers += 1
    assert answers == len(requests)
    got = client.take()
    assert [got.count(b"\r\n\r\n%d" % number) for number in range(answers)] == [1] * answers
    assert world.outcomes() == [(200, "")] * len(requests)
    world.at_rest()


def test_a_head_cut_at_every_byte() -> None:
    world = World(backends=1)
    client = world.connect()
    head = get("/", "X-Name: value")
    for cut in range(1, len(head)):
        client.feed(head[:cut], head[cut:])
        assert world.upstream.take().startswith(b"GET / HTTP/1.1\r\n"), cut
        world.upstream.feed(ok())
        assert client.take().endswith(b"ok")
    world.at_rest()


@pytest.mark.parametrize(("said", "status", "reason"), [
    ([b"garbage\r\n\r\n"], 400, "request_line"),
    ([b"GET / HTTP/1.1\r\n\r\n"], 400, "host_missing"),
    ([b"GET / HTTP/1.1\nHost: x\n\n"], 400, "bare_lf"),
    ([b"GET / HTTP/1.1\r\nHost: x\r", b"\n\nX"], 400, "bare_lf"),
    ([b"GET / HTTP/3.0\r\nHost: x\r\n\r\n"], 505, "version"),
    ([b"GET /" + b"a" * 9000], 414, "request_line_too_long"),
    ([b"GET /" + b"a" * 5000, b"a" * 5000], 414, "request_line_too_long"),
    ([b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 12_000, b"a" * 12_000, b"a" * 12_000], 431, "head_too_large"),
    ([b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 101 + b"\r\n"], 431, "too_many_fields"),
    ([get("/", "Content-Length: 1", "Transfer-Encoding: chunked", method="POST")], 400, "length_and_encoding"),
    ([get(method="CONNECT")], 405, None),
])  # fmt: skip
def test_what_is_refused_is_answered_and_closed(said: list[bytes], status: int, reason: str | None) -> None:
    world = World()
    client = world.connect()
    client.feed(*said)
    got = client.take()
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in got
    assert client.end == "finish"
    assert world.dials == [], "not one byte of it reaches a backend"
    [line] = world.lines()
    assert line["status"] == status
    assert reason is None or line["reason"] == reason
    world.at_rest()


@pytest.mark.parametrize("pieces", [[b"\r\n"], [b"\r", b"\n"], [b"\r\n\r\n"], [b"\r\n\r", b"\n\r\n"]])
@pytest.mark.parametrize("parked_before", [False, True])
def test_empty_lines_behind_a_request_begin_nothing(pieces: list[bytes], parked_before: bool) -> None:
    """Old clients send one behind a POST: the connection is as idle as it was, no head is late, and the next request is served."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(request_head=5.0, keepalive=20.0))
    client = world.connect()
    client.feed(post(b"hi") + (b"" if parked_before else pieces[0]))
    world.upstream.feed(ok())
    client.take()
    if parked_before:
        world.pass_time(IDLE_IN_GREENLET + 0.5)
        client.feed(pieces[0])
    for piece in pieces[1:]:
        client.feed(piece)
    world.pass_time(10.0)
    assert client.take() == b"", "no 408 to a request that never began"
    assert parked(world)
    client.feed(get("/next"))
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    client.feed(b"\r\n")
    world.pass_time(21.0)
    assert client.take() == b""
    assert client.end == "finish", "they are no reason to wait longer"
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_empty_lines_do_not_go_on_for_ever() -> None:
    world = World()
    client = world.connect()
    client.feed(b"\r\n" * 40)
    assert client.is_open()
    client.feed(b"\r\n" * 25)
    assert client.take().startswith(b"HTTP/1.1 400 ")
    assert world.outcomes() == [(400, "empty_lines")]
    world.at_rest()


def test_empty_lines_are_counted_for_each_request() -> None:
    world = World(backends=1)
    client = world.connect()
    for _ in range(4):
        client.feed(b"\r\n" * 40 + get())
        world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")] * 4
    world.at_rest()


@pytest.mark.parametrize("raw", [b"\n" + get(), b"\r" + get(), b"\r\r\n" + get(), b"\r\n\n" + get(), b"\n\r\n" + get()])
def test_only_whole_line_ends_are_skipped(raw: bytes) -> None:
    world = World()
    client = world.connect()
    client.feed(raw)
    assert client.take().startswith(b"HTTP/1.1 400 ")
    assert world.dials == []
    world.at_rest()


def test_a_check_of_1_0_needs_no_host() -> None:
    """HAProxy's plain check, and every other one of its age."""
    world = World(backends=1)
    client = world.connect()
    client.feed(b"OPTIONS / HTTP/1.0\r\n\r\n")
    assert world.upstream.take().startswith(b"OPTIONS / HTTP/1.1\r\nHost: ")
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    world.at_rest()


def test_what_stands_behind_a_refused_request_is_not_served() -> None:
    world = World()
    client = world.connect()
    client.feed(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + get("/next"))
    assert client.take().count(b"HTTP/1.1") == 1
    assert world.dials == []
    world.at_rest()


def test_a_refusal_that_cannot_be_sent() -> None:
    world = World()
    client = world.connect()
    client.broken = LOST
    client.feed(b"garbage\r\n\r\n")
    assert client.end == "abort"
    assert len(world.lines()) == 1
    world.at_rest()


# ---------------------------------------------------------------- time


def test_a_slow_head_has_a_total_limit() -> None:
    """One byte a second keeps a connection no longer than silence does."""
    world = World(timeouts=model.TimeoutsConfig(request_head=5.0))
    client = world.connect()
    for byte in get():
        client.feed(bytes([byte]))
        world.pass_time(1.0)
        if client.end:
            break
    assert client.take().startswith(b"HTTP/1.1 408 ")
    assert (client.end, client.busy) == ("finish", False), "who drips gets no time to drip on"
    assert world.now == pytest.approx(1005.0, abs=0.6)
    assert world.outcomes() == [(408, "head_timeout")]
    world.at_rest()


def test_a_new_connection_that_says_nothing() -> None:
    world = World(timeouts=model.TimeoutsConfig(request_head=5.0))
    client = world.connect()
    world.pass_time(4.5)
    assert client.is_open()
    world.pass_time(1.0)
    assert client.end == "finish"
    assert client.take() == b""
    assert world.outcomes() == [], "it was no request"
    world.at_rest()


def test_an_idle_connection_keeps_no_greenlet() -> None:
    world = World(backends=1)
    client = world.connect()
    served(world, client)
    assert not parked(world), "the next request is expected soon"
    world.pass_time(IDLE_IN_GREENLET + 0.5)
    assert parked(world)
    served(world, client)
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_an_idle_connection_ends_after_keepalive() -> None:
    world = World(backends=1, timeouts=model.TimeoutsConfig(keepalive=20.0))
    client = world.connect()
    served(world, client)
    world.pass_time(15.0)
    served(world, client)
    world.pass_time(19.5)
    assert client.is_open(), "counted from the last answer"
    world.pass_time(1.0)
    assert client.end == "finish"
    world.at_rest()


def test_a_keepalive_shorter_than_the_greenlets_patience() -> None:
    world = World(timeouts=model.TimeoutsConfig(keepalive=0.5))
    client = world.connect()
    served(world, client)
    world.pass_time(0.75)
    assert client.end == "finish"
    world.at_rest()


def test_no_deadline_is_left_over_for_the_exchange() -> None:
    """Neither the idle time nor the head's limit may cut a request whose backend takes its time."""
    world = World(timeouts=model.TimeoutsConfig(request_head=5.0, keepalive=5.0, response_head=100.0))
    client = world.connect()
    client.feed(get()[:10])
    world.pass_time(1.0)
    client.feed(get()[10:])
    assert client.deadline == NEVER
    world.pass_time(50.0)
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    world.at_rest()


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("gone", [EOF, LOST], ids=["end", "reset"])
@pytest.mark.parametrize("when", ["new", "in a head", "just served", "parked"])
def test_the_client_leaves(gone: bytes | Exception, when: str) -> None:
    world = World()
    client = world.connect()
    if when == "in a head":
        client.feed(get()[:10])
    elif when != "new":
        served(world, client)
        world.pass_time(3.0 if when == "parked" else 0.0)
        world.lines()
    client.feed(gone)
    assert client.end == "close"
    assert world.outcomes() == []
    assert world.ledger.total(Scalar.CONNECTIONS) == 0
    world.at_rest()


def test_connection_close_is_honoured() -> None:
    world = World()
    client = world.connect()
    client.feed(get("/", "Connection: close") + get("/never"))
    world.upstream.feed(ok())
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.end == "finish"
    assert len(world.dials) == 1
    world.at_rest()


# ---------------------------------------------------------------- clients that end their side early


@pytest.mark.parametrize("how", ["abort", "answer"])
@pytest.mark.parametrize("gone", [EOF, LOST], ids=["end", "reset"])
def test_a_client_that_ends_its_side_while_it_waits(how: str, gone: bytes | Exception) -> None:
    """It may be reading still (nc, old tools): a route can answer it all the same. One that is lost is lost."""
    world = World(backends=1, route=model.RouteConfig("app", client_close=how))
    client = world.connect()
    client.feed(get())
    upstream = world.upstream
    client.feed(gone)
    if how == "abort" or gone is LOST:
        assert upstream.end == "abort"
        assert client.end == "abort"
        assert world.outcomes() == [(499, "client_closed")]
    else:
        assert not upstream.end
        world.pass_time(5.0)
        upstream.feed(ok())
        assert client.take().endswith(b"ok")
        assert client.end == "close"
        assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_pipeline_before_the_end_of_input_is_answered() -> None:
    world = World(backends=1, route=model.RouteConfig("app", client_close="answer"))
    client = world.connect()
    client.feed(get("/1"))
    client.feed(get("/2"))
    client.feed(EOF)
    for _ in range(2):
        world.upstream.feed(ok())
    assert client.take().count(b"HTTP/1.1 200 ") == 2
    assert client.end == "close"
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_who_is_idle_holds_nothing_of_what_was_said() -> None:
    """Neither the client's connection its request, nor the backend's its answer: there are thousands of them."""
    world = World(backends=1)
    client = world.connect()
    client.feed(get("/once"))
    world.upstream.feed(ok(b"a whole answer"))
    [connection] = world.service.connections
    assert isinstance(connection, ClientConnection)
    head = connection.routed_head
    assert head is not None
    upstream = world.upstream.owner
    assert isinstance(upstream, Upstream)
    world.pass_time(2.0)
    assert getrefcount(head) == 2, "the test's, and the call's"
    assert upstream.first == b""
    world.at_rest()
