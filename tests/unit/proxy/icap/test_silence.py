"""ICAP servers that hang: whoever comes next does not wait as long as the first one did."""

from __future__ import annotations

import pytest

from lbproxy.errors import UpstreamError
from tests.unit.proxy.icap_world import PASS, backend, looked_at, options, server
from tests.unit.proxy.world import EOF, ICAP, World, get, ok, post

TIMEOUT = 10.0


def to(world: World, number: int) -> int:
    """Connections that were opened to that ICAP server."""
    return len([each for each in world.dials if each == 9000 + ICAP + number])


@pytest.mark.parametrize("body", [b"", b"abcdef"], ids=["head", "body"])
def test_the_second_question_of_an_exchange(body: bytes) -> None:
    """Of a server that has let the first one wait: OPTIONS, for a second; then it goes on as on_failure says."""
    world = looked_at(reqmod="/req", respmod="/resp", on_failure="pass", timeout=TIMEOUT, failure_limit=0)
    client = world.connect()
    client.feed(post(body) if body else get())
    server(world)
    world.pass_time(TIMEOUT + 0.5)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok(b"answer"))
    assert server(world).take().startswith(b"OPTIONS ")
    world.pass_time(1.5)
    assert client.take().endswith(b"answer")
    assert world.outcomes() == [(200, "")]
    assert world.inspected == ["icap failed", "icap_answer failed", "icap_answer unasked"]
    assert "does not say within 1 s" in world.no_verdicts[1]
    world.at_rest()


def test_nobody_waits_behind_one_who_has_just_waited() -> None:
    """Nor do those who did not ask count: a server is left alone for long for what it did not answer, not for who came."""
    world = looked_at(reqmod="/req", respmod="/resp", on_failure="pass", timeout=TIMEOUT, failure_limit=3)
    client = world.connect()
    client.feed(get())
    world.pass_time(TIMEOUT + 0.5)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok(b"answer"))
    world.pass_time(1.5)
    for _ in range(10):
        assert client.take().endswith(b"answer")
        client.feed(get())
        stream.feed(ok(b"answer"))
    assert world.outcomes() == [(200, "")] * 11
    assert to(world, 0) == 2
    assert world.suspended == []
    world.at_rest()


def test_it_is_refused_as_fast() -> None:
    """Nothing passes that nobody looked at: on_failure = "refuse" holds for those who do not wait, too."""
    world = looked_at(timeout=TIMEOUT, failure_limit=0)
    for wait in (TIMEOUT + 0.5, 1.5):
        client = world.connect()
        client.feed(get())
        world.pass_time(wait)
        assert client.take().endswith(b"icap_unavailable\n")
    assert backend(world) is None
    assert world.inspected == ["icap failed", "icap failed", "icap unasked"]
    world.at_rest()


def test_one_that_speaks_again_is_asked() -> None:
    """By the message that finds out, over the same connection; what it is now counts from there on."""
    world = looked_at(timeout=TIMEOUT)
    client = world.connect()
    client.feed(get())
    world.pass_time(TIMEOUT + 0.5)
    client.feed(EOF)
    client = world.connect()
    client.feed(get())
    server(world).feed(options())
    assert server(world).take().startswith(b"OPTIONS ")
    asked = server(world)
    asked.feed(PASS)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok())
    client.feed(get())
    assert server(world) is asked
    asked.feed(PASS)
    stream.feed(ok())
    assert world.outcomes() == [(503, "icap_unavailable"), (200, ""), (200, "")]
    assert asked.take().count(b"OPTIONS ") == 0
    world.at_rest()


@pytest.mark.parametrize("said", [EOF, b"ICAP/1.0 500 Odd\r\n\r\n", b"what?\r\n\r\n"])
def test_one_that_knows_no_options_is_asked_all_the_same(said: bytes) -> None:
    """It runs, and may tell verdicts: one message that took too long must not be its end."""
    world = looked_at(timeout=TIMEOUT)
    client = world.connect()
    client.feed(get())
    world.pass_time(TIMEOUT + 0.5)
    client.feed(EOF)
    client = world.connect()
    client.feed(get())
    assert server(world).take().startswith(b"OPTIONS ")
    server(world).feed(said)
    assert server(world).take().startswith(b"REQMOD ")
    server(world).feed(PASS)
    assert backend(world) is not None
    assert not world.inspected.count("icap unasked")


def test_a_message_that_takes_too_long_lets_nobody_else_pass_unseen() -> None:
    """Where the server answers OPTIONS it gets the message, and all the time that the route allows."""
    world = looked_at(reqmod="/req", respmod="/resp", on_failure="pass", timeout=TIMEOUT)
    client = world.connect()
    client.feed(get())
    world.pass_time(TIMEOUT + 0.5)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok(b"answer"))
    server(world).feed(options(""))
    world.pass_time(TIMEOUT - 1.0)
    server(world).feed(PASS)
    assert client.take().endswith(b"answer")
    assert world.inspected == ["icap failed", "icap_answer passed"]
    world.at_rest()


def test_another_server_is_asked_meanwhile() -> None:
    """Nobody waits for a silent one where there are others; when its time is up one message tries it, and is shown to another one
    soon if it is silent still."""
    world = looked_at(servers=2, timeout=TIMEOUT, failure_limit=0)
    client = world.connect()
    client.feed(get())
    world.pass_time(TIMEOUT + 0.5)
    [port] = world.dials
    silent = port - 9000 - ICAP
    client.feed(EOF)
    client = world.connect()
    for _ in range(4):
        client.feed(get())
        server(world).feed(PASS)
        stream = backend(world)
        assert stream is not None
        stream.feed(ok())
    assert to(world, silent) == 1
    client.feed(EOF)
    world.pass_time(TIMEOUT)
    client = world.connect()
    for _ in range(2):
        client.feed(get())
        world.settle()
        if to(world, silent) == 2:
            world.pass_time(1.5)
        next(each for each in world.upstreams if b"REQMOD" in each.sent and not each.end).feed(PASS)
        stream = backend(world)
        assert stream is not None
        stream.feed(ok())
    assert to(world, silent) == 2
    assert [status for status, _ in world.outcomes()] == [503, *[200] * 6]
    world.at_rest()


def test_a_host_that_takes_no_connections() -> None:
    """A time-out of connecting is silence as well."""
    world = looked_at(timeout=TIMEOUT, failure_limit=0)
    world.refusing[9000 + ICAP] = UpstreamError(504, "connect_timeout", nothing_sent=True)
    asked = []
    for _ in range(2):
        client = world.connect()
        client.feed(get())
        world.settle()
        assert client.take().endswith(b"icap_unavailable\n")
        asked.append(world.patience)
    assert asked == [world.config.timeouts.connect, 1.0]
    assert world.inspected == ["icap failed", "icap failed", "icap unasked"]
    world.at_rest()
