"""ICAP servers: what they say of themselves, and when they are left alone."""

from __future__ import annotations

from tests.unit.proxy.icap_world import PASS, backend, looked_at, options, server
from tests.unit.proxy.world import EOF, ICAP, get, ok, post


def test_failures_in_a_row() -> None:
    """Behind the limit nobody is asked; when the time is up one message tries it."""
    world = looked_at(servers=2, failure_limit=2, revival=60.0, timeout=5.0)
    world.refuse(ICAP, ICAP + 1)
    client = world.connect()
    for _ in range(4):
        client.feed(get())
        world.settle()
    assert world.suspended == ["connection_refused"]
    assert len(world.dials) == 4
    world.refusing.clear()
    world.pass_time(59)
    client = world.connect()
    client.feed(get())
    assert len(world.dials) == 4
    world.pass_time(2)
    client.feed(get())
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok())
    client.feed(get())
    server(world).feed(PASS)
    stream.feed(ok())
    assert [status for status, _ in world.outcomes()] == [503] * 5 + [200] * 2
    world.at_rest()


def test_no_such_service() -> None:
    """404 to OPTIONS, or a service for the other direction, is no verdict."""
    for said in (b"ICAP/1.0 404 Not Found\r\n\r\n", options().replace(b"REQMOD, RESPMOD", b"RESPMOD")):
        world = looked_at()
        client = world.connect()
        client.feed(post(b"abc"))
        server(world).feed(said)
        assert world.outcomes() == [(503, "icap_unavailable")]
        world.at_rest()


def test_what_it_says_of_itself_holds_for_a_while() -> None:
    """Then it is asked anew (RFC 3507 4.10.2), over the connection that is there."""
    world = looked_at()
    client = world.connect()
    for passed, asks in ((0, True), (99, False), (2, True)):
        world.pass_time(passed)
        if passed:
            client = world.connect()
        client.feed(post(b"abc"))
        if asks:
            assert server(world).take().startswith(b"OPTIONS ")
            server(world).feed(options(""))
        assert server(world).take().startswith(b"REQMOD ")
        server(world).feed(PASS)
        stream = backend(world)
        assert stream is not None
        stream.feed(ok())
        client.feed(EOF)
    assert world.outcomes() == [(200, "")] * 3
    world.at_rest()


def test_a_verdict_between_failures() -> None:
    """They are in a row no more."""
    world = looked_at(failure_limit=2)
    client = world.connect()
    for fails in (True, False, True, False):
        client.feed(get())
        server(world).feed(b"ICAP/1.0 500 Server Error\r\n\r\n" if fails else PASS)
        if not fails:
            stream = backend(world)
            assert stream is not None
            stream.feed(ok())
    assert [status for status, _ in world.outcomes()] == [503, 200, 503, 200]
    assert world.suspended == []
    world.at_rest()
