"""Answers that do not come to their end."""

from __future__ import annotations

import pytest

from tests.unit.proxy.caching.stores import FRESH, Caching
from tests.unit.proxy.fake_stream import EOF, LOST
from tests.unit.proxy.world import get, ok

CUT = [
    ok(b"x" * 100, FRESH)[:-1],
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + FRESH.encode() + b"\r\n\r\n4\r\nabcd\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + FRESH.encode() + b"\r\n\r\n4\r\nabcd\r\nxyz\r\n",
    b"HTTP/1.1 200 OK\r\n" + FRESH.encode() + b"\r\n\r\nuntil the end",
]


@pytest.mark.parametrize("answer", CUT)
def test_truncated_answers_are_not_stored(answer: bytes) -> None:
    """Cut short, broken chunks, or of a length that nobody knows: the next one asks anew."""
    ends(answer, EOF)


@pytest.mark.parametrize("answer", CUT)
def test_reset_answers_are_not_stored(answer: bytes) -> None:
    """However far they came."""
    ends(answer, LOST)


def ends(answer: bytes, end: bytes | Exception) -> None:
    """A backend says so much and goes: nothing of it is kept."""
    caching = Caching()
    client = caching.world.connect()
    client.feed(get("/a"))
    caching.world.upstream.feed(answer)
    if caching.world.upstream.is_open():
        caching.world.upstream.feed(end)
    assert not caching.storage.entries
    assert not caching.bodies.open_ones
    assert not caching.shelf.fills
    caching.world.pass_time(5)
    caching.world.at_rest()


def test_aborted_answers_are_not_stored() -> None:
    """The client goes in the middle."""
    caching = Caching()
    client = caching.world.connect()
    client.feed(get("/a"))
    caching.world.upstream.feed(ok(b"x" * 100, FRESH)[:-1])
    client.feed(LOST)
    caching.world.settle()
    assert not caching.storage.entries
    assert not caching.shelf.fills
    caching.world.at_rest()
