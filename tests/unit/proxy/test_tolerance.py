"""Pools whose backends may break the grammar: their answers arrive clean, and no connection is used behind one."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot, Scalar, cell_at, scalar_at
from lbproxy.config import model
from lbproxy.proxy.rewriter import Rewriter, RewriteSettings
from lbproxy.remembered import Budget
from tests.unit.proxy.world import EOF, World, get, ok


def tolerant(*words: str) -> World:
    world = World(1, pool=model.PoolConfig("app", (), tolerate=words))
    rewriter = Rewriter(RewriteSettings(tolerate=words), 200, Budget(2**20), None)  # type: ignore[arg-type]
    [(_, destination)] = world.routed
    destination.rewriter = rewriter
    return world


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_line_feeds_everywhere(step: int) -> None:
    """In head, chunks and trailers, wherever the pieces end."""
    world = tolerant("bare_lf")
    client = world.connect()
    client.feed(get())
    answer = b"HTTP/1.1 200 OK\nX-A: b\nTransfer-Encoding: chunked\n\n3\nabc\n4;x\n\r\n\r\n\n0\nX-T: u\n\n"
    for at in range(0, len(answer), step):
        world.upstream.feed(answer[at : at + step])
    said = client.take()
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"\r\nX-A: b\r\n" in head
    assert body.replace(b"3\r\nabc\r\n4\r\n\r\n\r\n\r\n", b"7\r\nabc\r\n\r\n\r\n").endswith(b"0\r\nx-t: u\r\n\r\n")
    assert world.outcomes() == [(200, "")]
    assert world.upstream.end == "close"
    world.at_rest()


def test_a_length_after_line_feeds() -> None:
    """What the body holds is no matter of lines."""
    world = tolerant("bare_lf")
    client = world.connect()
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 200 OK\nContent-Length: 12\n\na\r\n\r\nb\n\ncd\r\n")
    assert client.take().endswith(b"\r\n\r\na\r\n\r\nb\n\ncd\r\n")
    client.feed(get())
    assert len(world.upstreams) == 2, "never on that connection again"
    world.upstream.feed(ok())
    client.feed(get())
    assert len(world.upstreams) == 2, "what was in order keeps it"
    world.upstream.feed(ok())
    world.at_rest()


def test_an_interim_answer_is_enough() -> None:
    """To close behind the final one."""
    world = tolerant("bare_lf")
    client = world.connect()
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 103 Early\nX-A: b\n\n" + ok())
    assert client.take().startswith(b"HTTP/1.1 103 Early\r\nX-A: b\r\n")
    assert world.upstream.end == "close"
    world.at_rest()


def test_elsewhere_nothing_is_tolerated() -> None:
    """Nor what is not named."""
    for world in (World(1), tolerant("obs_fold")):
        client = world.connect()
        client.feed(get())
        world.upstream.feed(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
        assert client.take().startswith(b"HTTP/1.1 502 ")
        assert world.outcomes() == [(502, "response_bare_lf")]
        world.at_rest()


def test_a_head_that_ends_too_late() -> None:
    """Is refused as anywhere."""
    world = tolerant("bare_lf", "field_lines")
    client = world.connect()
    client.feed(get())
    for _ in range(8):
        if not client.sent:
            world.upstream.feed(b"HTTP/1.1 200 OK\n" + b"X: y\n" * 2000)
    assert world.outcomes() == [(502, "response_head_too_large")]
    world.at_rest()


def test_a_head_that_breaks_off() -> None:
    """As well."""
    world = tolerant("bare_lf")
    client = world.connect()
    client.feed(get(method="POST"))
    world.upstream.feed(b"HTTP/1.1 200 OK\nX", EOF)
    assert world.outcomes() == [(502, "response_truncated")]
    world.at_rest()


def test_statuses_above_599() -> None:
    """Pass where they are tolerated, are counted, and are no fault of the backend's; whole, in pieces, to HEAD."""
    world = tolerant("high_status")
    client = world.connect()
    answer = b"HTTP/1.1 999 Denied\r\nContent-Length: 2\r\n\r\nno"
    client.feed(get())
    world.upstream.feed(answer)
    assert client.take().startswith(b"HTTP/1.1 999 Denied\r\n")
    client.feed(get(method="POST"))
    for at in range(len(answer)):
        world.upstream.feed(answer[at : at + 1])
    assert client.take().endswith(b"\r\n\r\nno")
    client.feed(get(method="HEAD"))
    world.upstream.feed(answer[:-2])
    assert client.take().startswith(b"HTTP/1.1 999 Denied\r\n")
    assert len(world.upstreams) == 1, "its connection goes on"
    assert world.outcomes() == [(999, "")] * 3
    counters = world.service.counters
    counters.publish()
    cells = world.ledger.cells
    assert cells[scalar_at(counters.child, Scalar.STATUS_OTHER)] == 3
    assert cells[scalar_at(counters.child, Scalar.REQUESTS)] == 3
    for what in (PerSlot.SERVER_ERRORS, PerSlot.GATEWAY_ERRORS, PerSlot.REFUSED_ANSWERS, PerSlot.FAILURES):
        assert cells[cell_at(counters.child, what, 0)] == 0
    world.at_rest()


def test_statuses_above_599_elsewhere() -> None:
    """Are refused once, as any answer that breaks the grammar."""
    world = tolerant("bare_lf")
    client = world.connect()
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nno")
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "response_status")]
    world.at_rest()
