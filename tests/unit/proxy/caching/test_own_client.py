"""A leader whose own client reads nothing, or slowly: nobody waits for it, in no worker."""

from __future__ import annotations

import gc

import pytest

from lbproxy.config import model
from lbproxy.proxy.caching.own_client import OwnClient
from tests.unit.proxy.caching.stores import CHUNKED, FRESH, LAST, Caching, chunk, gone, herd, taken, unchunked
from tests.unit.proxy.fake_stream import EOF, LOST
from tests.unit.proxy.world import get, ok

SIZES = [1_000, 50_000, 200_000, 3_000_000]


class Stalled:
    """A leader with a client that takes `room` bytes, and a backend whose answer comes in pieces."""

    def __init__(self, size: int, chunks: bool, room: int = 10, settings: model.CacheConfig | None = None) -> None:
        self.one = Caching(settings)
        self.two = Caching(beside=self.one)
        self.whole = bytes(range(250)) * (size // 250)
        self.chunks = chunks
        self.client = self.one.world.connect(room=room)
        self.client.feed(get("/a"))
        self.one.world.settle()
        self.upstream = self.one.world.upstream
        self.upstream.take()
        self._say(CHUNKED if chunks else ok(self.whole, FRESH)[: -len(self.whole)])

    def _say(self, data: bytes) -> None:
        self.upstream.feed(data)
        for caching in (self.one, self.two):
            caching.world.settle()
            caching.world.pass_time(0.3)

    def say(self, start: int, end: int) -> None:
        """The backend goes on."""
        size = len(self.whole) // 4
        for at in range(start * size, end * size, size):
            piece = self.whole[at : at + size]
            self._say(chunk(piece) if self.chunks else piece)
        if end == 4 and self.chunks:
            self._say(LAST)

    def got(self, said: bytes) -> bytes:
        """A body."""
        body = said.partition(b"\r\n\r\n")[2]
        return unchunked(body) if self.chunks and body.endswith(LAST) else body


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunks", [True, False])
@pytest.mark.parametrize("files", [True, False])
def test_nobody_waits_for_the_leaders_own_client(size: int, chunks: bool, files: bool) -> None:
    """Whoever comes before or after it has stood still, in its worker or in another one, has all of the answer without a backend's
    being asked again, and then it is stored. What cannot be stored waits for its client, as ever."""
    stalled = Stalled(size, chunks)
    if not files:
        stalled.one.bodies.full = True
    kept = files or size <= 50_000
    early = herd(stalled.one, 2), herd(stalled.two, 2)
    stalled.say(0, 2)
    late = herd(stalled.one, 2), herd(stalled.two, 2)
    stalled.say(2, 4)
    if kept:
        for client in (*early[0], *late[0], *early[1], *late[1]):
            assert stalled.got(client.take()) == stalled.whole
        assert not stalled.two.world.upstreams
        assert len(stalled.one.world.upstreams) == 1
        again = herd(stalled.two, 1)
        assert stalled.got(again[0].take()) == stalled.whole
        gone(stalled.two, [*early[1], *late[1], *again])
        for client in (*early[0], *late[0]):
            client.feed(EOF)
    stalled.client.make_room(None)
    stalled.one.world.settle()
    assert stalled.got(stalled.client.take()) == stalled.whole
    assert stalled.one.world.lines()[-1]["status"] == 200
    if kept:
        gone(stalled.one, [stalled.client])


@pytest.mark.parametrize("size", [200_000, 3_000_000])
@pytest.mark.parametrize("chunks", [True, False])
@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_disk_that_becomes_full_loses_no_byte(size: int, chunks: bool, when: int) -> None:
    """The client, who is far behind, gets all of it all the same, and nothing is stored."""
    stalled = Stalled(size, chunks)
    stalled.say(0, when)
    stalled.one.bodies.full = True
    stalled.say(when, 4)
    stalled.client.make_room(None)
    stalled.one.world.settle()
    assert stalled.got(stalled.client.take()) == stalled.whole
    assert not stalled.one.storage.entries
    assert not stalled.one.bodies.files
    gone(stalled.one, [stalled.client])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunks", [True, False])
@pytest.mark.parametrize("how", ["lost", "stalls", "broken"])
def test_what_becomes_of_the_client_alone(size: int, chunks: bool, how: str) -> None:
    """It goes, or is cut for standing still, or its backend breaks off: nothing is left behind. When all was said before, it is
    stored, whatever becomes of that client."""
    stalled = Stalled(size, chunks)
    stalled.say(0, 3 if how == "broken" else 4)
    if how == "lost":
        stalled.client.feed(LOST)
    elif how == "stalls":
        stalled.one.world.pass_time(stalled.client.write_stall + 1)
    else:
        stalled.upstream.feed(EOF)
    stalled.one.world.settle()
    assert not stalled.client.is_open()
    assert bool(stalled.one.storage.entries) is (how != "broken")
    assert not stalled.one.bodies.open_ones
    assert not stalled.one.shelf.fills
    stalled.one.world.pass_time(5)
    stalled.one.world.at_rest()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunks", [True, False])
def test_a_client_that_keeps_up_has_each_piece_at_once(size: int, chunks: bool) -> None:
    """Whether others wait or not."""
    stalled = Stalled(size, chunks, room=10**9)
    got = len(taken(stalled.client)[1])
    for at in range(4):
        if at == 2:
            others = herd(stalled.one, 2)
        stalled.say(at, at + 1)
        got += len(stalled.client.take())
        assert got >= (at + 1) * (len(stalled.whole) // 4)
    for client in others:
        assert stalled.got(client.take()) == stalled.whole
    gone(stalled.one, [stalled.client, *others])


@pytest.mark.parametrize("chunks", [True, False])
def test_nothing_is_held_for_a_client_that_takes_nothing(chunks: bool) -> None:
    """Of a long body it is in the file alone: thousands of such clients are thousands of files, not of pieces."""
    stalled = Stalled(3_000_000, chunks, room=10**9)
    stalled.say(0, 1)  # it keeps up
    stalled.client.make_room(0)
    stalled.say(1, 3)
    [own] = [found for found in gc.get_objects() if isinstance(found, OwnClient) and found._service is stalled.one.world.service]
    assert own._ahead == b""
    assert not own._fill.body
    stalled.client.make_room(None)
    stalled.say(3, 4)
    assert stalled.got(stalled.client.take()) == stalled.whole
    gone(stalled.one, [stalled.client])
