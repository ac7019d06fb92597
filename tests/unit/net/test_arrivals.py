"""Whose input came first is served first, whatever order the loop calls its watchers in."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gsocket
from gevent.hub import get_hub

from lbproxy.errors import ConnectionLost
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.net.work_budget import LAST
from tests.unit.net.loopback import Watched, loop, loop_rests, result, sockets, start, until

Pair = tuple[TcpStream, gsocket.socket]
MANY = 8


@pytest.fixture
def pairs(deadlines: Deadlines) -> Iterator[list[Pair]]:
    made = []
    for _ in range(MANY):
        ours, peer = sockets()
        made.append((TcpStream(ours, deadlines, 5.0), peer))
    gevent.sleep(0.001)  # the kernel is told of them
    yield made
    for stream, peer in made:
        stream.close()
        peer.close()


def test_requests_that_wait_are_served_in_the_order_of_their_coming(pairs: list[Pair]) -> None:
    """Again and again, and by connections in whatever order they were made."""
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    for _ in range(3):
        served = list[int]()

        def serve(number: int, served: list[int] = served) -> None:
            pairs[number][0].read(100)
            served.append(number)

        jobs = [start(lambda number=number: serve(number)) for number in range(MANY)]  # type: ignore[misc]
        for number in order:
            pairs[number][1].send(b"x")  # no turn of the loop between them
        until(lambda jobs=jobs: all(job.over for job in jobs), "all are served")  # type: ignore[misc]
        assert served == order


def test_what_was_read_meanwhile_is_told_to_nobody(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads in the same turn, after it was noted and before it is served: an owner would take nothing for a pipelined
    request, or an idle connection for one that its backend has spoilt. (Who was put off reads so, where this is compiled.)"""
    told = list[int]()
    last = pairs[-1][0]

    def note(number: int) -> None:
        told.append(number)
        if number == 0:
            last.unread = True
            assert last.read(100) == b"x"

    owners = [Watched(stream, take=True) for stream, _ in pairs]
    for number, owner in enumerate(owners):
        monkeypatch.setattr(owner, "on_readable", lambda number=number: note(number))
    for _, peer in pairs:
        peer.send(b"x")
    until(lambda: len(told) >= MANY - 1, "the others are told")
    loop_rests()
    assert set(told) == set(range(MANY - 1))


def test_owners_are_told_in_that_order_too(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[int]()
    owners = [Watched(stream, take=True) for stream, _ in pairs]
    for number, owner in enumerate(owners):
        monkeypatch.setattr(owner, "on_readable", lambda number=number: told.append(number))
    for number in range(MANY):
        pairs[number][1].send(b"x")
    until(lambda: len(told) >= MANY, "all are told")
    assert told == list(range(MANY))


def test_one_that_was_closed_or_put_aside_meanwhile_is_passed_over(pairs: list[Pair]) -> None:
    """By another whose input came before."""
    read = list[bytes]()

    def first() -> None:
        pairs[0][0].read(100)
        pairs[1][0].close()

    def closed() -> None:
        with pytest.raises(ConnectionLost):
            pairs[1][0].read(100)
        read.append(b"lost")

    jobs = [start(first), start(closed), start(lambda: read.append(pairs[2][0].read(100)))]
    for number in range(3):
        pairs[number][1].send(b"%d" % number)
    until(lambda: all(job.over for job in jobs), "all go on")
    assert sorted(read) == [b"2", b"lost"]
    assert loop_rests()


def test_what_one_lets_out_costs_nobody_his_turn(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop hears of it, as of what a watcher lets out."""
    told, errors = list[int](), list[object]()

    def tell(number: int) -> None:
        told.append(number)
        if number == 1:
            raise RuntimeError("of one")

    owners = [Watched(stream, take=True) for stream, _ in pairs]
    for number, owner in enumerate(owners):
        monkeypatch.setattr(owner, "on_readable", lambda number=number: tell(number))
    monkeypatch.setattr(get_hub(), "handle_error", lambda *facts: errors.append(facts[2]))
    for _, peer in pairs:
        peer.send(b"x")
    until(lambda: len(set(told)) == MANY, "all are told")
    assert list(dict.fromkeys(told)) == list(range(MANY))
    assert "of one" in str(errors[0])


def test_who_is_late_has_been_read_before(deadlines: Deadlines, pairs: list[Pair]) -> None:
    """Whatever else waits for the end of a turn: a sweep that comes with the input finds nobody late whose input is here."""
    jobs = [start(lambda stream=stream: stream.read(100)) for stream, _ in pairs]  # type: ignore[misc]
    for stream, peer in pairs:
        stream.deadline = 0.0
        peer.send(b"x")
    last = loop().timer(0.0, priority=LAST)
    last.start(deadlines.sweep)
    until(lambda: all(job.over for job in jobs), "all are served")
    assert [result(job) for job in jobs] == [b"x"] * MANY
    last.close()
