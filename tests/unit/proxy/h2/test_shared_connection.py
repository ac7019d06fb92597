"""Shared connections to backends, over scripted streams: goodbyes, resets, losses, floods, silence, idleness and drains."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.config import model
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.proxy.h2.pulse import PATIENCE, RARELY, SILENCE
from lbproxy.proxy.h2.shared_connection import UNASKED
from tests.support import h2_frames as wire
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.h2_client import H2Client, resets
from tests.unit.proxy.h2_server import NO_LENGTH, OK, h2_world, server
from tests.unit.proxy.world import EOF, LOST, UNHEARD, World, get, post


def served_once(world: World) -> None:
    """By a connection that has carried a request before."""
    client = world.connect()
    client.feed(get())
    server(world).answer(1)
    assert client.take().endswith(b"ok")
    world.lines()


# ---------------------------------------------------------------- goodbyes


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_goodbye_before_the_request_was_looked_at(method: str) -> None:
    """A stream above the last one that the backend will look at goes to the same backend on a fresh connection, a POST as well;
    the backend has not failed."""
    world = h2_world()
    served_once(world)
    client = world.connect()
    client.feed(post(b"body", method=method))
    server(world, settings=None).say(wire.goaway(1))
    assert world.dials == [9000, 9000]
    again = server(world)
    assert again.body(1) == b"body"
    again.answer(1)
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    assert world.count(PerSlot.FAILURES, 0) == 0
    assert world.upstreams[0].end == "close"
    world.at_rest()


def test_a_goodbye_in_two_steps() -> None:
    """What is under way is answered, what comes later goes over another connection, and the old one ends with the last answer."""
    world = h2_world()
    first, second, third = world.connect(), world.connect(), world.connect()
    first.feed(get())
    backend = server(world)
    second.feed(get())
    backend.say(wire.goaway(2**31 - 1))
    third.feed(get())
    assert world.dials == [9000, 9000]
    backend.say(wire.goaway(3))
    backend.answer(1)
    backend.answer(3)
    server(world).answer(1)
    assert [client.take()[-2:] for client in (first, second, third)] == [b"ok"] * 3
    assert world.upstreams[0].end == "close"
    assert world.outcomes() == [(200, "")] * 3
    world.at_rest()


def test_a_goodbye_to_many_is_followed_by_one_connection() -> None:
    """Not by one for each of them."""
    world = h2_world()
    served_once(world)
    client = H2Client(world)
    client.say(b"".join(wire.headers(stream) for stream in range(1, 40, 2)))
    server(world, settings=None).say(wire.goaway(1))
    assert world.dials == [9000, 9000]
    again = server(world)
    assert len(again.requests()) == 20
    for stream in range(1, 40, 2):
        again.answer(stream)
    assert world.outcomes() == [(200, "")] * 20
    world.at_rest()


def test_a_goodbye_with_an_error() -> None:
    """Who was told that nothing was done is served elsewhere; who may have been looked at is so only if that harms nobody."""
    world = h2_world(backends=1)
    looked_at, not_looked_at = world.connect(), world.connect()
    looked_at.feed(post(b""))
    backend = server(world)
    not_looked_at.feed(post(b""))
    backend.say(wire.goaway(1, H2Code.ENHANCE_YOUR_CALM) + b"")
    backend.say(EOF)
    assert looked_at.take().startswith(b"HTTP/1.1 502 ")
    assert ("502", "h2_goaway") in [(str(status), reason) for status, reason in world.outcomes()]


def test_a_goodbye_with_an_error_to_a_connection_that_has_served() -> None:
    """hypercorn says one after a thousand requests, and drops what is under way: what may be done twice goes there again."""
    world = h2_world()
    served_once(world)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(wire.goaway(3, H2Code.PROTOCOL_ERROR))
    world.upstream.feed(EOF)
    assert world.dials == [9000, 9000]
    server(world).answer(1)
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


# ---------------------------------------------------------------- resets


def test_a_refused_stream_goes_elsewhere() -> None:
    """RFC 9113 8.7: it was not processed, so a POST may be sent again, to another backend; this one has failed it."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(post(b"body"))
    server(world, 0).say(wire.reset(1, H2Code.REFUSED_STREAM))
    assert world.dials == [9000, 9001]
    other = server(world, 1)
    assert other.body(1) == b"body"
    other.answer(1)
    assert client.take().endswith(b"ok")
    [line] = world.lines()
    assert (line["status"], line["tries"]) == (200, 2)
    assert world.count(PerSlot.FAILURES, 0) == 1
    world.at_rest()


def test_a_refused_stream_whose_body_is_gone() -> None:
    """What cannot be sent again is not; the client learns it with a reason."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(post(b"", length=1_000_000))
    backend = server(world, 0)
    for _ in range(4):
        client.feed(b"x" * 65536)
        backend.say(wire.window(0, 65536) + wire.window(1, 65536))
    backend.say(wire.reset(1, H2Code.REFUSED_STREAM))
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "h2_refused_stream")]
    assert world.dials == [9000]


@pytest.mark.parametrize(("method", "dials"), [("GET", [9000, 9001]), ("POST", [9000])])
def test_a_reset_is_no_proof(method: str, dials: list[int]) -> None:
    """The backend may have done the work: only what may be done twice is tried elsewhere."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(get("/", "Content-Length: 0", method=method))
    server(world, 0).say(wire.reset(1, H2Code.INTERNAL_ERROR))
    assert world.dials == dials
    if method == "GET":
        server(world, 1).answer(1)
        assert world.outcomes() == [(200, "")]
    else:
        assert world.outcomes() == [(502, "h2_reset")]
    assert world.count(PerSlot.FAILURES, 0) == 1
    world.at_rest()


def test_a_reset_in_the_middle_of_an_answer() -> None:
    """What came is passed on, and the cut is seen; other streams go on."""
    world = h2_world()
    client, other = world.connect(), world.connect()
    client.feed(get())
    backend = server(world)
    other.feed(get())
    backend.say(wire.headers(1, NO_LENGTH, False) + wire.data(1, b"part") + wire.reset(1, H2Code.INTERNAL_ERROR))
    assert b"part" in client.take()
    assert client.end == "abort"
    backend.answer(3)
    assert other.take().endswith(b"ok")
    assert world.outcomes() == [(200, "h2_reset"), (200, "")]
    world.at_rest()


# ---------------------------------------------------------------- losses


@pytest.mark.parametrize(("end", "method", "again"), [
    (EOF, "GET", True), (EOF, "POST", False), (UNHEARD, "POST", True), (LOST, "GET", True), (LOST, "POST", False),
])  # fmt: skip
def test_a_connection_that_ends_without_a_goodbye(end: bytes | Exception, method: str, again: bool) -> None:
    """As with HTTP/1: sent again is what may be, or what the backend is proved to have got nothing of."""
    world = h2_world()
    served_once(world)
    client = world.connect()
    client.feed(post(b"body", method=method))
    world.upstream.feed(end)
    assert len(world.dials) == (2 if again else 1)
    if again:
        backend = server(world)
        assert backend.body(1) == b"body"
        backend.answer(1)
        assert world.outcomes() == [(200, "")]
    else:
        assert world.outcomes() == [(502, "response_closed")]
    world.at_rest()


def test_everybody_is_told_of_the_end() -> None:
    """Each stream by itself: who has a part sees a cut, who has all of it nothing."""
    world = h2_world()
    whole, part, none = world.connect(), world.connect(), world.connect()
    whole.feed(get())
    backend = server(world)
    part.feed(get())
    none.feed(post(b""))
    backend.answer(1)
    backend.say(wire.headers(3, NO_LENGTH, False) + wire.data(3, b"part"))
    world.upstream.feed(EOF)
    assert world.outcomes() == [(200, ""), (200, "response_truncated"), (502, "response_closed")]
    assert (whole.end, part.end) == ("", "abort")
    assert world.count(PerSlot.H2_OPEN, 0) == world.count(PerSlot.H2_STREAMS, 0) == 0
    world.at_rest()


@pytest.mark.parametrize("pieces", [[b"ok"], [b"o", b"k"], [b"", b"ok"]])
@pytest.mark.parametrize("end", [EOF, LOST, wire.reset(1, H2Code.CANCEL)])
@pytest.mark.parametrize("buffered", [0, 1000])
def test_an_answer_that_only_lacks_its_end(pieces: list[bytes], end: bytes | Exception, buffered: int) -> None:
    """A client of HTTP/1 that was told its length has all of it, and may have sent the next request already: that is served."""
    world = h2_world(pool=model.PoolConfig("app", (), protocol="h2", buffer_responses=buffered), scratch=FakeScratch())
    client = world.connect()
    client.feed(get())
    backend = server(world)
    backend.say(wire.headers(1, OK, False) + b"".join(wire.data(1, piece, False) for piece in pieces))
    assert client.take().endswith(b"ok")
    client.feed(get())
    world.upstream.feed(end)
    again = server(world) if len(world.dials) == 2 else backend
    again.answer(again.requests()[-1].stream)
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, ""), (200, "")]
    assert world.count(PerSlot.FAILURES, 0) == 1
    assert client.end == ""
    world.at_rest()


def test_a_client_of_http2_waits_for_the_end_of_the_stream() -> None:
    """Whatever length it was told: trailers might have come."""
    world = h2_world()
    client = H2Client(world)
    client.say(wire.headers(1))
    backend = server(world)
    backend.answer(1, end=False)
    backend.say(EOF)
    assert [stream for stream, _ in resets(client.heard())] == [1]
    assert world.outcomes() == [(200, "response_truncated")]
    world.at_rest()


@pytest.mark.parametrize("fields", [OK, NO_LENGTH])
def test_an_answer_that_lacks_more_than_its_end(fields: tuple[wire.Field, ...]) -> None:
    """Or may lack more, as far as its client knows: it sees the cut."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    server(world).say(wire.headers(1, fields, False) + wire.data(1, b"o", False))
    world.upstream.feed(EOF)
    assert client.end == "abort"
    assert world.outcomes() == [(200, "response_truncated")]
    world.at_rest()


def test_an_answer_before_the_end_of_a_connection_that_takes_no_more() -> None:
    """A backend that answers and closes while we still write: its answer counts."""
    world = h2_world()
    client = world.connect()
    client.feed(post(b"", length=100_000))
    backend = server(world)
    world.upstream.broken = LOST
    client.feed(b"x" * 1000)
    backend.say(wire.headers(1, ((b":status", b"413"), (b"content-length", b"2")), False) + wire.data(1, b"no", True))
    assert client.take().startswith(b"HTTP/1.1 413 ")
    world.pass_time(3.0)
    assert world.outcomes() == [(413, "")]
    assert world.upstream.end


def test_a_dead_backend_is_noticed() -> None:
    """While requests wait and nothing comes it is asked; no answer, and the connection ends, long before response_head."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(get())
    backend = server(world, 0)
    world.pass_time(SILENCE + 0.5)
    assert [frame.kind for frame in backend.listen()][-1] == wire.PING
    world.pass_time(PATIENCE)
    assert world.ended == ["h2_ping_timeout"]
    server(world, 1).answer(1)
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_slow_backend_is_not_asked_often() -> None:
    """More than two PINGs in five minutes of silence are an attack to servers of gRPC."""
    world = h2_world(timeouts=model.TimeoutsConfig(response_head=1000.0))
    client = world.connect()
    client.feed(get())
    backend = server(world)
    pings = 0
    for _ in range(int(2 * RARELY)):
        world.pass_time(1.0)
        came = sum(frame.kind == wire.PING for frame in backend.listen())
        pings += came
        if came:
            backend.say(wire.ping(bytes(8), ack=True))
    assert pings == 2
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


# ---------------------------------------------------------------- hostile backends


@pytest.mark.parametrize(("flood", "reason"), [
    (wire.ping() * 2000, "h2_pings"),
    (wire.settings((3, 100)) * 100, "h2_settings"),
    (wire.data(1) * 200, "h2_empty_data"),
    (wire.ping(ack=True) * 2000, "h2_pings"),
    (wire.window(0, 1) * 3000, "h2_windows"),
    (wire.goaway(1) * 1100, "h2_glitches"),
    (wire.frame(wire.ALTSVC, 0, b"\0\1a" + b"b" * 9) * 1100, "h2_glitches"),
    (wire.frame(wire.ORIGIN, 0, b"\0\1a") * 1100, "h2_glitches"),
    (wire.headers(1, OK, False, 0) + wire.frame(wire.CONTINUATION, 1, b"") * 20, "h2_continuations"),
    (wire.headers(1, (*OK, *[(b"a%d" % number, b"b") for number in range(1000)])), "h2_header_count"),
    (wire.headers(1, OK, False, 0) + wire.frame(wire.CONTINUATION, 1, wire.literal(b"a", b"b" * 4000, 0x40) + b"\xbe" * 100),
     "h2_header_size"),
    (wire.frame(wire.PUSH_PROMISE, 1, (2).to_bytes(4, "big") + wire.block(wire.GET), 4), "h2_protocol"),
    (wire.headers(5, OK), "h2_protocol"),
    (wire.frame(wire.HEADERS, 1, b"\xff\xff\xff", 4), "h2_compression"),
    (wire.frame(wire.DATA, 1, b"", length=20000)[:9] + bytes(20000), "h2_frame_size"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "h2_frame_size"),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_what_ends_a_connection(flood: bytes, reason: str) -> None:
    """Floods and broken frames: the connection ends at once with a counted reason, its requests with a 502 that names it, nothing
    is sent again, and the next request gets a fresh connection."""
    world = h2_world(backends=1)
    client = world.connect()
    client.feed(get())
    backend = server(world)
    if reason == "h2_empty_data":
        backend.say(wire.headers(1, NO_LENGTH, False))
    for at in range(0, len(flood), 1024):
        if not world.upstream.end:
            world.upstream.feed(flood[at : at + 1024])
    assert world.upstreams[0].end
    assert world.ended == [reason]
    [(status, logged)] = world.outcomes()
    assert (status, logged) == ((200 if reason == "h2_empty_data" else 502), reason)
    other = world.connect()
    other.feed(get())
    server(world).answer(1)
    assert other.take().endswith(b"ok")
    world.at_rest()


def test_a_push_before_our_settings_are_acknowledged() -> None:
    """As afterwards."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    server(world).say(wire.frame(wire.PUSH_PROMISE, 1, (2).to_bytes(4, "big") + wire.block(wire.GET), 4))
    assert world.outcomes() == [(502, "h2_protocol")]
    world.at_rest()


def test_endless_interim_answers_nobody_can_pass_on() -> None:
    """Heads have no window: those that wait for a slow client are bounded, and then the stream ends, not the connection."""
    world = h2_world()
    client = world.connect(room=0)
    client.feed(get())
    backend = server(world)
    backend.say(wire.headers(1, ((b":status", b"103"), (b"link", b"</a>")), False) * 1000)
    assert (1, H2Code.ENHANCE_YOUR_CALM) in backend.resets()
    client.make_room(None)
    assert world.outcomes() == [(502, "response_endless_interim")]
    other = world.connect()
    other.feed(get())
    backend.answer(3)
    assert other.take().endswith(b"ok")
    world.at_rest()


def test_bytes_that_nobody_asked_for() -> None:
    """While there is no request so many may come as were on their way; then the connection ends."""
    world = h2_world()
    served_once(world)
    noise = wire.frame(0xFF, 0, bytes(16384))
    for _ in range(2 * UNASKED // len(noise)):
        if not world.upstream.end:
            world.upstream.feed(noise)
    assert world.upstream.end
    assert world.ended in (["h2_unasked"], ["h2_glitches"])
    world.at_rest()


# ---------------------------------------------------------------- idleness, age, drains


def test_idle_timeout() -> None:
    """It says goodbye and closes."""
    pool = model.PoolConfig("app", (), protocol="h2", connections=model.ConnectionsConfig(idle_timeout=7.0))
    world = h2_world(pool=pool)
    served_once(world)
    world.pass_time(6.5)
    assert len(world.idle) == 1
    world.pass_time(1.0)
    assert world.upstream.end == "close"
    assert world.count(PerSlot.H2_OPEN, 0) == 0
    world.at_rest()


def test_max_age() -> None:
    """After so long no request begins on it, and it ends with the last."""
    pool = model.PoolConfig("app", (), protocol="h2", connections=model.ConnectionsConfig(max_age=5.0))
    world = h2_world(pool=pool)
    client, other = world.connect(), world.connect()
    client.feed(get())
    backend = server(world)
    world.pass_time(6.0)
    other.feed(get())
    assert len(world.dials) == 2
    backend.answer(1)
    server(world).answer(1)
    assert world.upstreams[0].end == "close"
    assert not world.upstreams[1].end
    assert world.outcomes() == [(200, ""), (200, "")]


@pytest.mark.parametrize("settings", [model.ConnectionsConfig(max_requests=1), model.ConnectionsConfig(idle=0)])
def test_one_request_each(settings: model.ConnectionsConfig) -> None:
    """max_requests and idle = 0 mean what they say."""
    world = h2_world(pool=model.PoolConfig("app", (), protocol="h2", connections=settings))
    for number in range(3):
        served_once(world)
        assert world.upstreams[number].end == "close"
    assert len(world.dials) == 3
    world.at_rest()


def test_a_drain() -> None:
    """Idle ones end at once, others with their last answer: the worker goes with them."""
    world = h2_world()
    served_once(world)
    client = world.connect()
    client.feed(get())
    world.service.draining = True
    world.idle.close()
    assert world.count(PerSlot.H2_OPEN, 0) == 1
    server(world, settings=None).answer(3)
    assert b"\r\nConnection: close\r\n" in client.take()
    world.settle()
    assert world.upstream.end == "close"
    world.at_rest()


def test_backends_that_leave() -> None:
    """What is under way there ends in peace, nothing new begins."""
    world = h2_world(backends=2)
    client = world.connect()
    client.feed(get())
    backend = server(world)
    world.idle.backends_moved([0], [1])
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.settle()
    assert world.upstreams[0].end == "close"
    world.at_rest()
