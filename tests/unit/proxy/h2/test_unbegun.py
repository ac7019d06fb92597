"""Requests that are over before they begin have their line in the access log, and are counted, as others are; those of one turn
share one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lbproxy.http.h2 import nghttp2
from lbproxy.http.h2.vocabulary import H2Code
from tests.support.h2_frames import GET, HEADERS, POST, Field, data, headers, ping, reset, settings
from tests.unit.proxy.h2_client import H2Client, ends, kinds
from tests.unit.proxy.world import EOF, World, ok

CALL = (*POST, (b"content-type", b"application/grpc"), (b"te", b"trailers"))


def to(path: bytes, fields: tuple[Field, ...] = GET) -> tuple[Field, ...]:
    """Another path."""
    return (*fields[:3], (b":path", path), *fields[4:])


def told(world: World) -> list[tuple[Any, ...]]:
    """Of each line (method, path, status, reason, how many it stands for)."""
    return [tuple(line.get(name) for name in ("method", "path", "status", "reason", "requests")) for line in world.lines()]


def test_one_that_comes_with_its_reset() -> None:
    """In one piece, of which nobody was told but as one thing."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, to(b"/a")) + reset(1))
    [line] = world.lines()
    names = ("client", "protocol", "method", "host", "path", "backend", "tries", "status", "reason")
    told = ("192.0.2.1", "HTTP/2", "GET", "example.com", "/a", "", 0, 499, "client_closed")
    assert tuple(line[name] for name in names) == told
    assert "requests" not in line
    assert (world.service.counters.statuses[4], world.service.counters.h2_requests) == (1, 1)
    world.at_rest()


def test_those_of_one_turn_share_a_line() -> None:
    """The first is told of; who is served has its own."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(b"".join(headers(stream, to(b"/%d" % stream)) + reset(stream) for stream in (1, 3, 5)) + headers(7))
    world.upstream.feed(ok())
    assert told(world) == [("GET", "/1", 499, "client_closed", 3), ("GET", "/", 200, "", None)]
    assert (list(world.service.counters.statuses)[2:5], world.service.counters.h2_requests) == ([1, 0, 3], 4)
    client.say(headers(9, to(b"/9")) + reset(9))
    assert told(world) == [("GET", "/9", 499, "client_closed", None)]
    world.at_rest()


def test_a_flood_is_a_line_a_read() -> None:
    """8 KB of it are no 100 KB of log; of what is more than honest in one read nothing is told but why it ended."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(b"".join(headers(stream) + reset(stream) for stream in range(1, 601, 2)))
    assert told(world) == [("GET", "/", 499, "client_closed", 300)]
    client.say(b"".join(headers(stream) + reset(stream) for stream in range(601, 1601, 2)))
    assert [each.reason for each in client.floods] == ["h2_resets"]
    assert len(told(world)) <= 1
    world.at_rest()


@pytest.mark.parametrize(("sent", "method"), [
    (headers(1, (*POST, (b"content-length", b"9")), end=False) + data(1, b"abc", end=True), "POST"),
    (headers(1, POST, end=False) + headers(1, ((b":path", b"/"),)), "POST"),
    (headers(1, (*GET, (b"X", b"y"))), "-"),
    (headers(1, GET[1:]), "-"),
])  # fmt: skip
def test_one_that_the_engine_refuses(sent: bytes, method: str) -> None:
    """What was made of its head is told, as far as it was one."""
    world = World(backends=1)
    H2Client(world).say(sent)
    assert told(world) == [(method, "/" if method != "-" else "", 400, "h2_malformed", None)]
    assert (world.service.counters.statuses[4], world.service.counters.h2_requests) == (1, 1)
    world.at_rest()


def test_one_that_turns_out_malformed_later() -> None:
    """It was begun, and its client has not gone."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, (*POST, (b"content-length", b"9")), end=False) + data(1, b"abc"))
    client.say(data(1, b"d", end=True))
    assert told(world) == [("POST", "/", 400, "h2_malformed", None)]
    assert world.upstream.end == "abort"
    world.at_rest()


def test_those_that_wait_when_their_connection_ends() -> None:
    """By the client, by a drain that takes too long, or by a flood."""
    endings: list[tuple[Callable[[H2Client], object], tuple[int, str]]] = [
        (lambda client: client.stream.feed(EOF), (499, "client_closed")),
        (lambda client: client.connection.cut(), (503, "drain_timeout")),
        (lambda client: client.say(ping() * 200), (499, "client_closed")),
    ]
    for end, outcome in endings:
        world = World(backends=1)
        client = H2Client(world)
        client.stream.turns = 0
        client.say(headers(1) + headers(3, to(b"/3")) + headers(5))
        end(client)
        world.settle()
        client.stream.turns = None
        for waiting in client.stream.waiting:
            waiting.go_on()
        world.settle()
        lines = told(world)
        assert ("GET", "/3", *outcome, 2) in lines
        assert sum(line[4] or 1 for line in lines) == 3


@pytest.mark.skipif(not nghttp2.NATIVE, reason="of the native form: ngh2's objects do not tell where it happened")
def test_one_whose_fields_are_too_large_for_its_connection() -> None:
    """It was answered, and then the connection ended; what was under way on it has its own line."""
    world = World(backends=1)
    client = H2Client(world)
    frames = client.say(headers(1) + headers(3, (*GET, *((b"a", b"b"),) * 300)))
    assert kinds(frames) == [(HEADERS, 3)]
    assert ends(frames) == [(3, H2Code.ENHANCE_YOUR_CALM)]
    assert sorted(told(world), key=str) == [("-", "", 431, "h2_header_count", None), ("GET", "/", 499, "client_closed", None)]
    assert world.service.counters.h2_requests == 2
    world.at_rest()


def test_a_call_of_grpc() -> None:
    """Who calls it off hears no status; the line and the count have the one that gRPC has for that."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1, CALL) + reset(1) + headers(3, CALL) + reset(3))
    [line] = world.lines()
    assert (line["grpc_status"], line["requests"]) == (1, 2)
    assert list(world.service.counters.grpc)[:2] == [0, 2]
    client.say(headers(5, (*CALL, (b"content-length", b"9")), end=False) + data(5, b"abc", end=True))
    assert [line["grpc_status"] for line in world.lines()] == [13]
    world.at_rest()


def test_what_is_no_request_of_http_1_is_told_without_words() -> None:
    """Nothing of it has been looked at."""
    world = World(backends=1)
    H2Client(world, settings=settings()).say(headers(1, to(b"/a/../../b")) + reset(1))
    assert told(world) == [("-", "", 499, "client_closed", None)]
    world.at_rest()
