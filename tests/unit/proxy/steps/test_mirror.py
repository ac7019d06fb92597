"""[route.mirror]: a second pool gets requests as well, and nobody waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.proxy.steps.mirror import MOST_FAILURES, MOST_READ, REVIVAL
from tests.support import h2_frames as wire
from tests.unit.http.heads import fields
from tests.unit.proxy.h2_client import H2Client, body
from tests.unit.proxy.tunnels import ASK, GRANT
from tests.unit.proxy.world import CHUNKED, EOF, FakeStream, World, get, ok, post


def mirrored(backends: int = 1, **settings: Any) -> World:
    """A world whose route has a mirror, which has the same backends."""
    return World(backends, route=model.RouteConfig("app", mirror=model.MirrorConfig(**{"pool": "next", **settings})))


def pair(world: World) -> tuple[FakeStream, FakeStream]:
    """(the backend's connection, the mirror's) of one request."""
    world.settle()
    assert len(world.upstreams) >= 2
    return world.upstreams[-2], world.upstreams[-1]


def test_both_get_it_and_the_client_gets_one_answer() -> None:
    """The same head, Host too; the mirror's answer goes nowhere."""
    world = mirrored(remove=("Cookie", "X-Secret"))
    client = world.connect()
    client.feed(get("/a?b", "Cookie: me", "x_secret: 1", "Accept: */*"))
    own, other = pair(world)
    sent = own.take()
    assert b"\r\nCookie: me" in sent
    assert other.take() == sent.replace(b"\r\nCookie: me", b"")
    own.feed(ok(b"mine"))
    other.feed(ok(b"other"))
    assert client.take().endswith(END + b"mine")
    assert world.inspected == ["mirror sent"]
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("how", ["silent", "refused", "hanging", "garbage", "500", "cut", "drip"])
def test_nobody_waits_for_it(how: str) -> None:
    """Whatever it does: the next request on the connection is served at once."""
    world = mirrored(2, timeout=10.0, remove=("X-Own",))
    if how == "refused":
        world.refuse(1)
    elif how == "hanging":
        world.hanging.add(9001)
    client = world.connect()
    for number in range(2):
        client.feed(get(f"/{number}", "X-Own: 1"))
        world.settle()
        [own] = [each for each in world.upstreams if b"X-Own" in each.sent]
        for other in [each for each in world.upstreams if each.sent and each is not own and not each.end]:
            said = {"garbage": b"SSH-2.0-OpenSSH\r\n" * 9, "500": ok(b"", status="500 Odd"), "cut": ok(b"a")[:-1], "drip": CHUNKED}
            other.feed(said.get(how, b"H"))
            other.feed(EOF) if how == "cut" else None
        own.take()
        own.feed(ok(b"%d" % number))
        assert client.take().endswith(END + b"%d" % number)
        world.refuse(1) if how == "refused" else None
    world.hanging.clear()
    world.pass_time(11)
    assert set(world.inspected) == {"mirror sent" if how == "500" else "mirror failed"}
    assert [status for status, _ in world.outcomes()] == [200, 200]
    world.at_rest()


def test_a_share_of_them() -> None:
    """By turns, exact."""
    world = mirrored(percent=25)
    client = world.connect()
    for _ in range(8):
        before = len(world.upstreams)
        client.feed(get())
        world.settle()
        for each in list(world.upstreams):
            if each.sent:
                each.take()
                each.feed(ok())
        assert len(world.upstreams) >= before
    world.settle()
    assert world.inspected == ["mirror sent"] * 2
    world.at_rest()


@pytest.mark.parametrize("request_", [post(b"x"), get(method="PUT"), get(method="DELETE"), get(method="OPTIONS")])
def test_what_changes_something_is_not_done_twice(request_: bytes) -> None:
    """Unless its method is named."""
    world = mirrored()
    client = world.connect()
    client.feed(request_)
    world.settle()
    world.upstream.feed(ok())
    assert (len(world.upstreams), world.inspected) == (1, [])
    world.at_rest()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_copied_while_it_passes(chunked: bool) -> None:
    """The mirror has it with its length, when it is whole."""
    world = mirrored(methods=("POST",))
    client = world.connect()
    if chunked:
        client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n")
    else:
        client.feed(post(b"abc", length=6))
    world.settle()
    assert len(world.upstreams) == 1
    client.feed(b"3\r\ndef\r\n0\r\n\r\n" if chunked else b"def")
    own, other = pair(world)
    sent = other.take()
    assert sent.endswith(END + b"abcdef")
    assert dict(fields(sent.partition(END)[0] + END))["content-length"] == b"6"
    assert b"Transfer-Encoding" not in sent
    own.feed(ok())
    other.feed(ok())
    world.at_rest()


@pytest.mark.parametrize("told", [True, False])
def test_a_body_above_the_cap_is_skipped(told: bool) -> None:
    """And counted; nothing of it is kept."""
    world = mirrored(methods=("POST",), max_body=4)
    client = world.connect()
    if told:
        client.feed(post(b"abcdef"))
    else:
        client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n")
    world.settle()
    world.upstream.feed(ok())
    assert world.inspected == ["mirror skipped"]
    assert len(world.upstreams) == 1
    world.at_rest()


def test_a_body_that_never_ends_is_not_mirrored() -> None:
    """Its client left."""
    world = mirrored(methods=("POST",))
    client = world.connect()
    client.feed(post(b"abc", length=6))
    client.feed(EOF)
    world.settle()
    assert (len(world.upstreams), world.inspected) == (1, [])
    world.at_rest()


def test_the_queue_is_bounded() -> None:
    """More are dropped and counted, and no more go at a time than are meant to."""
    world = mirrored(2, queue=2, concurrency=1)
    clients = [world.connect() for _ in range(5)]
    for client in clients:
        client.feed(get("/m"))
    world.settle()
    assert world.inspected.count("mirror dropped") >= 1
    for _ in range(20):
        for each in list(world.upstreams):
            if each.sent:
                each.take()
                each.feed(ok())
        world.settle()
    assert world.inspected.count("mirror sent") + world.inspected.count("mirror dropped") == 5
    assert all(client.take().startswith(b"HTTP/1.1 200") for client in clients)
    world.at_rest()


def test_a_switch_of_protocols_is_not_mirrored() -> None:
    world = mirrored()
    client = world.connect()
    client.feed(ASK)
    world.settle()
    world.upstream.feed(GRANT)
    assert len(world.upstreams) == 1
    client.feed(EOF)
    world.upstream.feed(EOF)
    world.at_rest()


def test_a_drain_does_not_wait_for_it() -> None:
    """What is under way is cut, what waits is forgotten, and nothing new begins."""
    world = mirrored()
    client = world.connect()
    client.feed(get())
    own, other = pair(world)
    own.feed(ok())
    world.service.draining = True
    for connection in list(world.service.connections):
        connection.drain(world.now, 2.0)
    assert other.end == "abort"
    assert world.inspected == ["mirror failed"]
    client.feed(get())
    world.settle()
    assert world.upstream is other or world.upstream.sent.count(b"GET ") == 1
    world.upstreams[0].feed(ok()) if not world.upstreams[0].end else world.upstream.feed(ok())
    world.pass_time(3)
    assert world.inspected == ["mirror failed"]


@pytest.mark.parametrize("first", ["own", "other"])
@pytest.mark.parametrize(
    ("answer", "outcomes"),
    [
        (ok(b"same"), ["mirror same"]), (ok(b"else"), ["mirror other_digest"]),
        (ok(b"longer"), ["mirror other_length", "mirror other_digest"]),
        (ok(b"same", status="404 Not Found"), ["mirror other_status"]),
        (CHUNKED + b"2\r\nsa\r\n2\r\nme\r\n0\r\n\r\n", ["mirror same"]),
    ],
)  # fmt: skip
def test_both_answers_are_compared(first: str, answer: bytes, outcomes: list[str]) -> None:
    """Whichever ends first, and however they are framed."""
    world = mirrored(compare=True)
    client = world.connect()
    client.feed(get("/page?x"))
    own, other = pair(world)
    mine = ok(b"same")
    for stream, said in ((own, mine), (other, answer)) if first == "own" else ((other, answer), (own, mine)):
        stream.feed(said[:-2], said[-2:])
    assert client.take().endswith(END + b"same")
    assert world.inspected == ["mirror sent", *outcomes]
    told = [difference[0] for difference in world.differences]
    assert told == ([] if outcomes == ["mirror same"] else ["/page"])
    world.at_rest()


def test_over_http_2() -> None:
    """As over HTTP/1.1; a body of unknown length has one for the mirror."""
    world = mirrored(methods=("GET", "POST"), compare=True)
    client = H2Client(world)
    client.ask(1)
    own, other = pair(world)
    other.feed(ok(b"page"))
    own.feed(ok(b"page"))
    assert body(client.heard()) == b"page"
    assert world.inspected == ["mirror sent", "mirror same"]
    post_ = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/"))
    own.take(), other.take()
    client.ask(3, post_, end=False)
    client.say(wire.data(3, b"body", end=True))
    world.settle()
    copies = [each for each in world.upstreams if b"\r\nContent-Length: 4\r\n" in each.sent]
    assert len(copies) == 1
    assert copies[0].sent.endswith(END + b"body")
    for each in world.upstreams:
        if each.sent:
            each.feed(ok(b"x"))
    world.at_rest()


def alone(**settings: Any) -> tuple[World, Any]:
    """(a world whose mirror can be reached no more, its client): of one backend, to which the client's connection is there."""
    world = mirrored(remove=("X-Own",), **settings)
    client = world.connect()
    [other] = serve(world, client, 1)
    other.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    world.dials.clear()
    world.inspected.clear()
    return world, client


def serve(world: World, client: Any, number: int) -> list[FakeStream]:
    """Some requests, answered by the backend; whoever else was asked."""
    others = []
    for _ in range(number):
        client.feed(get("/", "X-Own: 1"))
        world.settle()
        for each in [each for each in world.upstreams if each.sent and not each.end]:
            if b"X-Own" in each.take():
                each.feed(ok())
            else:
                others.append(each)
        assert client.take().endswith(END + b"ok")
    return others


def test_one_that_is_dead_is_left_alone() -> None:
    """No connection is tried, nothing laid out: what a copy costs that fails is what others wait for. One a second finds out
    whether it is back, and then all are sent again."""
    world, client = alone()
    world.refuse(0)
    assert serve(world, client, 100) == []
    assert len(world.dials) == MOST_FAILURES
    assert world.inspected == ["mirror failed"] * MOST_FAILURES + ["mirror suspended"] * (100 - MOST_FAILURES)
    assert world.suspended == ["connection_refused"]
    world.pass_time(REVIVAL + 0.1)
    assert serve(world, client, 100) == []
    assert len(world.dials) == MOST_FAILURES + 1
    assert len(world.suspended) == 1, "told once"
    world.refusing.clear()
    world.inspected.clear()
    world.pass_time(REVIVAL + 0.1)
    [other] = serve(world, client, 3)
    other.feed(ok())
    for _ in range(3):
        for each in serve(world, client, 1):
            each.feed(ok())
    assert world.inspected == ["mirror suspended"] * 2 + ["mirror sent"] * 4
    world.at_rest()


def test_what_waits_for_one_that_hangs_is_given_up() -> None:
    """Each would take a time-out of its own."""
    world, client = alone(timeout=5.0, concurrency=MOST_FAILURES, queue=20)
    world.hanging.add(9000)
    assert serve(world, client, MOST_FAILURES + 20) == []
    world.pass_time(6)
    assert world.inspected == ["mirror failed"] * (MOST_FAILURES - 1) + ["mirror suspended"] * 20 + ["mirror failed"]
    assert len(world.dials) == MOST_FAILURES
    assert world.suspended == ["no answer in time"]
    assert world.count(PerSlot.FAILURES, 0) == MOST_FAILURES, "who looks at failures sees it, too"
    world.at_rest()


@pytest.mark.parametrize("compare", [False, True])
def test_an_answer_without_an_end_is_not_read_for_ever(compare: bool) -> None:
    """It would take a worker's time from those whom it serves, at the mirror's pace: behind what may be of use its connection is
    given up. Where answers are compared that is what is longer than the client's."""
    world, client = alone(compare=compare)
    [other] = serve(world, client, 1)
    other.feed(CHUNKED)
    piece = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    fed = 0
    while not other.end:
        other.feed(piece)
        fed += len(piece)
        assert fed < 2 * MOST_READ
    assert (fed > MOST_READ) is not compare
    assert world.inspected == ["mirror sent", *(["mirror other_length", "mirror other_digest"] if compare else [])]
    world.at_rest()
