"""Requests that are answered before they are whole: plain clients may go on for a while, and are then asked to stop."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.proxy.h2.unwanted import QUIET, WHOLE
from tests.support.h2_frames import DATA, GET, POST, WINDOW_UPDATE, Frame, data, headers, reset
from tests.unit.proxy.h2_client import H2Client, body, ends, resets
from tests.unit.proxy.test_request_body import unchunked
from tests.unit.proxy.world import World, ok

REFUSED = (*POST[:3], (b":path", b"/%00"))


def refused(client: H2Client, stream: int = 1) -> None:
    frames = client.say(headers(stream, REFUSED, end=False))
    assert resets(frames) == []
    assert [frame.flags for frame in frames if frame.kind == DATA] == [1], "the whole answer"


def opened(frames: list[Frame], stream: int) -> int:
    return sum(int.from_bytes(frame.payload, "big") for frame in frames if frame.kind == WINDOW_UPDATE and frame.stream == stream)


def test_it_may_be_sent_to_its_end() -> None:
    """What came opens the windows again; nobody is asked to stop, and the connection goes on."""
    world = World(backends=1)
    client = H2Client(world)
    refused(client)
    frames: list[Frame] = []
    for _ in range(20):
        frames += client.say(data(1, b"x" * 16_000))
    assert opened(frames, 1) >= 200_000
    assert opened(frames, 0) >= 200_000
    frames += client.say(data(1, b"x", end=True))
    world.pass_time(2 * QUIET)
    assert resets(frames + client.heard()) == []
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


def test_who_sends_no_more_is_asked_to_stop() -> None:
    """RFC 9113 8.1: without a fault. Each by its own time."""
    world = World(backends=1)
    client = H2Client(world)
    refused(client, 1)
    world.pass_time(QUIET / 2)
    refused(client, 3)
    assert resets(client.heard()) == []
    world.pass_time(QUIET / 2)
    assert resets(client.heard()) == [(1, H2Code.NO_ERROR)]
    world.pass_time(QUIET / 2)
    assert resets(client.heard()) == [(3, H2Code.NO_ERROR)]
    world.at_rest()


def test_who_goes_on_for_ever_is_asked_to_stop() -> None:
    """A byte now and then does not help."""
    world = World(backends=1)
    client = H2Client(world)
    refused(client)
    waited = 0.0
    while not resets(client.say(data(1, b"x"))):
        waited += QUIET - 1
        world.pass_time(QUIET - 1)
    assert WHOLE - QUIET <= waited <= WHOLE + QUIET
    world.at_rest()


@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_client_that_stops_by_itself(how: str) -> None:
    """Nothing is left of it."""
    world = World(backends=1)
    client = H2Client(world)
    refused(client)
    client.say(reset(1) if how == "reset" else data(1, b"", end=True))
    assert not world.alarms
    world.pass_time(2 * QUIET)
    assert resets(client.heard()) == []
    world.at_rest()


@pytest.mark.parametrize("before", [True, False])
def test_a_drain_does_not_wait(before: bool) -> None:
    """Who drains asks at once, before and after the answer, which leaves whole."""
    world = World(backends=1)
    client = H2Client(world)
    if before:
        refused(client)
    world.service.draining = True
    client.connection.drain(world.now, 2.0)
    world.settle()
    if not before:
        frames = client.say(headers(1, REFUSED, end=False))
        assert [frame.flags for frame in frames if frame.kind == DATA] == [1]
    else:
        frames = client.heard()
    assert resets(frames) == [(1, H2Code.NO_ERROR)]
    world.pass_time(4.0)
    assert ends(client.heard())
    assert client.stream.end == "finish"
    world.at_rest()


def test_the_end_of_the_connection_is_the_end_of_it() -> None:
    world = World(backends=1)
    client = H2Client(world)
    refused(client)
    client.stream.feed(b"")
    assert not world.alarms
    world.at_rest()


def test_a_body_that_is_too_large_behind_its_answer() -> None:
    """The backend answers and reads on, the limit is met: the answer stands, and the rest is thrown away."""
    world = World(backends=1, limits=model.LimitsConfig(body=50_000))
    client = H2Client(world)
    client.say(headers(1, POST, end=False) + data(1, b"x" * 1000))
    world.upstream.feed(ok())
    assert body(client.heard()) == b"ok"
    for _ in range(5):
        client.say(data(1, b"x" * 16_000))
    assert world.upstream.end == "close"
    assert world.outcomes() == [(200, "")]
    assert resets(client.say(data(1, b"", end=True))) == []
    client.say(headers(3, GET))
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


@pytest.mark.parametrize("how", ["leaves", "resets"])
@pytest.mark.parametrize("taken", [3_000, 20_000])
def test_a_client_that_has_sent_all_of_it_may_go(how: str, taken: int) -> None:
    """It has its answer; the backend, which reads slowly, gets the rest, whether that was taken off the connection or not."""
    world = World(backends=1)
    world.backend_room = 1000
    client = H2Client(world)
    sent = bytes(range(256)) * 200
    client.say(headers(1, POST, end=False) + data(1, sent[:500]))
    world.upstream.feed(ok(b"early"))
    world.upstream.make_room(taken)
    for at in range(500, len(sent), 10_000):
        piece = sent[at : at + 10_000]
        client.say(data(1, piece, end=at + 10_000 >= len(sent)))
    if how == "leaves":
        client.stream.feed(b"")
    else:
        client.say(reset(1))
    assert world.upstream.waits == "w"
    while world.upstream.waits == "w":
        world.upstream.make_room(5000)
    head, _, chunks = world.upstream.sent.partition(b"\r\n\r\n")
    assert b"chunked" in head
    assert unchunked(chunks) == sent
    assert world.outcomes() == [(200, "")]
    if how == "resets":
        client.ask(3)
        world.upstream.feed(ok())
        assert body(client.heard(), 3) == b"ok"
    world.at_rest()
