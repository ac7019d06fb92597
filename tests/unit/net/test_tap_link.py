"""A worker tells conversations to a process that may be slow, stopped or gone, and waits for it never."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lbproxy.net.tap_link import TapLink
from lbproxy.observe.tapped import LARGEST, Gathering, Tapped
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


def test_small_and_large_ones_in_their_order(pair: Pair) -> None:
    """What comes after one that waits comes behind it."""
    link = TapLink(pair[0], 10**7, lambda: None)
    said = [SMALL, LARGE, SMALL, LARGE, SMALL]
    for one in said:
        assert link.take("ids", one)
    gathering, found = Gathering(), list[Tapped]()
    while len(found) < len(said):
        whole = gathering.take(pair[1].recv(LARGEST + 1))
        found += [] if whole is None else [whole[1]]
    assert found == said


def test_nobody_reads(pair: Pair) -> None:
    """Then as much waits as may, and each that finds no room is dropped, at once; nothing of it is lost when somebody does."""
    lost: list[int] = []
    link = TapLink(pair[0], 1_000_000, lambda: lost.append(1))
    answers = [link.take("ids", LARGE) for _ in range(10)]
    assert answers[0]
    assert not answers[-1]
    gathering, found = Gathering(), 0
    while found < sum(answers):
        found += gathering.take(pair[1].recv(LARGEST + 1)) is not None
    eventually(lambda: link._thread.idle, "everything is told")
    assert lost == []
    assert link.take("ids", SMALL)


def test_nobody_is_there(pair: Pair) -> None:
    """One that is told at once is dropped; one that waits is lost, and counted."""
    lost: list[int] = []
    link = TapLink(pair[0], 10**7, lambda: lost.append(1))
    pair[1].close()
    assert not link.take("ids", SMALL)
    assert link.take("ids", LARGE)
    eventually(lambda: lost == [1], "told of it")
