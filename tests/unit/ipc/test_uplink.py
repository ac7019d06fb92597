"""What a child tells the master waits for room, never for the master."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

import pytest

from lbproxy.errors import StreamError
from lbproxy.ipc.messages import Failed, Message
from lbproxy.ipc.pipe import ChildPipe, MasterPipe, socket_pair
from lbproxy.ipc.uplink import Uplink


class Watcher:
    """Fires while it is started and the descriptor has room, as a level-triggered watcher does."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.callback: Callable[[], None] | None = None

    def start(self, callback: Callable[[], None]) -> None:
        self.callback = callback

    def stop(self) -> None:
        self.callback = None

    def close(self) -> None:
        self.fd = -1

    def turn(self) -> None:
        if self.callback is not None and select.select([], [self.fd], [], 0)[1]:
            self.callback()


class Loop:
    def __init__(self) -> None:
        self.watchers: list[Watcher] = []

    def io(self, fd: int, _: int) -> Watcher:
        self.watchers.append(Watcher(fd))
        return self.watchers[-1]


class Line:
    """Both ends, and what was lost on the way."""

    def __init__(self) -> None:
        ours, theirs = socket_pair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.master, self.child = MasterPipe(ours), ChildPipe(theirs)
        self.lost: list[Message] = []
        self.loop = Loop()
        self.uplink = Uplink(self.child, self.loop, self.note)

    def note(self, message: Message, error: StreamError) -> None:
        assert str(error)
        self.lost.append(message)

    @property
    def watcher(self) -> Watcher:
        return self.loop.watchers[0]


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.uplink.close()
    made.child.close()
    made.master.close()


def test_with_room_it_is_sent_at_once(line: Line) -> None:
    line.uplink.send(Failed("a"))
    assert line.master.receive() == [Failed("a")]
    assert line.watcher.callback is None


def test_without_room_it_is_sent_later_in_order(line: Line) -> None:
    """And the watcher rests once all is out."""
    told: list[Message] = [Failed(f"{number} " + "x" * 200) for number in range(120)]
    for message in told:
        line.uplink.send(message)
    assert line.watcher.callback is not None
    got: list[Message] = []
    while len(got) < len(told):
        got += line.master.receive() or []
        line.watcher.turn()
    assert got == told
    line.watcher.turn()
    assert line.watcher.callback is None
    assert not line.lost


def test_a_master_that_is_gone_costs_the_message_only(line: Line) -> None:
    line.master.close()
    line.uplink.send(Failed("a"))
    assert line.lost == [Failed("a")]


def test_a_master_that_goes_while_something_waits(line: Line) -> None:
    """The watcher must not fire for ever."""
    for _ in range(120):
        line.uplink.send(Failed("x" * 200))
    assert line.watcher.callback is not None
    line.master.close()
    line.watcher.turn()
    assert line.watcher.callback is None
