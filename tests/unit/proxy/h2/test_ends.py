"""How connections of HTTP/2 end, and what ends them: resets, floods, stalls, drains, idleness, clients that go away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config import model
from lbproxy.http.h2.vocabulary import Failure, H2Code
from tests.support import h2_frames as wire
from tests.support.h2_frames import GET, POST, data, headers, ping, reset, settings, window
from tests.support.h2_peer import Heads
from tests.unit.proxy.h2_client import H2Client, body, ends, resets
from tests.unit.proxy.world import CHUNKED, EOF, LOST, World, ok


def test_a_request_that_comes_with_its_own_reset_begins_nothing() -> None:
    """"Rapid reset" in one piece costs its bytes."""
    world = World(backends=1)
    client = H2Client(world)
    client.say((headers(1) + reset(1)) + headers(3))
    assert len(world.upstreams) == 1
    world.upstream.feed(ok())
    assert world.outcomes() == [(499, "client_closed"), (200, "")]
    world.at_rest()


def test_rapid_reset_ends_in_goaway() -> None:
    """Counted by name, with the code that says why."""
    world = World(backends=1)
    client = H2Client(world)
    frames = client.say(b"".join(headers(stream) + reset(stream) for stream in range(1, 1001, 2)))
    assert [code for _, code in ends(frames)] == [H2Code.ENHANCE_YOUR_CALM]
    assert client.floods == [Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets")]
    assert client.stream.end == "finish"
    assert world.upstreams == []
    world.at_rest()


LONG = (*POST, (b"content-length", b"1"))


@pytest.mark.parametrize(
    "fault",
    [
        lambda stream: headers(stream, LONG, end=False) + data(stream, b"two"),
        lambda stream: headers(stream, POST, end=False) + headers(stream, ((b":path", b"/"),)),
        lambda stream: headers(stream, POST, end=False) + headers(stream, ((b"a", b"b"),), end=False),
    ],
    ids=["more than its length", "pseudo-fields behind the body", "trailers that end nothing"],
)
def test_resets_that_a_client_makes_us_send_are_its_own(fault: Callable[[int], bytes]) -> None:
    """"MadeYouReset" (CVE-2025-8671): the stream of each is ended here for what comes behind it. If that came with it, no backend
    has heard of it."""
    world = World(backends=1)
    client = H2Client(world)
    begun = 0
    while not client.floods:
        begun += 1
        client.say(fault(2 * begun - 1))
        assert begun <= 301
    assert client.floods == [Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets")]
    assert len(world.upstreams) in (0, begun)
    assert {upstream.end for upstream in world.upstreams} <= {"abort"}
    world.at_rest()


@pytest.mark.parametrize(
    ("flood", "reason"),
    [
        (ping() * 200, "h2_pings"),
        (ping(ack=True) * 200, "h2_pings"),
        (b"".join(wire.frame(wire.PRIORITY, stream, b"\0\0\0\0\1") for stream in range(1, 4001, 2)), "h2_glitches"),
        (wire.frame(0x55, 0, b"of nobody") * 1100, "h2_glitches"),
        (wire.frame(wire.PRIORITY_UPDATE, 0, b"\0\0\0\x01u=1") * 400, "h2_priorities"),
        (settings(*[(0x1000 + number, 1) for number in range(2000)]), "h2_glitches"),
        (b"".join(headers(stream, (*GET, (b"", b"y"))) for stream in range(1, 201, 2)), "h2_malformed"),
        (headers(1, POST, end=False) + wire.frame(wire.DATA, 1, b"\xff" + bytes(255), wire.PADDED) * 150, "h2_empty_data"),
        (headers(1) + reset(1) * 400, "h2_resets"),
        (settings() * 40, "h2_settings"),
        (window(0, 1) * 1100, "h2_windows"),
        (headers(1) + wire.goaway() * 1100, "h2_glitches"),
        (headers(1, POST, end=False) + data(1) * 150, "h2_empty_data"),
        (b"".join(headers(stream, (*GET, (b"X", b"y"))) for stream in range(1, 201, 2)), "h2_malformed"),
        (headers(1) + wire.frame(wire.PRIORITY_UPDATE, 0, b"\0\0\0\x01u=1") * 400, "h2_priorities"),
        (wire.frame(wire.HEADERS, 1, wire.block(GET), 1) + wire.frame(wire.CONTINUATION, 1) * 20, "h2_continuations"),
        (b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "h2_preface"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_floods_end_by_name(flood: bytes, reason: str) -> None:
    """Each with GOAWAY; requests under way are given up, and nobody is left."""
    world = World(backends=1)
    client = H2Client(world, greet=reason != "h2_preface")
    frames = client.say(flood)
    assert len(ends(frames)) == 1
    assert [each.reason for each in client.floods] == [reason]
    world.at_rest()


def test_resets_of_what_is_over() -> None:
    """A page that is closed resets what was answered meanwhile; who does it without end is ended."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(ok())
    client.say(reset(1) * 500)
    assert client.floods == []
    client.say(reset(1) * 600)
    assert [each.reason for each in client.floods] == ["h2_glitches"]
    world.at_rest()


def test_a_flood_that_comes_one_by_one() -> None:
    """Each is answered before the next one comes: our answers are nothing that would allow for more of them."""
    world = World(backends=1)
    client = H2Client(world)
    asked = 0
    while not client.floods:
        client.say(ping())
        asked += 1
        assert asked <= 101
    assert [each.reason for each in client.floods] == ["h2_pings"]
    world.at_rest()


def test_who_opens_both_windows_behind_each_event_is_no_flood() -> None:
    """By what came, as clients do that do not look further, however small it is, and asks for the way's length beside it."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(CHUNKED)
    for _ in range(1200):
        world.upstream.feed(b"5\r\nevent\r\n")
        client.say(window(0, 5) + window(1, 5) + ping())
    assert client.floods == []
    client.say(reset(1))
    world.at_rest()


def test_who_is_sent_much_may_ask_much() -> None:
    """PING and windows belong to a download."""
    world = World(backends=1)
    client = H2Client(world, settings=settings((4, 1 << 24)))
    client.say(window(0, 1 << 24))
    client.ask()
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
    for _ in range(50):
        world.upstream.feed(b"x" * 80_000)
        client.say(ping() * 20)
    assert client.floods == []
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_who_opens_its_windows_behind_each_small_answer_is_no_flood() -> None:
    """As many clients do, however fast they ask."""
    world = World(backends=1)
    client = H2Client(world)
    for number in range(1, 2 * 1200, 2):
        client.ask(number)
        world.upstream.feed(ok(b"x"))
        client.say(window(0, 100) * 2)
    assert client.floods == []
    assert len(world.outcomes()) == 1200
    world.at_rest()


def test_a_client_whose_window_is_shut_holds_up_its_backend_and_nobody_else() -> None:
    """Not more than a share is held of the answer, and another stream goes on."""
    world = World(backends=2)
    client = H2Client(world, settings=settings((4, 100)))
    client.ask(1)
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
    slow = world.upstream
    fed = 0
    while slow.waits == "r" and fed < 100:
        slow.feed(b"x" * 65536)
        fed += 1
    assert fed * 65536 <= 400_000
    assert body(client.heard()) == b"x" * 100
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    client.say(window(1, 1 << 20) + window(0, 1 << 20))
    assert slow.waits == "r"
    client.say(reset(1))
    world.at_rest()


def test_a_stream_that_takes_nothing_is_cut_after_a_while() -> None:
    """With a code and a name; the connection goes on."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world, settings=settings((4, 100)))
    client.ask(1)
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 65536)
    while world.upstream.waits == "r":
        world.upstream.feed(b"x" * 65536)
    client.heard()
    world.pass_time(6.0)
    assert [stream for stream, _ in resets(client.heard())] == [1]
    assert [each.reason for each in client.floods] == ["h2_stalled"]
    assert world.outcomes() == [(499, "client_timeout")]
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


def test_a_whole_answer_that_nobody_takes_is_not_held_for_ever() -> None:
    """The backend is free at once; the client has its time."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world, settings=settings((4, 1)))
    client.ask(1)
    world.upstream.feed(ok(b"hello"))
    assert world.outcomes() == [(200, "")]
    assert len(world.idle) == 1
    client.heard()
    world.pass_time(6.0)
    assert [stream for stream, _ in resets(client.heard())] == [1]
    world.at_rest()


def test_a_client_that_reads_nothing_at_all_is_cut() -> None:
    """The connection's writer waits; then it is over, for all streams."""
    world = World(backends=2)
    client = H2Client(world, settings=settings((4, 1 << 24)))
    client.say(window(0, 1 << 24) + headers(1) + headers(3))
    client.stream.room = 1000
    for upstream in world.upstreams:
        upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 65536)
        while upstream.waits == "r":
            upstream.feed(b"x" * 65536)
    world.pass_time(40.0)
    assert client.stream.end == "abort"
    assert {status for status, _ in world.outcomes()} == {499}
    world.at_rest()


@pytest.mark.parametrize("end", [EOF, LOST], ids=["closed", "reset"])
def test_a_client_that_goes_away_ends_all_of_its_requests(end: bytes | Exception) -> None:
    """Backends' work is cancelled."""
    world = World(backends=2)
    client = H2Client(world)
    client.say(headers(1) + headers(3, POST, end=False))
    client.stream.feed(end)
    assert client.stream.end
    assert [upstream.end for upstream in world.upstreams] == ["abort", "abort"]
    assert [status for status, _ in world.outcomes()] == [499, 499]
    world.at_rest()


def test_an_idle_connection_keeps_no_greenlet_and_ends_after_a_while() -> None:
    """With a GOAWAY that says how far we got."""
    world = World(backends=1)
    client = H2Client(world)
    client.ask()
    world.upstream.feed(ok())
    world.pass_time(2.0)
    assert all(strand.dead for strand in world.strands)
    client.heard()
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.pass_time(61.0)
    assert ends(client.heard()) == [(3, 0)]
    assert client.stream.end == "finish"
    world.at_rest()


def test_a_client_that_says_nothing_is_let_go() -> None:
    """In the time of a head."""
    world = World(backends=1)
    client = H2Client(world, greet=False)
    world.pass_time(11.0)
    assert client.stream.end == "finish"
    world.at_rest()


def test_a_head_that_never_ends_is_no_reason_to_wait() -> None:
    """A byte now and then does not keep a connection that serves nothing."""
    world = World(backends=1)
    client = H2Client(world)
    client.stream.feed(wire.frame(wire.HEADERS, 1, b"", 1, length=100))
    for _ in range(12):
        if client.stream.end:
            break
        client.stream.feed(b"\0")
        world.pass_time(1.0)
    world.pass_time(2.0)
    assert client.stream.end == "finish"
    world.at_rest()


def test_a_drain_loses_nothing() -> None:
    """What crosses with the first GOAWAY is served; after the second, and the last answer, the connection ends."""
    world = World(backends=2)
    client = H2Client(world)
    client.ask(1)
    world.service.draining = True
    client.connection.drain(world.now, 2.0)
    world.settle()
    said = client.heard()
    assert ends(said) == [(0x7FFFFFFF, 0)]
    assert any(each.kind == wire.PING for each in said)
    client.ask(3)
    assert ends(client.say(ping(bytes(8), ack=True))) == [(3, 0)]
    for upstream in world.upstreams:
        upstream.feed(ok())
    frames = client.heard()
    assert (body(frames, 1), body(frames, 3)) == (b"ok", b"ok")
    assert client.stream.end == "finish"
    assert world.outcomes() == [(200, ""), (200, "")]
    world.at_rest()


def test_an_idle_connection_drains_as_soon_as_its_client_has_heard() -> None:
    """Or when it does not say so in time."""
    for answers in (True, False):
        world = World(backends=1)
        client = H2Client(world)
        world.pass_time(2.0)
        world.service.draining = True
        client.connection.drain(world.now, 2.0)
        world.settle()
        assert ends(client.heard()) == [(0x7FFFFFFF, 0)]
        if answers:
            assert ends(client.say(ping(bytes(8), ack=True))) == [(0, 0)]
        else:
            world.pass_time(3.0)
            assert ends(client.heard()) == [(0, 0)]
        assert client.stream.end == "finish"
        world.at_rest()


def test_a_drain_that_takes_too_long_is_cut() -> None:
    """Who has no answer yet gets 503; who has a part of one sees its stream break."""
    world = World(backends=2)
    client, heads = H2Client(world), Heads()
    client.say(headers(1) + headers(3))
    world.upstreams[1].feed(CHUNKED + b"3\r\nabc\r\n")
    world.service.draining = True
    client.connection.cut()
    world.settle()
    frames = client.heard()
    assert [each.stream for each in frames if each.kind == wire.RST_STREAM] == [3]
    statuses = [dict(each[2])[b":status"] for each in heads.read(frames) if each[0] == "response"]
    assert statuses == [b"200", b"503"] or statuses == [b"503", b"200"]
    world.at_rest()
