"""A worker tells conversations to a process that may be slow, stopped or gone, and waits for it never."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from lbproxy.net.tap_link import TapLink
from lbproxy.observe.tapped import LARGEST, Gathering, Tapped, apart
from tests.support.waiting import eventually

SMALL = Tapped("192.0.2.1", "192.0.2.2", 443, b"r" * 100, b"a" * 100, 5.0)
LARGE = SMALL._replace(answer=b"a" * 500_000)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.settimeout(60)
    yield ours, theirs
    ours.close()
    theirs.close()


class Link(TapLink):
    """With an alarm that rings when the test says so."""

    def __init__(self, sock: socket.socket, room: int) -> None:
        self.lost = 0
        self.rings: list[Callable[[], None]] = []
        super().__init__(sock, room, self._count, self._set)

    def _count(self) -> None:
        self.lost += 1

    def _set(self, seconds: float, run: Callable[[], None]) -> object:
        self.rings.append(run)
        return run

    def ring(self) -> None:
        """The moment is over."""
        [run] = self.rings
        self.rings.clear()
        run()


def heard(sock: socket.socket, wanted: int) -> list[Tapped]:
    """So many conversations."""
    gathering, found = Gathering(), list[Tapped]()
    while len(found) < wanted:
        wholes = [gathering.take(each) for each in apart(sock.recv(LARGEST + 1))]
        found += [whole[1] for whole in wholes if whole is not None]
    return found


def test_small_and_large_ones_in_their_order(pair: Pair) -> None:
    """What comes after one that waits comes behind it."""
    link = Link(pair[0], 10**7)
    said = [SMALL, SMALL, LARGE, SMALL, LARGE, SMALL]
    for one in said:
        assert link.take("ids", one)
    link.settle(0.0)
    assert heard(pair[1], len(said)) == said
    assert not link.lost


def test_small_ones_are_told_together(pair: Pair) -> None:
    """When a moment is over, or as many are there as one message holds; each is told once."""
    link = Link(pair[0], 10**7)
    said = [SMALL._replace(port=number) for number in range(3)]
    for one in said:
        assert link.take("ids", one)
    link.ring()
    assert link.rings == []
    pair[1].settimeout(0)
    assert heard(pair[1], 3) == said
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)
    pair[1].settimeout(60)
    many = LARGEST // SMALL.size + 1000
    for _ in range(many):
        assert link.take("ids", SMALL)
    link.ring()
    messages = 0
    while many > 0:
        many -= len([*apart(pair[1].recv(LARGEST + 1))])
        messages += 1
    assert many == 0
    assert messages < 10


def test_nobody_reads(pair: Pair) -> None:
    """Then as much waits as may, and each that finds no room is dropped, at once; nothing of it is lost when somebody does."""
    link = Link(pair[0], 1_000_000)
    answers = [link.take("ids", LARGE) for _ in range(10)]
    assert answers[0]
    assert not answers[-1]
    heard(pair[1], sum(answers))
    eventually(lambda: link._thread.idle, "everything is told")
    assert not link.lost
    assert link.take("ids", SMALL)


def test_small_ones_that_nobody_reads(pair: Pair) -> None:
    """They wait like large ones, in their order, without waking anybody for each; beyond the room they are dropped."""
    link = Link(pair[0], 200_000)
    taken = [number for number in range(10_000) if link.take("ids", SMALL._replace(port=number))]
    assert len(taken) < 10_000
    pair[1].settimeout(120)
    found = heard(pair[1], len(taken) - link.lost - len(link._collected))
    assert [one.port for one in found] == taken[: len(found)]


def test_nobody_is_there(pair: Pair) -> None:
    """All are lost, and counted."""
    link = Link(pair[0], 10**7)
    pair[1].close()
    for _ in range(2):
        assert link.take("ids", SMALL)
    link.ring()
    assert link.lost == 2
    assert link.take("ids", LARGE)
    eventually(lambda: link.lost == 3, "told of it")
