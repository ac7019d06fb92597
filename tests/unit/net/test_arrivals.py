"""Whose input came first is served first, whatever order the loop calls its watchers in."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gsocket

from lbproxy.errors import ConnectionLost
from lbproxy.net.arrivals import Arrivals
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from tests.unit.net.loopback import Watched, loop_rests, sockets, start, until

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


class Noted:
    def __init__(self, name: str, served: list[str], error: bool = False) -> None:
        self.name, self.served, self.error = name, served, error

    def serve(self) -> None:
        self.served.append(self.name)
        if self.error:
            raise RuntimeError("of one")


class Stack:
    """A loop of which one turn is told: how many are still to be called."""

    def __init__(self) -> None:
        self.pendingcnt = 0
        self.callbacks: list[object] = []

    def timer(self, after: float, priority: int) -> Stack:
        assert (after, priority) == (0.0, -1)
        return self

    def feed(self, events: int, callback: object) -> None:
        assert events == 0
        self.callbacks.append(callback)

    def close(self) -> None:
        self.callbacks.clear()


def test_who_comes_alone_waits_for_nobody() -> None:
    stack, served = Stack(), list[str]()
    arrivals = Arrivals(stack)
    assert arrivals.alone(Noted("a", served))
    assert not stack.callbacks
    arrivals.stop()


def test_what_one_lets_out_costs_nobody_his_turn() -> None:
    stack, served = Stack(), list[str]()
    arrivals = Arrivals(stack)
    for left, name in ((2, "c"), (1, "b"), (0, "a")):
        stack.pendingcnt = left
        assert not arrivals.alone(Noted(name, served, error=name == "b"))
    (all_told,) = stack.callbacks
    stack.callbacks.clear()
    with pytest.raises(RuntimeError):
        all_told()  # type: ignore[operator]
    assert served == ["a", "b"]
    (again,) = stack.callbacks
    again()  # type: ignore[operator]
    assert served == ["a", "b", "c"]
