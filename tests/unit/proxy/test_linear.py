"""A peer that sends a byte at a time costs what its bytes cost: eight times as many take about eight times as long, not 64 times.

What comes in one piece is looked at in the tests of http/.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.http.h1.chunks import ChunkDecoder
from tests.unit.http.work import growth
from tests.unit.proxy.world import World, get, post

EIGHT_TIMES = 24
"""The most that eight times as much may take: a third of a quadratic growth, three times a linear one."""


def request_head(data: bytes) -> None:
    client = World().connect()
    client.feed(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for at in range(len(data)):
        client.feed(data[at : at + 1])


def response_head(data: bytes) -> None:
    world = World()
    world.connect().feed(get())
    for at in range(len(data)):
        world.upstream.feed(data[at : at + 1])


def body(data: bytes) -> None:
    world = World()
    client = world.connect()
    client.feed(post(b"", length=len(data)))
    for at in range(0, len(data), 2):
        client.feed(data[at : at + 2])
        world.upstream.take()


def chunks(data: bytes) -> None:
    decoder = ChunkDecoder()
    for at in range(len(data)):
        decoder.feed(data[at : at + 1])


WORK: dict[str, tuple[Callable[[bytes], None], bytes, bytes, int]] = {
    "request: one long field": (request_head, b"X: ", b"x", 800),
    "request: many fields": (request_head, b"", b"A: b\r\n", 150),
    "request: many cookies": (request_head, b"Cookie: ", b"a=b; ", 150),
    "response: one long field": (response_head, b"HTTP/1.1 200 OK\r\nX: ", b"x", 1000),
    "response: many cookies": (response_head, b"HTTP/1.1 200 OK\r\n", b"Set-Cookie: a=b\r\n", 100),
    "body": (body, b"", b"xy", 500),
    "chunks: many": (chunks, b"", b"1\r\na\r\n", 500),
    "chunks: one long trailer": (chunks, b"0\r\nA: ", b"x", 1000),
    "chunks: many trailers": (chunks, b"0\r\n", b"A: b\r\n", 170),
}


@pytest.mark.parametrize("what", WORK)
def test_a_byte_at_a_time(what: str) -> None:
    run, front, unit, count = WORK[what]
    assert growth(run, front + unit * count, front + unit * (8 * count)) < EIGHT_TIMES
