"""The least of HTTP/2 that a client needs, against the engine of a server."""

from __future__ import annotations

import pytest

from bench.macro.cases import GRPC_MESSAGE, GRPC_PATH
from bench.micro.h2 import Server
from bench.micro.streams import CALL, Streams


def test_requests_and_the_ends_of_their_answers() -> None:
    """A server understands them all, in whatever pieces its answers come back."""
    server, streams = Server(), Streams()
    server.engine = type(server.engine)(server, server=True)
    server.heads.clear()
    server.engine.receive(streams.greeting() + streams.requests(3))
    assert [(head.target, head.host) for head in server.heads] == [(b"/tiny", b"bench.test")] * 3
    answers = server.engine.output(1 << 20)
    assert sum(streams.ended(answers[at : at + 7]) for at in range(0, len(answers), 7)) == 3
    server.engine.receive(streams.requests(1))
    assert streams.ended(server.engine.output(1 << 20)) == 1


def test_a_reset_is_no_end() -> None:
    """It would be counted as an answer."""
    with pytest.raises(ValueError, match="stream 1 was reset"):
        Streams().ended(b"\0\0\4\3\0\0\0\0\1" + bytes(4))


def test_calls_have_a_message() -> None:
    """Each of them, also those whose fields are said by the table."""
    server, streams = Server(), Streams(CALL)
    server.engine = type(server.engine)(server, server=True)
    server.heads.clear()
    server.engine.receive(streams.greeting() + streams.requests(2))
    assert [(head.method, head.target) for head in server.heads] == [(b"POST", GRPC_PATH.encode())] * 2
    assert server.bodies == [GRPC_MESSAGE] * 2
