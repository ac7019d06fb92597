"""Requests of one HTTP/2 connection begin as turns of the loop have time for them."""

from __future__ import annotations

from lbproxy.http.h2.vocabulary import H2Code
from tests.support.h2_frames import POST, headers
from tests.unit.proxy.h2_client import H2Client, body, resets
from tests.unit.proxy.world import EOF, World, ok


def test_requests_behind_the_first_wait_for_a_turn_that_has_time() -> None:
    """A hundred requests in one piece are not a hundred clients: others go first, and all are served in the end, in their order."""
    world = World(backends=1)
    client = H2Client(world)
    client.stream.turns = 1
    client.say(b"".join(headers(stream) for stream in (1, 3, 5, 7)))
    assert len(world.upstreams) == 2
    [waiting] = client.stream.waiting
    client.say(headers(9))
    assert len(world.upstreams) == 2, "who waits is not passed by"
    client.stream.turns = 0
    for served in (3, 4):
        client.stream.waiting.clear()
        waiting.go_on()
        world.settle()
        assert len(world.upstreams) == served
    client.stream.turns = None
    waiting.go_on()
    world.settle()
    for upstream, stream in zip(list(world.upstreams), (1, 3, 5, 7, 9), strict=True):
        upstream.feed(ok(b"to %d" % stream))
        assert body(client.heard(), stream) == b"to %d" % stream
    world.at_rest()


def test_a_drain_that_takes_too_long_refuses_what_has_not_begun() -> None:
    """With the code that says so: whoever asked may ask elsewhere, whatever it was."""
    world = World(backends=1)
    client = H2Client(world)
    client.stream.turns = 0
    client.say(headers(1) + headers(3, POST, end=False))
    assert len(world.upstreams) == 1
    world.service.draining = True
    client.connection.cut()
    world.settle()
    assert resets(client.heard()) == [(3, H2Code.REFUSED_STREAM)]
    client.stream.turns = None
    for waiting in client.stream.waiting:
        waiting.go_on()
    world.settle()
    assert len(world.upstreams) == 1
    assert world.outcomes() == [(503, "drain_timeout"), (503, "drain_timeout")]
    world.at_rest()


def test_who_goes_while_its_requests_wait_for_a_turn() -> None:
    """They begin no more."""
    world = World(backends=1)
    client = H2Client(world)
    client.stream.turns = 0
    client.say(b"".join(headers(stream) for stream in (1, 3, 5)))
    assert len(world.upstreams) == 1
    client.stream.feed(EOF)
    client.stream.waiting[0].go_on()
    world.settle()
    assert len(world.upstreams) == 1
    world.at_rest()
