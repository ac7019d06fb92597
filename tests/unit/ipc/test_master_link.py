"""A child's link to the master: every kind of thing that can come, handed on once; heartbeats that tell how late they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lbproxy.errors import FrameError, StreamError
from lbproxy.ipc.master_link import MasterLink
from lbproxy.ipc.messages import HEARTBEAT_INTERVAL, Heartbeat, Message, Quit, Ready, Serve
from lbproxy.ipc.pipe import MasterPipe, socket_pair


class Watcher:
    """As the loop's, set off by the test."""

    def __init__(self) -> None:
        self.callback: Callable[[], None] | None = None

    def start(self, callback: Callable[[], None]) -> None:
        self.callback = callback

    def stop(self) -> None:
        self.callback = None

    def close(self) -> None:
        pass


class Told:
    """A child that notes what it is told."""

    def __init__(self) -> None:
        ours, theirs = socket_pair()
        self.socket, self.master = ours, MasterPipe(ours)
        self.said: list[object] = []
        self.watchers: list[Watcher] = []
        self.link = MasterLink(theirs, self, self)
        self.link.start(100.0)

    def io(self, fd: int, events: int, priority: int | None = None) -> Watcher:
        self.watchers.append(Watcher())
        return self.watchers[-1]

    def obey(self, message: Message) -> None:
        self.said.append(message)

    def on_master_gone(self) -> None:
        self.said.append("gone")

    def on_malformed(self, error: FrameError) -> None:
        self.said.append("malformed")

    def on_lost(self, message: Message, error: StreamError) -> None:
        self.said.append(("lost", message))

    def readable(self) -> bool:
        """What the loop does when something came; False: nobody listens any more."""
        callback = self.watchers[0].callback
        if callback is not None:
            callback()
        return callback is not None


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    yield made
    made.link.close()
    made.master.close()


def test_messages_arrive_in_order(told: Told) -> None:
    """Both ways."""
    told.master.send(Serve())
    told.master.send(Quit())
    assert told.readable()
    assert told.said == [Serve(), Quit()]
    told.link.send(Ready(4711))
    assert told.master.receive() == [Ready(4711)]


def test_the_end_is_told_once(told: Told) -> None:
    """After everything that came before it; then nothing is read any more, and what is sent is lost."""
    told.master.send(Serve())
    told.master.close()
    assert told.readable()
    assert told.readable()
    assert not told.readable()
    assert told.said == [Serve(), "gone"]
    told.link.send(Ready(4711))
    assert told.said[2:] == [("lost", Ready(4711))]


def test_nonsense_ends_it(told: Told) -> None:
    """It is told what it was, and no more of it is read."""
    told.socket.send(b"\xff" * 64)
    assert told.readable()
    assert not told.readable()
    assert told.said == ["malformed"]


def test_heartbeats_tell_how_late_they_are(told: Told) -> None:
    """Each against the one before."""
    due = told.link.next_beat()
    assert due == 100.0 + HEARTBEAT_INTERVAL
    assert told.link.lag_ms(due) == 0
    assert told.link.lag_ms(due + HEARTBEAT_INTERVAL + 0.25) == 250
    assert told.link.next_beat() == due + 2 * HEARTBEAT_INTERVAL + 0.25
    assert told.link.lag_ms(due) == 0, "it came early"
    told.link.send(Heartbeat(250, 1, 0, 0))
    assert told.master.receive() == [Heartbeat(250, 1, 0, 0)]
