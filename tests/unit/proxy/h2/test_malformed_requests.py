"""Requests of HTTP/2 that turn out to be malformed behind their heads: what is here as a whole reaches no backend, what is not, not
its end."""

from __future__ import annotations

import pytest

from lbproxy.http.h2.vocabulary import H2Code
from tests.support.h2_frames import POST, Field, data, headers
from tests.unit.proxy.h2_client import H2Client, resets
from tests.unit.proxy.world import World, ok

TRAILERS: list[tuple[Field, ...]] = [
    ((b"transfer-encoding", b"chunked"),), ((b"content-length", b"7"),), ((b"x", b"7\r\nevil: 1"),), ((b":path", b"/evil"),),
    ((b"Evil", b"1"),), ((b"connection", b"evil"),), ((b"te", b"evil"),),
]  # fmt: skip


def post(length: int = -1) -> bytes:
    """The head of a request that goes on."""
    return headers(1, POST if length < 0 else (*POST, (b"content-length", b"%d" % length)), end=False)


WRONG = [
    post(3) + data(1, b"abcGET /evil", end=True), post(10) + data(1, b"abc", end=True), post(0) + data(1, b"evil", end=True),
    post(0) + data(1, b"evil"), post(4) + data(1, b"evil") + data(1, b"evil", end=True),
    post(4) + data(1, b"evi") + headers(1, ((b"x", b"y"),)),
    *(post() + data(1, b"abc") + headers(1, fields) for fields in TRAILERS),
]  # fmt: skip


@pytest.mark.parametrize("sent", WRONG)
def test_nothing_of_what_is_here_as_a_whole_arrives(sent: bytes) -> None:
    """RFC 9113 8.1.1: lengths that disagree, trailers that frame or route; the connection goes on."""
    world = World(backends=1)
    client = H2Client(world)
    assert resets(client.say(sent)) == [(1, H2Code.PROTOCOL_ERROR)]
    assert not world.upstreams
    client.say(headers(3))
    assert world.upstream.take().startswith(b"GET / ")
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
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
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()
