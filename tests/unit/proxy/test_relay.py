"""One body from a backend to its client: what is held, what is counted, and what becomes of a backend that breaks off."""

from __future__ import annotations

from sys import getrefcount

import pytest
from greenlet import greenlet
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import RefusedAnswer
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.proxy.downstream import NO_REDIRECT
from lbproxy.proxy.h1_downstream import H1Downstream
from lbproxy.proxy.h1_upstream import H1Upstream
from lbproxy.proxy.relay import relay
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.streams import BODY_READ, NEVER, SWIFT_READ
from tests.unit.proxy.world import EOF, LOST, FakeStream, World, get

CHUNKED, CLOSE = "Transfer-Encoding: chunked", "Connection: close"


class Relayed:
    """An answer that is relayed in a greenlet of its own, by HTTP/1 on both sides."""

    def __init__(self, framing: str, first: bytes = b"", *, minor: int = 1, room: int | None = None) -> None:
        """`framing`: the field that says where the body ends; `minor`: of the client's HTTP/1.minor."""
        self.world = World()
        self.source = FakeStream(self.world, "source")
        self.sink = FakeStream(self.world, "sink", room)
        self.upstream = H1Upstream(self.source, self.world.pool.backends[0], self.world.service.idle, self.world.clock)
        forwarder = Forwarder("192.0.2.9", "https", 443, ())
        self.client = H1Downstream(self.world.service, self.sink, "192.0.2.9", forwarder, NO_REDIRECT, 0.0)
        self.client.receive(parse_request(get(minor=minor), 8192, 100), b"")
        self.head = f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode()
        self.source._inbox.append(self.head + first)
        self.failed = ""
        self.refused = ""
        self.strand = greenlet(self._run)
        self.strand.switch()

    @property
    def over(self) -> bool:
        return bool(self.strand.dead)

    @property
    def body(self) -> bytes:
        """What the client got behind the head."""
        return self.sink.sent.partition(b"\r\n\r\n")[2]

    @property
    def surplus(self) -> bool:
        assert self.over
        return self.upstream.surplus

    def _run(self) -> None:
        try:
            known = self.upstream.answer(self.world.service.response_heads, b"GET")
            relay(self.upstream, self.client, known.head, known.out, b"", 5.0, ())
        except SourceFailed as error:
            self.failed = error.reason
        except RefusedAnswer as error:
            self.refused = error.reason


def length(size: int) -> str:
    return f"Content-Length: {size}"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.binary(max_size=10))
def test_by_length_counts_to_the_byte(pieces: list[bytes], surplus: bytes) -> None:
    """And tells what came beyond."""
    body = b"".join(pieces) + b"."
    relayed = Relayed(length(len(body)))
    for piece in pieces:
        relayed.source.feed(piece)
    assert not relayed.over
    relayed.source.feed(b"." + surplus)
    assert relayed.body == body
    assert relayed.client.bytes_out == len(relayed.sink.sent)
    assert relayed.surplus is bool(surplus)
    assert relayed.source.deadline == NEVER


def test_pieces_are_large_until_the_sink_is_slow() -> None:
    """So much less is held for each of many slow clients."""
    relayed = Relayed(length(10 * SWIFT_READ), room=3 * SWIFT_READ // 2)
    asked = relayed.source.asked
    del asked[:-1]
    relayed.source.feed(b"x" * SWIFT_READ)
    relayed.source.feed(b"x" * SWIFT_READ)
    assert asked == [SWIFT_READ, SWIFT_READ]
    relayed.sink.make_room(None)
    relayed.source.feed(b"x" * BODY_READ)
    assert asked == [SWIFT_READ, SWIFT_READ, BODY_READ, BODY_READ], "and stay small"


@pytest.mark.parametrize(("framing", "minor", "pieces"), [
    (length(10_000), 1, [b"a" * 100, b"b" * 200, b"c" * 300, b"d"]),
    (CLOSE, 0, [b"a" * 100, b"b" * 200, b"c" * 300, b"d"]),
    (CHUNKED, 0, [b"3e8\r\n" + b"a" * 100, b"b" * 200, b"c" * 300, b"d"]),
])  # fmt: skip
def test_nothing_is_read_before_there_is_room_and_nothing_is_held_meanwhile(framing: str, minor: int, pieces: list[bytes]) -> None:
    """Neither what came with the head nor the last piece."""
    first, second, third, fourth = pieces
    relayed = Relayed(framing, first, minor=minor)
    references = [getrefcount(piece) for piece in pieces]
    relayed.source.feed(second)
    assert relayed.upstream.first == b""
    relayed.sink.room = 0
    relayed.source.feed(third)
    assert relayed.sink.waits == "w"
    relayed.sink.make_room(len(third))
    relayed.source.feed(fourth)
    assert relayed.sink.waits == "w", "for room, and with nothing in its hands"
    assert list(relayed.source._inbox) == [fourth]
    now = [getrefcount(piece) for piece in pieces]
    assert now[0] <= references[0]  # which was the same as what had been sent until then
    assert now[1:3] == references[1:3]
    relayed.sink.make_room(None)
    assert relayed.sink.sent.endswith(fourth)


def test_a_slow_sink_holds_the_source_back() -> None:
    """One piece is held; the next is not read before the sink took it."""
    relayed = Relayed(length(10 * BODY_READ), room=1000)
    for _ in range(10):
        relayed.source.feed(b"x" * BODY_READ)
    assert len(relayed.source._inbox) == 9
    relayed.sink.make_room(BODY_READ)
    assert len(relayed.source._inbox) == 8
    relayed.sink.make_room(None)
    assert relayed.surplus is False
    assert len(relayed.body) == 10 * BODY_READ


@pytest.mark.parametrize(("minor", "sent"), [
    (1, [b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"]),
    (0, [b"abc", b"de"]),
])  # fmt: skip
def test_chunks_are_passed_on_as_they_come(minor: int, sent: list[bytes]) -> None:
    """In chunks of ours, or bare."""
    relayed = Relayed(CHUNKED, minor=minor)
    assert relayed.sink.take().endswith(b"\r\n\r\n")
    relayed.source.feed(b"3;x\r\nabc\r\n")
    assert relayed.sink.take() == sent[0]
    relayed.source.feed(b"2\r\nde\r\n0\r\n\r\n")
    assert relayed.sink.take() == sent[1]
    assert relayed.surplus is False


def test_bytes_behind_the_last_chunk_are_told() -> None:
    """They belong to no answer."""
    relayed = Relayed(CHUNKED, b"1\r\na\r\n0\r\n\r\nmore")
    assert relayed.surplus is True
    assert relayed.body == b"1\r\na\r\n0\r\n\r\n"


def test_an_empty_chunked_body() -> None:
    """Leaves in one write with its head."""
    relayed = Relayed(CHUNKED, b"0\r\n\r\n")
    assert relayed.over
    assert relayed.body == b"0\r\n\r\n"


@pytest.mark.parametrize(("minor", "sent"), [(1, b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"), (0, b"ab")])
def test_until_the_end(minor: int, sent: bytes) -> None:
    """A body whose end is the connection's."""
    relayed = Relayed(CLOSE, b"a", minor=minor)
    relayed.source.feed(b"b", EOF)
    assert relayed.body == sent
    assert relayed.surplus is False


FRAMINGS = {"length": (length(10), b""), "chunks": (CHUNKED, b"5\r\n"), "close": (CLOSE, b"")}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("what", ["end", "reset", "silence"])
def test_a_source_that_breaks_off(framing: str, what: str) -> None:
    """Told as a failure, and the end of the body is never written: only the end of a body that has no other end is one."""
    relayed = Relayed(*FRAMINGS[framing])
    relayed.source.feed(b"abc")
    if what == "silence":
        relayed.world.pass_time(4.5)
        assert not relayed.over
        relayed.world.pass_time(1.0)
    else:
        relayed.source.feed(EOF if what == "end" else LOST)
    if framing == "close" and what == "end":
        assert relayed.surplus is False
        return
    assert relayed.failed == ("response_body_timeout" if what == "silence" else "response_truncated")
    assert not relayed.sink.sent.endswith(b"0\r\n\r\n")
    assert relayed.client.bytes_out == len(relayed.sink.sent)


@pytest.mark.parametrize("first", [b"", b"3\r\nabc\r\n"])
def test_bad_chunks_behind_the_head_are_a_failure(first: bytes) -> None:
    """Of an answer that has begun."""
    relayed = Relayed(CHUNKED, first, minor=0)
    relayed.source.feed(b"zz\r\n")
    assert relayed.failed == "response_bad_chunk"
    assert relayed.body == first[3:6]


def test_bad_chunks_beside_the_head_keep_it_back() -> None:
    """It can still be another answer."""
    relayed = Relayed(CHUNKED, b"3\r\nabc\r\nzz\r\n")
    assert relayed.over
    assert relayed.refused == "response_bad_chunk"
    assert relayed.sink.sent == b""
    assert relayed.client.bytes_out == 0


def test_the_answer_of_the_test_is_one() -> None:
    """What this file's pieces are relayed behind parses."""
    assert parse_response(Relayed(CLOSE).head, b"GET", 10).status == 200
