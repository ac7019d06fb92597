"""Request bodies: pumped while the answer is waited for, and in every way in which either side may fail."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.config import model
from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.request_body import LITTLE
from tests.unit.proxy.world import EOF, LOST, FakeStream, World, get, ok, post

CHUNKED_POST = get("/", "Transfer-Encoding: chunked", method="POST")


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


def body_at(upstream: FakeStream) -> bytes:
    return upstream.sent.partition(b"\r\n\r\n")[2]


# ---------------------------------------------------------------- the everyday


def test_a_body_that_came_with_its_head_leaves_with_it() -> None:
    world = World()
    client = world.connect()
    client.feed(post(b"hello"))
    assert body_at(world.upstream) == b"hello"
    assert len(world.strands) == 1, "no greenlet for that"
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    assert len(world.service.idle) == 1
    world.at_rest()


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(min_size=1, max_size=300), cuts=CUTS, chunked=st.booleans(), room=st.sampled_from([None, 150, 400]))
def test_the_pieces_in_which_a_request_comes_do_not_matter(body: bytes, cuts: list[int], chunked: bool, room: int | None) -> None:
    """The backend gets the same body in whatever pieces it comes and at whatever pace the backend takes it."""
    world = World()
    world.backend_room = room
    client = world.connect()
    wire = CHUNKED_POST + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else post(body)
    wire += get("/next")
    for piece in pieces_of(wire, cuts):
        client.feed(piece)
    first = world.upstreams[0]
    world.backend_room = None
    first.make_room(None)
    got = body_at(first)
    assert (unchunked(got) if chunked else got) == body
    first.feed(ok(b"one"))
    assert client.take().endswith(b"one")
    assert world.upstreams[-1].sent.count(b"GET /next ") == 1, "what came behind the body is the next request"
    world.upstreams[-1].feed(ok(b"two"))
    assert client.take().endswith(b"two")
    assert world.outcomes() == [(200, "")] * 2
    assert world.dials == [9000, 9001]
    world.at_rest()


def unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not int(size, 16):
            assert data == b"\r\n"
            return body
        length = int(size, 16)
        body += data[:length]
        data = data[length + 2 :]


def test_expect_100_continue() -> None:
    """The client waits for the backend's word, and the backend's word is passed on."""
    world = World()
    client = world.connect()
    client.feed(get("/", "Content-Length: 5", "Expect: 100-continue", method="PUT"))
    assert b"\r\nExpect: 100-continue\r\n" in world.upstream.sent
    world.upstream.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 100 Continue\r\n")
    client.feed(b"hello")
    assert body_at(world.upstream) == b"hello"
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert client.is_open()
    world.at_rest()


def test_a_backend_that_takes_its_time_holds_the_client_back() -> None:
    """What is kept of a body that cannot be sent on is bounded: the rest stays with the client."""
    world = World()
    world.backend_room = 100
    client = world.connect()
    client.feed(post(b"x" * 200, length=10_000_000))
    upload_holds = 0
    for _ in range(20):
        client.feed(b"x" * 10_000)
        upload_holds = max(upload_holds, len(client._early))
    assert upload_holds < 64 * 1024
    assert client.unread, "the rest is not taken in"
    client.feed(EOF)
    world.upstream.make_room(None)
    assert len(body_at(world.upstream)) == 200 + 20 * 10_000
    assert world.outcomes() == [(400, "body_truncated")]
    world.at_rest()


# ---------------------------------------------------------------- time


def test_a_long_upload_is_not_a_silent_backend() -> None:
    """The backend owes its answer from the end of the request, however long that takes."""
    world = World(timeouts=model.TimeoutsConfig(response_head=5.0, body_idle=30.0), limits=model.LimitsConfig(body_rate=0))
    client = world.connect()
    client.feed(post(b"x", length=10))
    for _ in range(9):
        world.pass_time(4.0)
        assert client.take() == b""
        client.feed(b"x")
    world.pass_time(4.5)
    assert client.take() == b""
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    world.at_rest()


@pytest.mark.parametrize("case", ["POST", "PUT", "not taken", "little"])
def test_what_cannot_be_sent_again_is_not_kept(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A POST of which the backend has got something; unless it is so little that it does not matter."""
    world = World()
    client = world.connect()
    if case == "not taken":
        monkeypatch.setattr(FakeStream, "taken", lambda stream, since: False)
    client.feed(post(b"", method="PUT" if case == "PUT" else "POST", length=60_000))
    size = LITTLE // 4 if case == "little" else 2 * LITTLE
    client.feed(b"x" * size)
    client.feed(b"y")
    [connection] = world.service.connections
    assert isinstance(connection, ClientConnection)
    upload = connection.body
    assert upload is not None
    assert upload.replayable is (case != "POST")
    assert sum(map(len, upload._kept)) == (0 if case == "POST" else size + 1)
    client.feed(b"z" * (60_000 - size - 1))
    assert body_at(world.upstream) == b"x" * size + b"y" + b"z" * (60_000 - size - 1)
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("interim", [False, True])
def test_after_the_upload_the_backend_is_timed(interim: bool) -> None:
    world = World(timeouts=model.TimeoutsConfig(response_head=5.0, body_idle=30.0))
    client = world.connect()
    client.feed(post(b"x", length=2))
    if interim:
        world.upstream.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.take()
    world.pass_time(8.0)
    client.feed(b"x")
    world.pass_time(4.5)
    assert client.take() == b""
    world.pass_time(1.0)
    assert client.take().startswith(b"HTTP/1.1 504 ")
    assert world.outcomes() == [(504, "response_timeout")]
    world.at_rest()


def test_a_body_that_stands_still() -> None:
    world = World(timeouts=model.TimeoutsConfig(body_idle=5.0), limits=model.LimitsConfig(body_rate=0))
    client = world.connect()
    client.feed(post(b"x", length=10))
    world.pass_time(4.0)
    client.feed(b"x")
    world.pass_time(4.0)
    assert client.is_open()
    world.pass_time(2.0)
    assert client.take().startswith(b"HTTP/1.1 408 ")
    assert (client.end, client.busy) == ("finish", False)
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(408, "body_timeout")]
    world.at_rest()


def test_a_body_that_drips() -> None:
    """A byte now and then buys no time beyond its share: 5 s, and a second for every 240 bytes."""
    world = World(timeouts=model.TimeoutsConfig(body_idle=5.0))
    client = world.connect()
    client.feed(post(b"x", length=100_000))
    for _ in range(4):
        world.pass_time(1.0)
        client.feed(b"x")
    assert client.is_open()
    world.pass_time(1.5)
    assert client.take().startswith(b"HTTP/1.1 408 ")
    assert (client.end, client.busy) == ("finish", False), "nor does it buy any when it is refused"
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(408, "body_too_slow")]
    world.at_rest()


def test_a_body_that_is_slow_and_steady() -> None:
    """Above the rate it may take as long as it takes; what a slow backend makes it wait is not counted."""
    world = World(timeouts=model.TimeoutsConfig(body_idle=5.0))
    world.backend_room = 1000
    client = world.connect()
    client.feed(post(b"", length=300 * 40))
    for _ in range(40):
        world.pass_time(1.0)
        client.feed(b"x" * 300)
        world.upstream.make_room(1000)
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_backend_that_takes_nothing_more() -> None:
    world = World(timeouts=model.TimeoutsConfig(response_head=5.0))
    world.backend_room = 300
    client = world.connect()
    client.feed(post(b"x" * 10, length=1000), b"x" * 990)
    assert world.upstream.waits == "rw"
    world.pass_time(66.0)
    assert client.take().startswith(b"HTTP/1.1 504 ")
    assert world.outcomes() == [(504, "response_timeout")]
    world.at_rest()


# ---------------------------------------------------------------- the client fails


@pytest.mark.parametrize(("bad", "status", "reason"), [
    ([b"zz\r\n"], 400, "bad_chunk"),
    ([b"5\r\nhelloXX"], 400, "bad_chunk"),
    ([b"5\r\nhel", EOF], 400, "body_truncated"),
    ([EOF], 400, "body_truncated"),
    ([LOST], 499, "client_closed"),
])  # fmt: skip
@pytest.mark.parametrize("with_head", [False, True])
def test_a_body_that_breaks_off(bad: list[bytes | Exception], status: int, reason: str, with_head: bool) -> None:
    """The backend must not take the half for the whole: it sees a reset."""
    world = World()
    client = world.connect()
    if with_head and isinstance(bad[0], bytes) and bad[0]:
        client.feed(CHUNKED_POST + bad[0], *bad[1:])
    else:
        client.feed(CHUNKED_POST, *bad)
    if status == 400:
        assert client.take().startswith(b"HTTP/1.1 400 ")
        assert client.end == "finish"
    else:
        assert client.take() == b""
        assert client.end == "abort"
    assert all(upstream.end == "abort" for upstream in world.upstreams)
    assert world.outcomes() == [(status, reason)]
    world.at_rest()


@pytest.mark.parametrize("how", ["announced", "chunked at once", "chunked by and by"])
def test_a_body_above_the_limit(how: str) -> None:
    world = World(limits=model.LimitsConfig(body=10))
    client = world.connect()
    if how == "announced":
        client.feed(post(b"", length=11))
    elif how == "chunked at once":
        client.feed(CHUNKED_POST + b"b\r\nhello world\r\n")
    else:
        client.feed(CHUNKED_POST, b"5\r\nhello\r\n", b"6\r\n world\r\n")
    got = client.take()
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in got
    assert client.end == "finish"
    assert len(world.dials) == (how == "chunked by and by")
    assert world.outcomes() == [(413, "body_too_large")]
    world.at_rest()


def test_a_body_at_the_limit() -> None:
    world = World(limits=model.LimitsConfig(body=10))
    client = world.connect()
    client.feed(post(b"0123456789"))
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("gone", [EOF, LOST], ids=["end", "reset"])
def test_the_client_leaves_after_its_body(gone: bytes | Exception) -> None:
    world = World()
    client = world.connect()
    client.feed(post(b"x", length=2), b"x", gone)
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()


def test_the_client_fails_while_its_answer_is_on_its_way() -> None:
    """A streaming echo whose input breaks: the client sees its answer break off."""
    world = World()
    client = world.connect()
    client.feed(CHUNKED_POST, b"5\r\nhello\r\n")
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    client.feed(b"garbage")
    assert client.end == "abort"
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(200, "bad_chunk")]
    world.at_rest()


# ---------------------------------------------------------------- the backend is faster, or fails


def test_a_write_that_failed_leaves_no_reusable_connection() -> None:
    world = World(backends=1)
    client = world.connect()
    client.feed(post(b"x", length=2))
    world.upstream.broken = LOST
    client.feed(b"x")
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    assert world.upstream.end == "close"
    world.at_rest()


def test_a_refusal_that_comes_with_a_reset_is_passed_on() -> None:
    """It answers 413 and closes while we still write: what it said is worth more than that the write failed."""
    world = World()
    client = world.connect()
    client.feed(post(b"x" * 10, length=100_000))
    world.upstream.broken = LOST
    client.feed(b"x" * 50_000)
    world.upstream.feed(ok(b"no", status="413 Content Too Large"))
    assert client.take().startswith(b"HTTP/1.1 413 ")
    assert world.outcomes() == [(413, "")]
    world.at_rest()


def test_the_next_try_begins_while_the_old_pump_still_waits() -> None:
    """The pump of the first try waits for room at its backend; it must not touch the second's."""
    world = World()
    world.backend_room = 320
    client = world.connect()
    client.feed(post(b"1" * 10, method="PUT", length=400), b"2" * 190)
    first = world.upstream
    assert first.waits == "rw"
    world.backend_room = None
    first.feed(LOST)
    second = world.upstream
    assert second is not first
    client.feed(b"3" * 200)
    assert body_at(second) == b"1" * 10 + b"2" * 190 + b"3" * 200
    second.feed(ok())
    assert world.outcomes() == [(200, "")]
    assert client.is_open()
    world.at_rest()


def test_the_client_may_fail_between_two_tries() -> None:
    world = World()
    client = world.connect()
    client.feed(CHUNKED_POST.replace(b"POST", b"PUT"), b"1\r\na\r\n")
    world.hanging.add(9001)
    world.upstream.feed(EOF)
    assert world.dials == [9000, 9001]
    client.feed(EOF)
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["piece", "piece", "room", "interim", "time", "refuse", "end", "reset", "client end", "answer", "half"]),
        max_size=12,
    ),
    method=st.sampled_from(["PUT", "POST"]),
    room=st.sampled_from([None, 250, 500]),
)
def test_whatever_happens_nothing_is_left(steps: list[str], method: str, room: int | None) -> None:
    """Any order of events on both sides: one line in the log, every lease back, every greenlet ended, no connection lost."""
    world = World(backends=3)
    world.backend_room = room
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method=method))
    for step in steps:
        upstream = world.upstream
        if client.end:
            break
        if step == "piece":
            client.feed(b"64\r\n" + b"x" * 100 + b"\r\n")
        elif step == "client end":
            client.feed(EOF)
        elif step == "time":
            world.pass_time(20.0)
        elif step == "refuse":
            world.refuse(1)
        elif upstream.end:
            continue
        elif step == "room":
            upstream.make_room(100)
        elif step == "interim":
            upstream.feed(b"HTTP/1.1 102 Processing\r\n\r\n")
        elif step == "end":
            upstream.feed(EOF)
        elif step == "reset":
            upstream.feed(LOST)
        elif step == "half":
            upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        else:
            upstream.feed(ok())
    if not client.end:
        client.feed(b"0\r\n\r\n")
        for upstream in world.upstreams:
            upstream.make_room(None)
    world.pass_time(200.0)
    assert client.end
    assert len(world.lines()) == 1
    world.at_rest()
