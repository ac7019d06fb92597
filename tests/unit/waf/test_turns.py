"""Of the inspectors around one socket those look that are needed, and in an order that keeps their caches warm."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from lbproxy.waf.turns import Progress, Turns

HOLD = b"hold"


class Line:
    """Inspectors around one socket, each a process, who say their names for each question; HOLD holds an eager one for good."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(60)
        self.progress = Progress()
        self.pids: dict[int, int] = {}

    def start(self, rank: int, eager: int) -> None:
        self.progress.born(rank)
        reader, writer = os.pipe()
        self.pids[rank] = pid = os.fork()
        if pid == 0:
            self._look_on(rank, eager, writer)
        os.close(writer)
        assert select.select([reader], [], [], 60)[0]  # it waits in line now, or will, once there is nothing to take
        os.close(reader)

    def _look_on(self, rank: int, eager: int, writer: int) -> None:
        try:
            self.ours.close()
            turns = Turns(self.theirs, self.progress, rank, eager)
            os.write(writer, b"x")
            while (data := turns.take(100)) != b"":
                held = data == HOLD and rank < eager
                self.theirs.send(b"held" if held else b"%d" % rank)
                while held:
                    signal.pause()
                turns.done()
        finally:
            os._exit(0)

    def ask(self, question: bytes = b"?") -> bytes:
        self.ours.send(question)
        return self.ours.recv(100)

    def hold(self) -> None:
        """An eager one; on a busy machine a patient one may be quicker, and go on."""
        _eventually(lambda: self.ask(HOLD) == b"held")

    def end(self, rank: int) -> None:
        pid = self.pids.pop(rank)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    for rank in [*made.pids]:
        made.end(rank)
    made.ours.close()
    made.theirs.close()
    made.progress.close()


def test_who_is_patient_steps_in(line: Line) -> None:
    """While the eager one looks at something that takes long, or is dead; it is the eager one's turn again when that is over."""
    line.start(0, 1)
    line.start(1, 1)
    line.hold()
    assert [line.ask() for _ in range(3)] == [b"1"] * 3
    line.end(0)
    assert line.ask() == b"1"
    line.start(0, 1)
    _eventually(lambda: line.ask() == b"0")


def test_several_are_eager(line: Line) -> None:
    """Then one that is held up keeps nobody waiting."""
    for rank in range(2):
        line.start(rank, 2)
    line.hold()
    assert len({line.ask() for _ in range(3)}) == 1


def test_the_end_of_who_asks_is_seen(line: Line) -> None:
    """By whoever waits, eager or patient."""
    line.start(0, 1)
    line.start(1, 1)
    line.theirs.close()
    line.ours.close()
    for rank in range(2):
        os.waitpid(line.pids.pop(rank), 0)


def test_progress_is_each_ones_own() -> None:
    """Of the first ones, and whatever others do."""
    progress = Progress()
    before = progress.looks(2), progress.births(2)
    progress.looked(2)
    progress.born(2)
    assert (progress.looks(2), progress.births(2)) == before
    progress.looked(1)
    assert progress.looks(2) != before[0]
    progress.born(0)
    assert progress.births(2) != before[1]
    progress.close()


def _eventually(met: Callable[[], bool]) -> None:
    """With each try another question; how many it takes the scheduler decides."""
    for _ in range(10_000):
        if met():
            return
    raise AssertionError("it never happened")
