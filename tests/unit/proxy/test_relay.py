"""One body from a source to a sink: what is held, what is counted, and what becomes of a source that breaks off."""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount

import pytest
from greenlet import greenlet
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import UpstreamError
from lbproxy.proxy.relay import SourceFailed, Transfer
from lbproxy.streams import BODY_READ, NEVER, SWIFT_READ
from tests.unit.proxy.world import EOF, LOST, FakeStream, World

Relay = Callable[[Transfer], object]


class Relayed:
    """A transfer in a greenlet of its own."""

    def __init__(self, work: Relay, room: int | None = None) -> None:
        self.world = World()
        self.source = FakeStream(self.world, "source")
        self.sink = FakeStream(self.world, "sink", room)
        self.transfer = Transfer(self.source, self.sink, self.world.clock, 5.0)
        self.result: object = None
        self.failed = ""
        self._work = work
        self.strand = greenlet(self._run)
        self.strand.switch()

    @property
    def over(self) -> bool:
        return bool(self.strand.dead)

    def _run(self) -> None:
        try:
            self.result = self._work(self.transfer)
        except SourceFailed as error:
            self.failed = error.reason


def given_first(transfer: Transfer, first: bytes) -> Transfer:
    """Something of the body came with its head."""
    transfer._first = first
    return transfer


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.binary(max_size=10))
def test_by_length_counts_to_the_byte(pieces: list[bytes], surplus: bytes) -> None:
    body = b"".join(pieces) + b"."
    relayed = Relayed(lambda transfer: transfer.by_length(b"head|", len(body)))
    for piece in pieces:
        relayed.source.feed(piece)
    assert not relayed.over
    relayed.source.feed(b"." + surplus)
    assert relayed.sink.sent == b"head|" + body
    assert relayed.transfer.written == len(body) + 5
    assert relayed.result is bool(surplus)
    assert relayed.source.deadline == NEVER


def test_pieces_are_large_until_the_sink_is_slow() -> None:
    """So much less is held for each of many slow clients."""
    relayed = Relayed(lambda transfer: transfer.by_length(b"", 10 * SWIFT_READ), room=3 * SWIFT_READ // 2)
    asked = relayed.source.asked
    relayed.source.feed(b"x" * SWIFT_READ)
    relayed.source.feed(b"x" * SWIFT_READ)
    assert asked == [SWIFT_READ, SWIFT_READ]
    relayed.sink.make_room(None)
    relayed.source.feed(b"x" * BODY_READ)
    assert asked == [SWIFT_READ, SWIFT_READ, BODY_READ, BODY_READ], "and stay small"


@pytest.mark.parametrize(("relay", "pieces"), [
    (lambda transfer: transfer.by_length(b"", 10_000), [b"a" * 100, b"b" * 200, b"c" * 300, b"d"]),
    (lambda transfer: transfer.until_close(b"", False), [b"a" * 100, b"b" * 200, b"c" * 300, b"d"]),
    (lambda transfer: transfer.by_chunks(b"", False), [b"3e8\r\n" + b"a" * 100, b"b" * 200, b"c" * 300, b"d"]),
])  # fmt: skip
def test_nothing_is_read_before_there_is_room_and_nothing_is_held_meanwhile(relay: Relay, pieces: list[bytes]) -> None:
    """Neither what came with the head nor the last piece."""
    _, second, third, fourth = pieces
    relayed = Relayed(lambda transfer: relay(given_first(transfer, pieces[0])))
    references = [getrefcount(piece) for piece in pieces]
    relayed.source.feed(second)
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
    relayed = Relayed(lambda transfer: transfer.by_length(b"", 10 * BODY_READ), room=100)
    for _ in range(10):
        relayed.source.feed(b"x" * BODY_READ)
    assert len(relayed.source._inbox) == 9
    relayed.sink.make_room(BODY_READ)
    assert len(relayed.source._inbox) == 8
    relayed.sink.make_room(None)
    assert relayed.result is False
    assert len(relayed.sink.sent) == 10 * BODY_READ


@pytest.mark.parametrize(("rechunk", "sent"), [
    (True, [b"head|", b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"]),
    (False, [b"head|", b"abc", b"de"]),
])  # fmt: skip
def test_chunks_are_passed_on_as_they_come(rechunk: bool, sent: list[bytes]) -> None:
    relayed = Relayed(lambda transfer: transfer.by_chunks(b"head|", rechunk))
    assert relayed.sink.take() == sent[0]
    relayed.source.feed(b"3;x\r\nabc\r\n")
    assert relayed.sink.take() == sent[1]
    relayed.source.feed(b"2\r\nde\r\n0\r\n\r\n")
    assert relayed.sink.take() == sent[2]
    assert relayed.result is False


def test_bytes_behind_the_last_chunk_are_told() -> None:
    relayed = Relayed(lambda transfer: given_first(transfer, b"1\r\na\r\n0\r\n\r\nmore").by_chunks(b"", True))
    assert relayed.result is True
    assert relayed.sink.sent == b"1\r\na\r\n0\r\n\r\n"


def test_an_empty_chunked_body() -> None:
    relayed = Relayed(lambda transfer: given_first(transfer, b"0\r\n\r\n").by_chunks(b"head|", True))
    assert relayed.sink.sent == b"head|0\r\n\r\n"


@pytest.mark.parametrize(("rechunk", "sent"), [(True, b"head|1\r\na\r\n1\r\nb\r\n0\r\n\r\n"), (False, b"head|ab")])
def test_until_the_end(rechunk: bool, sent: bytes) -> None:
    relayed = Relayed(lambda transfer: given_first(transfer, b"a").until_close(b"head|", rechunk))
    relayed.source.feed(b"b", EOF)
    assert relayed.sink.sent == sent
    assert relayed.result is False


WORKS: list[Relay] = [
    lambda transfer: transfer.by_length(b"", 10),
    lambda transfer: given_first(transfer, b"5\r\n").by_chunks(b"", True),
    lambda transfer: transfer.until_close(b"", True),
]


@pytest.mark.parametrize("work", WORKS, ids=["length", "chunks", "close"])
@pytest.mark.parametrize("what", ["end", "reset", "silence"])
def test_a_source_that_breaks_off(work: Relay, what: str) -> None:
    """Told as a failure, and the end of the body is never written: only the end of a body that has no other end is one."""
    relayed = Relayed(work)
    relayed.source.feed(b"abc")
    if what == "silence":
        relayed.world.pass_time(4.5)
        assert not relayed.over
        relayed.world.pass_time(1.0)
    else:
        relayed.source.feed(EOF if what == "end" else LOST)
    if work is WORKS[2] and what == "end":
        assert relayed.result is False
        return
    assert relayed.failed == ("response_body_timeout" if what == "silence" else "response_truncated")
    assert not relayed.sink.sent.endswith(b"0\r\n\r\n")
    assert relayed.transfer.written == len(relayed.sink.sent)


@pytest.mark.parametrize("first", [b"", b"3\r\nabc\r\n"])
def test_bad_chunks_behind_the_head_are_a_failure(first: bytes) -> None:
    relayed = Relayed(lambda transfer: given_first(transfer, first).by_chunks(b"head|", False))
    relayed.source.feed(b"zz\r\n")
    assert relayed.failed == "response_bad_chunk"
    assert relayed.sink.sent == b"head|" + first[3:6]


def test_bad_chunks_beside_the_head_keep_it_back() -> None:
    def work(transfer: Transfer) -> None:
        with pytest.raises(UpstreamError):
            given_first(transfer, b"3\r\nabc\r\nzz\r\n").by_chunks(b"head|", True)

    relayed = Relayed(work)
    assert relayed.over
    assert relayed.sink.sent == b""
    assert relayed.transfer.written == 0
