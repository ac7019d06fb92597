"""HTTP/2 on a listener: bounds, keys, and clients without TLS that may speak either."""

from __future__ import annotations

import base64

import pytest

from lbproxy.config.model import LimitsConfig
from lbproxy.http.h2.bounds import LARGEST_FRAME
from lbproxy.http.h2.vocabulary import PREFACE
from lbproxy.worker.accept.h2_setup import PriorKnowledge, bounds, websocket_key
from tests.unit.proxy.world import EOF, LOST, FakeStream, World


def test_the_engines_limits_stand_above_those_that_have_an_answer() -> None:
    """Else a client whose head is a little too large would lose its connection instead of getting 431."""
    assert bounds(LimitsConfig()).streams == 128
    for limits in (LimitsConfig(), LimitsConfig(head=1 << 20, fields=10_000, streams=7)):
        found = bounds(limits)
        assert found.streams == limits.streams
        assert found.list_count > limits.fields + 10
        assert found.list_size > limits.head + 32 * limits.fields
        assert (found.continuations + 1) * LARGEST_FRAME > found.list_size


def test_keys_are_sixteen_random_bytes() -> None:
    """RFC 6455 4.1."""
    keys = {websocket_key() for _ in range(20)}
    assert len(keys) == 20
    assert {len(base64.b64decode(key)) for key in keys} == {16}


class Choice:
    """A client of a plain listener, and what was made of it."""

    def __init__(self) -> None:
        self.world = World()
        self.stream = FakeStream(self.world, "newcomer")
        self.chosen: list[tuple[bool, bytes]] = []
        self.world.limit.acquire_anyway()
        PriorKnowledge(self.world.service, self.stream, self.world.limit, lambda h2, data: self.chosen.append((h2, data)))

    @property
    def counted(self) -> int:
        return self.world.ledger.cells[_connections()]


def _connections() -> int:
    from lbproxy.balance.ledger import Scalar, scalar_at

    return scalar_at(0, Scalar.CONNECTIONS)


@pytest.mark.parametrize("piece", [1, 10, 100])
def test_the_preface_tells(piece: int) -> None:
    """In any pieces; what was read is handed on."""
    choice = Choice()
    said = PREFACE + b"more"
    for at in range(0, len(said), piece):
        if not choice.chosen:
            choice.stream.feed(said[at : at + piece])
    [(is_h2, data)] = choice.chosen
    assert is_h2
    assert said.startswith(data)
    assert len(data) >= len(PREFACE)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n", b"P", b"PRI * HTTP/1.1\r\n\r\n", b"\r\n"])
def test_anything_else_is_http1(said: bytes) -> None:
    """As soon as it cannot be the preface; "P" alone can."""
    choice = Choice()
    choice.stream.feed(said)
    if said == b"P":
        assert choice.chosen == []
        choice.stream.feed(b"OST / HTTP/1.1\r\n")
        said += b"OST / HTTP/1.1\r\n"
    assert choice.chosen == [(False, said)]


def test_who_says_nothing_is_let_go() -> None:
    """In the time of a head, and gives its place back; so does who goes away."""
    late = Choice()
    late.world.pass_time(11.0)
    assert (late.stream.end, late.counted, late.chosen) == ("finish", 0, [])
    for end in (EOF, LOST):
        gone = Choice()
        gone.stream.feed(end)
        assert (gone.stream.end, gone.counted, gone.chosen) == ("abort", 0, [])
    halfway = Choice()
    halfway.stream.feed(b"PRI", LOST)
    assert (halfway.stream.end, halfway.counted) == ("abort", 0)
    drip = Choice()
    drip.stream.feed(b"PRI")
    drip.world.pass_time(11.0)
    assert (drip.stream.end, drip.counted) == ("abort", 0)
