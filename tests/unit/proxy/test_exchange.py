"""One request's journey: every way it can go, and that afterwards nothing is left of it but one line in the log."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.balance.ledger import PerSlot, Scalar
from lbproxy.config import model
from tests.unit.proxy.world import CHUNKED, EOF, LOST, FakeStream, World, get, ok


def answered(world: World, client: FakeStream, request: bytes, response: bytes) -> bytes:
    """What the client gets when the backend answers `request` with `response`."""
    client.feed(request)
    world.upstream.feed(response)
    return client.take()


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


# ---------------------------------------------------------------- the everyday


def test_a_request_is_forwarded_and_its_answer_passed_on() -> None:
    world = World()
    client = world.connect()
    client.feed(get("/path?q=1", "X-Custom: 7"))
    sent = world.upstream.take()
    assert sent.startswith(b"GET /path?q=1 HTTP/1.1\r\n")
    assert b"\r\nX-Custom: 7\r\n" in sent
    assert b"\r\nX-Forwarded-For: 192.0.2.1\r\n" in sent
    assert world.ledger.slot_total(PerSlot.IN_FLIGHT, 0) == 1
    world.upstream.feed(ok(b"hello", "X-Backend: 1"))
    got = client.take()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nX-Backend: 1\r\n" in got
    assert body_of(got) == b"hello"
    assert world.ledger.slot_total(PerSlot.IN_FLIGHT, 0) == 0
    [line] = world.lines()
    assert (line["status"], line["reason"], line["backend"], line["tries"]) == (200, "", "b0", 1)
    assert line["bytes_out"] == len(got)
    world.at_rest()


def test_a_backend_that_repeats_its_head_is_read_as_if_it_had_not() -> None:
    """The bytes mean the same in whatever pieces they come, and the same bytes in answer to HEAD have no body."""
    world = World(backends=1)
    client = world.connect()
    for body in (b"one", b"two", b"six"):
        assert body_of(answered(world, client, get(), ok(body))) == body
    for cut in (5, 20, len(ok(b"")), len(ok(b"ten")) - 1):
        client.feed(get())
        world.upstream.feed(ok(b"ten")[:cut], ok(b"ten")[cut:])
        assert body_of(client.take()) == b"ten"
    without_body = ok(b"ten")[:-3]
    assert body_of(answered(world, client, get(method="HEAD"), without_body)) == b""
    assert body_of(answered(world, client, get(), ok(b"ten"))) == b"ten"
    assert body_of(answered(world, client, get(method="HEAD"), without_body)) == b""
    assert body_of(answered(world, client, get(), ok(b"longer"))) == b"longer"
    assert answered(world, client, get(), ok(b"gone", status="404 Not Found")).startswith(b"HTTP/1.1 404 ")
    assert world.dials == [9000], "all over one connection"
    world.at_rest()


def test_connections_are_reused_and_counted() -> None:
    world = World(backends=1)
    client = world.connect()
    for _ in range(3):
        assert body_of(answered(world, client, get(), ok())) == b"ok"
    assert world.dials == [9000]
    assert world.count(PerSlot.CONNECTS, 0) == 1
    assert world.count(PerSlot.REQUESTS, 0) == 3
    assert world.outcomes() == [(200, "")] * 3
    world.at_rest()


@pytest.mark.parametrize(("method", "response"), [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
])  # fmt: skip
def test_answers_without_a_body_leave_both_connections_usable(method: str, response: bytes) -> None:
    world = World()
    client = world.connect()
    got = answered(world, client, get(method=method), response)
    assert got.endswith(b"\r\n\r\n")
    assert b"chunked" not in got
    assert len(world.service.idle) == 1
    assert answered(world, client, get(), ok()).endswith(b"ok")
    assert world.outcomes()[1] == (200, "")
    world.at_rest()


def test_interim_answers_are_passed_on_to_those_who_know_them() -> None:
    world = World()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert client.take().startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n")
    world.upstream.feed(b"HTTP/1.1 102 Processing\r\n\r\n" + ok())
    got = client.take()
    assert got.startswith(b"HTTP/1.1 102 ")
    assert got.endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    old = world.connect()
    assert answered(world, old, get(minor=0), b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok()).startswith(b"HTTP/1.1 200 ")
    world.at_rest()


def test_a_protocol_switch_that_nobody_asked_for_is_refused() -> None:
    world = World(backends=1)
    client = world.connect()
    client.feed(get(method="POST"))
    world.upstream.feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
    assert world.outcomes() == [(502, "response_unexpected_101")]
    world.at_rest()


# ---------------------------------------------------------------- bodies that end by chunks or by the connection


def test_chunks_are_taken_off_and_put_on_again() -> None:
    world = World()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(CHUNKED + b"5;ext=1\r\nhello\r\n")
    assert client.take().endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    world.upstream.feed(b"6\r\n world\r\n0\r\nTrailer: x\r\n\r\n")
    assert client.take() == b"6\r\n world\r\n0\r\n\r\n"
    assert client.is_open()
    assert len(world.service.idle) == 1
    world.at_rest()


@pytest.mark.parametrize("minor", [0, 1])
def test_a_body_until_the_end_of_the_connection(minor: int) -> None:
    world = World()
    client = world.connect()
    client.feed(get("/", "Connection: keep-alive", minor=minor))
    world.upstream.feed(b"HTTP/1.0 200 OK\r\n\r\nhe", b"llo", EOF)
    got = client.take()
    if minor:
        assert got.endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        assert client.is_open()
    else:
        assert got.endswith(b"\r\nConnection: close\r\n\r\nhello")
        assert client.end == "finish"
    assert len(world.service.idle) == 0
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_chunks_for_a_client_that_does_not_know_them() -> None:
    world = World()
    client = world.connect()
    got = answered(world, client, get(minor=0), CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")
    assert b"chunked" not in got
    assert body_of(got) == b"hello"
    assert client.end == "finish"
    world.at_rest()


def test_an_old_client_keeps_its_connection_when_it_asks() -> None:
    world = World()
    client = world.connect()
    got = answered(world, client, get("/", "Connection: keep-alive", minor=0), ok())
    assert b"\r\nConnection: keep-alive\r\n" in got
    assert client.is_open()
    client = world.connect()
    assert b"\r\nConnection: close\r\n" in answered(world, client, get(minor=0), ok())
    assert client.end == "finish"
    world.at_rest()


BODIES = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(pieces=BODIES, kind=st.sampled_from(["length", "chunked", "close"]), cuts=st.lists(st.integers(1, 400), max_size=6))
def test_the_pieces_in_which_a_response_comes_do_not_matter(pieces: list[bytes], kind: str, cuts: list[int]) -> None:
    """Whatever TCP makes of it, the client gets the same body, and the connections end up the same."""
    body = b"".join(pieces)
    wire = {
        "length": ok(body),
        "chunked": CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n",
        "close": b"HTTP/1.1 200 OK\r\n\r\n" + body,
    }[kind]
    world = World()
    client = world.connect()
    client.feed(get())
    places = sorted({0, len(wire), *(cut % len(wire) for cut in cuts)})
    for begin, end in pairwise(places):
        world.upstream.feed(wire[begin:end])
    if kind == "close":
        world.upstream.feed(EOF)
    got = client.take()
    assert (b"Transfer-Encoding: chunked" in got.partition(b"\r\n\r\n")[0]) == (kind != "length")
    assert (unchunked(body_of(got)) if kind != "length" else body_of(got)) == body
    assert client.is_open()
    assert len(world.service.idle) == (kind != "close")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert data == b"\r\n"
            return body
        body += data[:length]
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]


# ---------------------------------------------------------------- answers that break off


@pytest.mark.parametrize(("response", "reason"), [
    ([ok(b"x" * 100)[:-50], EOF], "response_truncated"),
    ([ok(b"x" * 100)[:-50], LOST], "response_truncated"),
    ([CHUNKED + b"5\r\nhel", EOF], "response_truncated"),
    ([CHUNKED + b"5\r\nhello\r\n0\r\n", EOF], "response_truncated"),
    ([CHUNKED, b"zz\r\n"], "response_bad_chunk"),
    ([CHUNKED + b"1\r\na\r\n", b"zz\r\n"], "response_bad_chunk"),
    ([b"HTTP/1.1 200 OK\r\n\r\nhalf", LOST], "response_truncated"),
])  # fmt: skip
@pytest.mark.parametrize("minor", [0, 1])
def test_a_cut_answer_is_never_a_clean_end(response: list[bytes | Exception], reason: str, minor: int) -> None:
    """What the client has is the beginning of the answer; so its connection is reset, not closed."""
    world = World()
    client = world.connect()
    client.feed(get(minor=minor))
    world.upstream.feed(*response)
    assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.end == "abort"
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(200, reason)]
    assert len(world.dials) == 1, "never a second try"
    world.at_rest()


def test_a_silent_backend_in_the_middle_of_a_body() -> None:
    world = World(timeouts=model.TimeoutsConfig(body_idle=5.0))
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"x" * 10)[:-5])
    world.pass_time(4.0)
    world.upstream.feed(b"x")
    world.pass_time(4.0)
    assert client.is_open(), "the limit is on silence, not on the whole"
    world.pass_time(2.0)
    assert client.end == "abort"
    assert world.outcomes() == [(200, "response_body_timeout")]
    world.at_rest()


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\n"])
@pytest.mark.parametrize("when", ["with the answer", "with the last piece", "while the client is slow", "when idle"])
@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_more_than_the_answer_condemns_the_connection(surplus: bytes, when: str, kind: str) -> None:
    """The next request on it would be answered with bytes that were meant for nobody, or for somebody else."""
    world = World(backends=1)
    wire = ok(b"hello") if kind == "length" else CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
    client = world.connect(room=10 if when == "while the client is slow" else None)
    client.feed(get())
    if when == "with the answer":
        world.upstream.feed(wire + surplus)
    elif when == "with the last piece":
        world.upstream.feed(wire[:-7], wire[-7:] + surplus)
    else:
        world.upstream.feed(wire, surplus)
    client.make_room(None)
    assert client.take().endswith(b"hello" if kind == "length" else b"5\r\nhello\r\n0\r\n\r\n")
    assert world.upstream.end == "close"
    assert client.is_open(), "the client has its answer"
    assert answered(world, client, get(), ok(b"good")).endswith(b"good")
    assert len(world.dials) == 2
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_a_backend_that_closes_while_the_client_is_slow_is_not_reused() -> None:
    world = World(backends=1)
    client = world.connect(room=10)
    client.feed(get())
    world.upstream.feed(ok(b"hello"), EOF)
    client.make_room(None)
    assert client.take().endswith(b"hello")
    assert len(world.service.idle) == 0
    world.at_rest()


def test_a_backend_that_says_close_is_closed() -> None:
    world = World()
    client = world.connect()
    got = answered(world, client, get(), ok(b"hello", "Connection: close"))
    assert b"close" not in got, "hop by hop"
    assert world.upstream.end == "close"
    assert client.is_open()
    world.at_rest()


# ---------------------------------------------------------------- the client goes away


@pytest.mark.parametrize("gone", [EOF, LOST], ids=["end", "reset"])
def test_while_the_backend_works(gone: bytes | Exception) -> None:
    """Nobody waits for the answer any more: the backend hears of it at once."""
    world = World()
    client = world.connect()
    client.feed(get())
    client.feed(gone)
    assert world.upstream.end == "abort"
    assert client.end == "abort"
    assert client.take() == b""
    assert world.outcomes() == [(499, "client_closed")]
    assert world.service.counters.aborts == 1
    world.at_rest()


def test_while_we_dial() -> None:
    world = World(backends=1)
    world.hanging.add(9000)
    client = world.connect()
    client.feed(get())
    assert world.ledger.total(Scalar.LIVE_REQUESTS) == 1
    client.feed(EOF)
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()


def test_while_we_write_to_the_backend() -> None:
    world = World()
    world.backend_room = 10
    client = world.connect()
    client.feed(get())
    assert world.upstream.waits == "w"
    client.feed(EOF)
    assert world.outcomes() == [(499, "client_closed")]
    assert world.upstream.end == "abort"
    world.at_rest()


@pytest.mark.parametrize("gone", [EOF, LOST], ids=["end", "reset"])
def test_while_we_write_to_it(gone: bytes | Exception) -> None:
    world = World()
    client = world.connect(room=50)
    client.feed(get())
    world.upstream.feed(ok(b"x" * 1000))
    assert client.waits == "w"
    client.feed(gone)
    assert world.outcomes() == [(499, "client_closed")]
    assert world.upstream.end == "abort"
    assert client.end == "abort"
    world.at_rest()


def test_a_client_that_takes_nothing_is_cut_not_ended() -> None:
    """Should it ever look again, it must not take the half for the whole."""
    world = World()
    client = world.connect(room=200)
    client.feed(get(minor=0))
    world.upstream.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
    world.pass_time(59.0)
    assert client.waits == "w"
    world.pass_time(2.0)
    assert client.end == "abort"
    assert world.outcomes() == [(499, "client_timeout")]
    world.at_rest()


def test_what_a_client_sends_ahead_is_no_reason_to_stop() -> None:
    world = World()
    client = world.connect()
    client.feed(get("/1"))
    first = world.upstream
    client.feed(get("/2"))
    assert not first.end
    first.feed(ok(b"one"))
    assert client.take().endswith(b"one")
    assert first.take().startswith(b"GET /1 ")
    world.upstreams[-1].feed(ok(b"two"))
    assert client.take().endswith(b"two")
    world.at_rest()
