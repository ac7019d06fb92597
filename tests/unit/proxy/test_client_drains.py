"""A client's connection in a worker that drains: whoever asks is served, and told that it was the last time."""

from __future__ import annotations

import pytest

from tests.unit.proxy.world import FakeStream, World, get, ok, post


def served(world: World, client: FakeStream) -> None:
    client.feed(get())
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")


def drain(world: World, grace: float = 2.0) -> None:
    world.service.draining = True
    world.service.idle_grace = grace
    for connection in list(world.service.connections):
        connection.drain(world.now, grace)


@pytest.mark.parametrize("was_parked", [False, True])
def test_an_idle_connection_has_its_grace(was_parked: bool) -> None:
    """A request that is on the wire already is served, and told to close."""
    world = World(backends=1)
    client, silent = world.connect(), world.connect()
    served(world, client)
    served(world, silent)
    if was_parked:
        world.pass_time(5.0)
    drain(world)
    world.pass_time(1.5)
    client.feed(get())
    world.upstreams[-1].feed(ok())
    got = client.take()
    assert got.endswith(b"ok")
    assert b"\r\nConnection: close\r\n" in got
    assert client.end == "finish"
    world.pass_time(1.0)
    assert silent.end == "finish"
    world.at_rest()


@pytest.mark.parametrize("behind", ["its head", "it"])
def test_pipelined_requests_are_served_in_a_drain(behind: str) -> None:
    """They came before anybody could tell the client that the connection ends; the last of them is told."""
    world = World(backends=1)
    client = world.connect()
    if behind == "its head":
        client.feed(get() * 4)
    else:
        client.feed(get())
        client.feed(get() * 2)
        client.feed(get())
    drain(world)
    for number in range(4):
        world.upstreams[-1].feed(ok(b"%d" % number))
    got = client.take()
    assert got.count(b"HTTP/1.1 200") == 4
    assert got.count(b"\r\nConnection: close\r\n") == 1
    assert b"\r\nConnection: close\r\n" in got[got.index(b"\r\n\r\n2") :]
    assert client.end == "finish"
    world.at_rest()


@pytest.mark.parametrize("meanwhile", ["is dialled", "takes nothing"])
def test_the_rest_of_a_body_is_no_next_request(meanwhile: str) -> None:
    """It comes while nobody can take it, is kept, and the connection ends with the answer all the same: a client that uploads again
    and again would stay for as long as the drain may last, since a draining worker dials for each of them."""
    world = World(backends=1)
    client = world.connect()
    drain(world)
    if meanwhile == "is dialled":
        world.hanging.add(9000)
    else:
        world.backend_room = 200
    client.feed(post(b"x" * 300, length=1000))
    client.feed(b"x" * 700)
    if meanwhile == "is dialled":
        world.strands[-1].switch()
        world.settle()
    else:
        world.upstream.make_room(None)
    assert world.upstream.take().endswith(b"\r\n\r\n" + b"x" * 1000)
    world.upstream.feed(ok())
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.end == "finish"
    world.at_rest()


def test_a_drain_behind_the_head_of_an_answer() -> None:
    """The client was promised that it may go on; its next request is answered, and then it is told."""
    world = World(backends=1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"x" * 10)[:-5])
    drain(world)
    world.upstream.feed(b"x" * 5)
    assert b"close" not in client.take()
    assert client.is_open()
    client.feed(get())
    world.upstream.feed(ok())
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.end == "finish"
    world.at_rest()


def test_a_drain_behind_the_head_of_an_answer_and_silence() -> None:
    world = World()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"x" * 10)[:-5])
    drain(world)
    world.upstream.feed(b"x" * 5)
    world.pass_time(3.0)
    assert client.end == "finish"
    world.at_rest()


def cut(world: World) -> None:
    for connection in list(world.service.connections):
        connection.cut()
    world.settle()


def test_cut_while_a_client_takes_a_refusal() -> None:
    """That is no fault of ours: the connection ends, and the access log has what it was refused for."""
    world = World(backends=1)
    world.refuse(0)
    client = world.connect(room=10)
    client.feed(get("/"))
    cut(world)
    assert client.end == "abort"
    assert [status for status, _ in world.outcomes()] == [502]
    world.at_rest()


def test_what_is_cut_at_the_limit_is_told() -> None:
    world = World(backends=1)
    waiting, half, idle, heading = (world.connect() for _ in range(4))
    served(world, idle)
    waiting.feed(get())
    first = world.upstream
    half.feed(get())
    world.upstream.feed(ok(b"x" * 10)[:-5])
    heading.feed(get()[:10])
    world.lines()
    drain(world)
    cut(world)
    assert waiting.take().startswith(b"HTTP/1.1 503 ")
    assert waiting.end == "finish"
    assert first.end == "abort"
    assert half.end == "abort"
    assert heading.take().startswith(b"HTTP/1.1 503 ")
    assert sorted(world.outcomes()) == [(200, "drain_timeout"), (503, "drain_timeout"), (503, "drain_timeout")]
    assert not idle.end, "whoever cuts closes what is left"
    world.at_rest()
