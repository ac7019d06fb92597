"""What stands behind a body arrives behind the body, whoever speaks which HTTP; what may not stand there does not."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.errors import ConnectionLost
from tests.support import h2_frames as wire
from tests.support.h2_frames import GET, POST, data, headers
from tests.support.h2_peer import Heads
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.world import CHUNKED, World, get, ok

TRAILERS = b"0\r\nX-Sum: 42 \r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\ngrpc-status:0\r\nx_sum: 43\r\nX-Empty:\r\n\r\n"
"""Three of them may stand there."""
PASSED = b"0\r\nx-sum: 42\r\ngrpc-status: 0\r\nx-empty: \r\n\r\n"
UPLOAD = get("/", "Transfer-Encoding: chunked", method="PUT")


def buffering() -> World:
    """Bodies are taken in whole, both ways."""
    pool = model.PoolConfig("app", (), buffer_requests=1000, buffer_responses=1000)
    return World(1, pool=pool, scratch=FakeScratch())


def body_of(sent: bytes) -> bytes:
    return sent.partition(b"\r\n\r\n")[2]


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("buffers", [False, True])
def test_an_answers_trailers_arrive(step: int, buffers: bool) -> None:
    """However they come; and the next request follows on both connections."""
    world = buffering() if buffers else World(1)
    client = world.connect()
    whole = CHUNKED + b"5\r\nhello\r\n" + TRAILERS
    for _ in range(2):
        client.feed(get())
        for at in range(0, len(whole), step):
            world.upstream.feed(whole[at : at + step])
        got = body_of(client.take())
        assert got.endswith(b"\r\n" + PASSED)
        assert got.count(PASSED) == 1
    assert len(world.upstreams) == 1
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


@pytest.mark.parametrize(
    "end", [b"0\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"0\r\n\r\n", b"0\r\nX-Line: /admin HTTP/1.1\r\n\r\n"]
)
def test_where_none_is_left_the_body_ends_as_ever(end: bytes) -> None:
    """Neither what frames or routes, nor what somebody might take for a request line."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(CHUNKED + b"5\r\nhello\r\n" + end)
    assert body_of(client.take()) == b"5\r\nhello\r\n0\r\n\r\n"
    world.at_rest()


def test_a_body_that_has_nothing_but_trailers() -> None:
    """It is empty, and has them all the same."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(CHUNKED + TRAILERS)
    assert body_of(client.take()) == PASSED
    world.at_rest()


def test_a_client_of_1_0_gets_none() -> None:
    """It knows no chunks."""
    world = World(1)
    client = world.connect()
    client.feed(get(minor=0))
    world.upstream.feed(CHUNKED + b"5\r\nhello\r\n" + TRAILERS)
    assert body_of(client.take()) == b"hello"
    world.at_rest()


def test_an_answer_to_head_has_none() -> None:
    """Whatever its Transfer-Encoding says."""
    world = World(1)
    client = world.connect()
    client.feed(get(method="HEAD"))
    world.upstream.feed(CHUNKED)
    assert body_of(client.take()) == b""
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("buffers", [False, True])
def test_over_http_2_they_are_the_last_fields(buffers: bool) -> None:
    """HEADERS that end the stream (RFC 9113 8.1)."""
    world = buffering() if buffers else World(1)
    client, heads = H2Client(world), Heads()
    for stream in (1, 3):
        client.ask(stream)
        world.upstream.feed(CHUNKED + b"5\r\nhello\r\n")
        world.upstream.feed(TRAILERS)
        told = heads.read(client.heard())
        assert told[0][0] == "response"
        assert b"".join(event[2] for event in told if event[0] == "data") == b"hello"
        assert told[-2:] == [
            ("trailers", stream, ((b"x-sum", b"42"), (b"grpc-status", b"0"), (b"x-empty", b""))), ("closed", stream, 0)
        ]  # fmt: skip
    world.at_rest()


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_they_count_as_bytes_of_the_answer(version: str) -> None:
    """In the access log."""
    sizes = []
    for end in (b"0\r\n\r\n", PASSED):
        world = World(1)
        if version == "2":
            H2Client(world).ask(1)
        else:
            world.connect().feed(get())
        world.upstream.feed(CHUNKED + b"5\r\nhello\r\n" + end)
        sizes.append(world.lines()[0]["bytes_out"])
    assert sizes[1] - sizes[0] == len(PASSED) - len(b"0\r\n\r\n")


def test_too_many_break_the_answer_off() -> None:
    """As many as a head may have: the client sees a cut, and the backend is not used again."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(CHUNKED + b"5\r\nhello\r\n")
    world.upstream.feed(b"0\r\n" + b"a:\r\n" * 201 + b"\r\n")
    assert client.end == "abort"
    assert world.upstream.end
    assert world.outcomes() == [(200, "response_bad_chunk")]
    world.at_rest()


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("buffers", [False, True])
def test_a_requests_trailers_arrive(step: int, buffers: bool) -> None:
    """However they come, behind chunks; and what is behind them is the next request."""
    world = buffering() if buffers else World(1)
    client = world.connect()
    whole = UPLOAD + b"5\r\nhello\r\n" + TRAILERS
    for _ in range(2):
        for at in range(0, len(whole), step):
            client.feed(whole[at : at + step])
        sent = world.upstream.take()
        assert b"\r\nTransfer-Encoding: chunked\r\n" in sent
        assert b"content-length" not in sent.lower()
        assert body_of(sent).endswith(b"\r\n" + PASSED)
        world.upstream.feed(ok())
        assert client.take().endswith(b"ok")
    assert len(world.upstreams) == 1
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_a_body_that_has_nothing_but_trailers_is_sent() -> None:
    """With a pipelined request behind it."""
    world = World(1)
    client = world.connect()
    client.feed(UPLOAD + TRAILERS + get("/next"))
    assert body_of(world.upstream.take()) == PASSED
    world.upstream.feed(ok())
    assert world.upstream.take().startswith(b"GET /next ")
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


@pytest.mark.parametrize("buffers", [False, True])
def test_another_try_has_them_too(buffers: bool) -> None:
    """A body that is sent again is sent to its very end."""
    pool = model.PoolConfig("app", (), buffer_requests=1000) if buffers else None
    world = World(2, pool=pool, scratch=FakeScratch())
    client = world.connect()
    client.feed(UPLOAD + b"5\r\nhello\r\n")
    client.feed(TRAILERS)
    [first] = world.upstreams
    first.feed(ConnectionLost("reset"))
    second = world.upstream
    assert second is not first
    assert body_of(first.sent) == body_of(second.sent) == b"5\r\nhello\r\n" + PASSED
    second.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_backend_that_takes_no_more_has_its_answer_passed_on() -> None:
    """As when it takes no more of the body."""
    world = World(1)
    client = world.connect()
    client.feed(UPLOAD + b"5\r\nhello\r\n")
    world.upstream.broken = ConnectionLost("reset")
    client.feed(TRAILERS)
    world.upstream.feed(ok(b"enough", "Connection: close"))
    assert client.take().endswith(b"enough")
    world.at_rest()


@pytest.mark.parametrize("length", [(), ((b"content-length", b"5"),)])
def test_over_http_2_they_come_with_the_end_of_the_stream(length: tuple[wire.Field, ...]) -> None:
    """A body of HTTP/1.1 that has a length has no place for them; it ends all the same."""
    world = World(1)
    client = H2Client(world)
    client.say(headers(1, (*POST, *length), end=False) + data(1, b"hello"))
    client.say(headers(1, ((b"x-sum", b"42"), (b"x-forwarded-for", b"6.6.6.6")), end=True))
    sent = world.upstream.take()
    assert body_of(sent) == (b"hello" if length else b"5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n")
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    assert b"6.6.6.6" not in sent
    world.at_rest()


@pytest.mark.parametrize("apart", [False, True], ids=["in one read", "later"])
def test_over_http_2_a_body_may_be_nothing_but_trailers(apart: bool) -> None:
    """Whether they come with the head or behind it; and are too many then."""
    world = World(1)
    client = H2Client(world)

    def ask(stream: int, trailers: tuple[wire.Field, ...]) -> list[wire.Frame]:
        pieces = [headers(stream, POST, end=False), headers(stream, trailers, end=True)]
        return [each for piece in (pieces if apart else [b"".join(pieces)]) for each in client.say(piece)]

    ask(1, ((b"x-sum", b"42"),))
    assert body_of(world.upstream.take()) == b"0\r\nx-sum: 42\r\n\r\n"
    world.upstream.feed(ok())
    client.heard()
    ask(3, tuple((b"x-%d" % at, b"") for at in range(101)))
    assert world.outcomes() == [(200, ""), (431, "too_many_trailers")]
    world.at_rest()


def test_a_server_of_http_1_0_gets_a_length_and_no_trailers() -> None:
    """It has no place for them."""
    world = World(1, heard=False)
    world.idle.heard(0, 0)
    client = world.connect()
    client.feed(UPLOAD + b"5\r\nhello\r\n" + TRAILERS)
    sent = world.upstream.take()
    assert b"\r\nContent-Length: 5\r\n" in sent
    assert body_of(sent) == b"hello"
    world.upstream.feed(ok(minor=0))
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize(
    ("limits", "lines", "reason"),
    [
        (model.LimitsConfig(fields=10), b"a:\r\n" * 11, "too_many_trailers"),
        (model.LimitsConfig(head=1024), b"a: " + b"x" * 1021 + b"\r\n", "trailers_too_large"),
    ],
)
@pytest.mark.parametrize("buffers", [False, True])
def test_they_are_limited_as_heads_are(limits: model.LimitsConfig, lines: bytes, reason: str, buffers: bool) -> None:
    """Nobody is asked for memory behind a body that he would not get in front of it."""
    pool = model.PoolConfig("app", (), buffer_requests=1000) if buffers else None
    world = World(1, limits=limits, pool=pool, scratch=FakeScratch())
    client = world.connect()
    client.feed(UPLOAD + b"5\r\nhello\r\n")
    client.feed(b"0\r\n" + lines + b"\r\n")
    assert client.take().startswith(b"HTTP/1.1 431 ")
    assert client.end
    assert world.outcomes() == [(431, reason)]
    world.at_rest()


def test_over_http_2_they_are_limited_as_well() -> None:
    """With an answer of the same kind."""
    world = World(1)
    client = H2Client(world)
    client.say(headers(1, POST, end=False) + data(1, b"hello"))
    told = Heads().read(client.say(headers(1, tuple((b"x-%d" % at, b"") for at in range(101)), end=True)))
    assert (b":status", b"431") in told[0][2]
    assert world.outcomes() == [(431, "too_many_trailers")]
    world.at_rest()


RULES = model.HeaderRulesConfig(set=(("X-User", "me"),), remove=("X-Internal-*",))


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("left", [b"", b"x-sum: 42\r\n"])
def test_what_rules_say_in_front_of_a_body_is_not_said_behind_it(version: str, left: bytes) -> None:
    """By a client, or by a backend; also where nothing is left."""
    world = World(1, route=model.RouteConfig("app", headers=model.HeadersConfig(request=RULES, response=RULES)))
    lines = b"X-User: you\r\nX-Internal-Role: root\r\n" + left
    if version == "2":
        client = H2Client(world)
        fields = ((b"x-user", b"you"), (b"x-internal-role", b"root"), *(((b"x-sum", b"42"),) if left else ()))
        client.stream.feed(headers(1, POST, end=False) + data(1, b"hello") + headers(1, fields, end=True))
    else:
        world.connect().feed(UPLOAD + b"5\r\nhello\r\n0\r\n" + lines + b"\r\n")
    assert body_of(world.upstream.take()) == b"5\r\nhello\r\n0\r\n" + left + b"\r\n"
    world.upstream.feed(CHUNKED + b"5\r\nhello\r\n0\r\n" + lines + b"\r\n")
    if version == "2":
        told = Heads().read(client.heard())
        assert [event[2] for event in told if event[0] == "trailers"] == ([((b"x-sum", b"42"),)] if left else [])
        assert told[-1] == ("closed", 1, 0)
    else:
        [stream] = [stream for stream in world.streams if stream.name == "client"]
        assert body_of(stream.take()) == b"5\r\nhello\r\n0\r\n" + left + b"\r\n"
    assert world.outcomes() == [(200, "")]
    world.at_rest()


# ---------------------------------------------------------------- TE


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        (("TE: trailers", "Connection: TE"), True),
        (("TE: gzip;q=0.5, Trailers", "Connection: keep-alive, te"), True),
        (("TE: trailers",), False),
        (("TE: gzip", "Connection: TE"), False),
        (("TE: xtrailers", "Connection: TE"), False),
        (("Connection: TE",), False),
    ],
)
def test_who_wants_trailers_is_told_on(fields: tuple[str, ...], passed: bool) -> None:
    """TE is of one hop (RFC 9110 10.1.4): it counts where Connection says so, and is said anew; of codings nothing is passed on."""
    world = World(1)
    world.connect().feed(get("/", *fields))
    sent = world.upstream.take().lower()
    assert sent.count(b"\r\nte: trailers\r\nconnection: te\r\n") == passed
    assert sent.count(b"\r\nte:") == sent.count(b"\r\nconnection:") == passed


def test_who_wants_trailers_over_http_2_is_told_on() -> None:
    """There it is said without Connection."""
    world = World(1)
    H2Client(world).ask(1, (*GET, (b"te", b"trailers")))
    sent = world.upstream.take().lower()
    assert sent.count(b"\r\nte: trailers\r\nconnection: te\r\n") == 1
    assert sent.count(b"\r\nte:") == sent.count(b"\r\nconnection:") == 1
