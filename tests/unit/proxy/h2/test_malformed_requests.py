"""Requests of HTTP/2 that turn out to be malformed behind their heads: what is here as a whole reaches no backend, what is not, not
its end."""

from __future__ import annotations

import pytest

from lbproxy.http.h2.vocabulary import H2Code
from tests.support.h2_frames import POST, Field, data, headers, ping
from tests.unit.proxy.h2_client import H2Client, resets
from tests.unit.proxy.world import World, ok

TRAILERS: list[tuple[Field, ...]] = [
    ((b"transfer-encoding", b"chunked"),), ((b"content-length", b"7"),), ((b"x", b"7\r\nevil: 1"),), ((b":path", b"/evil"),),
    ((b"Evil", b"1"),), ((b"connection", b"evil"),), ((b"te", b"evil"),),
]  # fmt: skip


def post(length: int = -1, stream: int = 1) -> bytes:
    """The head of a request that goes on."""
    return headers(stream, POST if length < 0 else (*POST, (b"content-length", b"%d" % length)), end=False)


def wrong(stream: int) -> list[bytes]:
    """Each is here as a whole."""
    return [
        post(3, stream) + data(stream, b"abcGET /evil", end=True), post(10, stream) + data(stream, b"abc", end=True),
        post(0, stream) + data(stream, b"evil", end=True), post(0, stream) + data(stream, b"evil"),
        post(4, stream) + data(stream, b"evil") + data(stream, b"evil", end=True),
        post(4, stream) + data(stream, b"evi") + headers(stream, ((b"x", b"y"),)),
        *(post(-1, stream) + data(stream, b"abc") + headers(stream, fields) for fields in TRAILERS),
    ]  # fmt: skip


@pytest.mark.parametrize("sent", wrong(1))
def test_nothing_of_what_is_here_as_a_whole_arrives(sent: bytes) -> None:
    """RFC 9113 8.1.1: lengths that disagree, trailers that frame or route; the connection goes on."""
    world = World(backends=1)
    client = H2Client(world)
    assert resets(client.say(sent)) == [(1, H2Code.PROTOCOL_ERROR)]
    assert not world.upstreams
    client.say(headers(3))
    assert world.upstream.take().startswith(b"GET / ")
    world.upstream.feed(ok())
    assert world.outcomes() == [(400, "h2_malformed"), (200, "")]
    world.at_rest()


@pytest.mark.parametrize(("length", "more"), [
    (10, data(1, b"d", end=True)), (4, data(1, b"devil", end=True)), (4, headers(1, ((b"x", b"y"),))),
    *((-1, headers(1, fields)) for fields in TRAILERS),
])  # fmt: skip
def test_a_backend_sees_no_end_of_what_turns_out_so(length: int, more: bytes) -> None:
    """Nor anything that came with it."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(post(length) + data(1, b"abc"))
    assert world.upstream.take().endswith(b"\r\n\r\n" + (b"abc" if length > 0 else b"3\r\nabc\r\n"))
    assert resets(client.say(more)) == [(1, H2Code.PROTOCOL_ERROR)]
    assert world.upstream.take() == b""
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(400, "h2_malformed")]
    world.at_rest()


BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200000)


@pytest.mark.parametrize("sent", wrong(3))
def test_nothing_arrives_while_its_client_reads_nothing(sent: bytes) -> None:
    """The engine says that it has refused something when the writer asks it, which waits for the client."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1))
    client.stream.room = 0
    world.upstream.feed(BIG)
    assert client.stream.waits == "rw"
    client.say(sent)
    client.stream.make_room(None)
    assert (3, H2Code.PROTOCOL_ERROR) in resets(client.heard())
    assert len(world.upstreams) == 1
    world.upstream.take()
    client.say(headers(5))
    assert world.upstream.take().startswith(b"GET / ")


def test_nothing_arrives_of_a_connection_that_its_client_has_broken() -> None:
    """And reads nothing of."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1))
    client.stream.room = 0
    world.upstream.feed(BIG)
    client.say(post(10, 3) + data(3, b"abc") + ping() * 200)
    assert client.connection.engine.failure is not None
    assert len(world.upstreams) == 1
    client.stream.make_room(None)
    assert len(world.upstreams) == 1
    world.at_rest()


def test_what_is_sound_begins_though_its_client_reads_nothing() -> None:
    """Nothing was refused: an upload, or what takes long, need not wait for another answer's reader."""
    world = World(backends=1)
    client = H2Client(world)
    client.say(headers(1))
    client.stream.room = 0
    world.upstream.feed(BIG)
    client.say(headers(3, (*POST, (b"content-length", b"3")), end=False) + data(3, b"abc", end=True))
    assert len(world.upstreams) == 2
    assert world.upstream.take().endswith(b"\r\n\r\nabc")


def test_what_waits_for_its_turn_is_looked_at_again() -> None:
    """A turn may come between a read and what the engine has to say of it."""
    world = World(backends=1)
    client = H2Client(world)
    client.stream.turns = 0
    client.say(headers(1) + headers(3))
    assert len(world.upstreams) == 1
    client.stream.turns = None
    world.later(client.stream.waiting.pop().go_on)
    client.say(post(0, 5) + data(5, b"evil", end=True))
    assert len(world.upstreams) == 2
