"""How long things may take: by route, as a whole, and for streams of events."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from tests.unit.proxy.world import CHUNKED, World, get, ok, post

EVENTS = CHUNKED[:-2] + b"Content-Type: text/event-stream\r\n\r\n"


def world_with(route: model.NearTimeoutsConfig | None = None, **timeouts: float) -> World:
    """A world whose only route has time-outs of its own."""
    return World(
        timeouts=model.TimeoutsConfig(**timeouts), route=model.RouteConfig("app", timeouts=route or model.NearTimeoutsConfig())
    )


def test_a_route_waits_longer_for_an_answer() -> None:
    world = world_with(model.NearTimeoutsConfig(connect=1.5, response_head=20.0), response_head=5.0)
    client = world.connect()
    client.feed(get())
    assert world.patience == 1.5
    world.pass_time(19.0)
    assert client.take() == b""
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_route_waits_less_for_pieces_of_a_body() -> None:
    """Either way: an answer's, and a request's."""
    world = world_with(model.NearTimeoutsConfig(body_idle=3.0))
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"x" * 10)[:-5])
    world.pass_time(3.5)
    assert world.outcomes() == [(200, "response_body_timeout")]
    client = world.connect()
    client.feed(post(b"x", length=10))
    world.pass_time(3.5)
    assert world.outcomes() == [(408, "body_timeout")]
    world.at_rest()


def test_a_route_says_how_long_writes_may_stall() -> None:
    """To the client and to the backend, whichever connection it is."""
    world = world_with(model.NearTimeoutsConfig(write_stall=7.0))
    client = world.connect(room=50)
    client.feed(get())
    world.upstream.feed(ok(b"x" * 100))
    world.pass_time(6.0)
    assert client.is_open()
    world.pass_time(1.5)
    assert world.outcomes() == [(499, "client_timeout")]
    assert [world.upstream.write_stall, client.write_stall] == [7.0, 7.0]
    world.at_rest()


# ---------------------------------------------------------------- the whole


@pytest.mark.parametrize("tried", [1, 2])
def test_a_request_as_a_whole_takes_no_longer(tried: int) -> None:
    """Whatever its parts are given, tries elsewhere included; what it held is free again."""
    world = world_with(request=8.0, response_head=60.0)
    client = world.connect()
    client.feed(get())
    world.pass_time(5.0)
    if tried == 2:
        world.upstream.feed(b"")
    world.pass_time(2.5)
    assert client.take() == b""
    world.pass_time(1.0)
    assert client.take().startswith(b"HTTP/1.1 504 ")
    [line] = world.lines()
    assert (line["status"], line["reason"], line["tries"]) == (504, "request_timeout", tried)
    assert world.upstream.end == "abort"
    assert client.is_open(), "nothing is wrong with the client"
    client.feed(get())
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")], "each request has its own"
    world.at_rest()


def test_an_answer_that_drips_is_cut() -> None:
    """It never is silent for long, and still has an end."""
    world = world_with(request=8.0)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"x" * 100)[:-90])
    for _ in range(4):
        world.pass_time(1.9)
        world.upstream.feed(b"x")
    assert client.is_open()
    world.pass_time(1.0)
    assert client.end == "abort"
    assert world.outcomes() == [(200, "request_timeout")]
    world.at_rest()


def test_a_client_that_takes_its_time_is_told_so() -> None:
    """408 where it is the request's body that everybody waits for."""
    world = world_with(request=8.0)
    client = world.connect()
    client.feed(post(b"x", length=10))
    world.pass_time(8.5)
    assert client.take().startswith(b"HTTP/1.1 408 ")
    assert (client.end, client.busy) == ("finish", False)
    assert world.outcomes() == [(408, "request_timeout")]
    world.at_rest()


def test_a_pipelined_request_has_its_own_time() -> None:
    world = world_with(request=8.0)
    client = world.connect()
    client.feed(get() + get("/second"))
    world.pass_time(6.0)
    world.upstream.feed(ok())
    world.pass_time(6.0)
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


# ---------------------------------------------------------------- events


@pytest.mark.parametrize("form", ["chunked", "until close"])
def test_a_stream_of_events_may_be_silent(form: str) -> None:
    """As long as a tunnel may be, and in all as long as it likes; then it is over for both."""
    world = world_with(tunnel=100.0, body_idle=5.0, request=20.0)
    client = world.connect()
    client.feed(get())
    closing = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n"
    world.upstream.feed(EVENTS if form == "chunked" else closing)
    for _ in range(3):
        world.pass_time(99.0)
        world.upstream.feed(b"4\r\nping\r\n" if form == "chunked" else b"ping")
        assert client.take().endswith(b"ping\r\n")
    assert [connection.tunnel for connection in world.service.connections] == [True], "a drain waits for it as for a tunnel"
    world.pass_time(101.0)
    assert client.end == "abort"
    assert world.outcomes() == [(200, "response_body_timeout")]
    world.at_rest()


def test_after_the_events_a_connection_is_as_any_other() -> None:
    world = world_with(tunnel=100.0, body_idle=5.0)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(EVENTS + b"0\r\n\r\n")
    assert [connection.tunnel for connection in world.service.connections] == [False]
    client.feed(get())
    world.upstream.feed(ok(b"x" * 10)[:-5])
    world.pass_time(5.5)
    assert world.outcomes() == [(200, ""), (200, "response_body_timeout")]
    world.at_rest()


def test_events_of_known_length_are_a_body_like_any_other() -> None:
    """What has an end is due."""
    world = world_with(body_idle=5.0)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"x" * 10, "Content-Type: text/event-stream")[:-5])
    world.pass_time(5.5)
    assert world.outcomes() == [(200, "response_body_timeout")]
    world.at_rest()
