"""Pipes over real socket pairs: messages and descriptors both ways, partners that are gone, stopped or hostile."""

from __future__ import annotations

import array
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.errors import ConnectionLost, FrameError, StreamError
from lbproxy.ipc.messages import Drain, Drained, Failed, Heartbeat, Message, Quit, Ready, ReopenLogs
from lbproxy.ipc.pipe import QUEUE_LIMIT, ChildPipe, MasterPipe, socket_pair
from tests.support.descriptors import held_open

BEAT = Heartbeat(1, 2, 3, 4)


@pytest.fixture
def ends() -> Iterator[tuple[MasterPipe, ChildPipe]]:
    ours, theirs = socket_pair()
    master, child = MasterPipe(ours), ChildPipe(theirs)
    yield master, child
    master.close()
    child.close()


Ends = tuple[MasterPipe, ChildPipe]


def fill(pipe: MasterPipe | ChildPipe, message: Message) -> int:
    """Send until the kernel takes no more and something is queued."""
    count = 0
    while not pipe.queued:
        pipe.send(message)
        count += 1
    return count


def drain(pipe: MasterPipe | ChildPipe) -> list[Message]:
    """Everything that is in the kernel's buffer now."""
    messages: list[Message] = []
    while more := pipe.receive():
        messages += more
    return messages


def test_both_ways(ends: Ends) -> None:
    master, child = ends
    assert child.receive() == []  # nothing yet is not the end
    child.send(Ready(7))
    child.send(BEAT)
    assert master.receive() == [Ready(7), BEAT]
    master.send(Drain(1500))
    assert child.receive() == [Drain(1500)]


def test_the_end_is_none_after_the_last_message(ends: Ends) -> None:
    master, child = ends
    child.send(Failed("no such module"))
    child.close()
    assert master.receive() == [Failed("no such module")]
    assert master.receive() is None
    assert child.receive() is None  # its own end is closed
    assert child.fileno() == -1


def test_sending_to_somebody_who_is_gone_raises(ends: Ends) -> None:
    master, child = ends
    master.close()
    with pytest.raises(ConnectionLost):
        child.send(BEAT)
    with pytest.raises(ConnectionLost):
        master.send(Quit())


def test_a_slow_partner_gets_everything_in_order_later(ends: Ends) -> None:
    master, child = ends
    sent = fill(child, Failed("x" * 3000))
    child.send(Drained(5))
    assert child.queued
    arrived = drain(master)
    while child.queued:
        child.flush()
        arrived += drain(master)
    assert arrived == [Failed("x" * 3000)] * sent + [Drained(5)]


def test_the_queue_is_bounded(ends: Ends) -> None:
    master, _ = ends
    fill(master, Drain(1))
    while master.queued < QUEUE_LIMIT - 100:
        master.send(Drain(1))
    with pytest.raises(StreamError, match="does not read"):
        master.send(Failed("x" * 200))
    assert master.queued <= QUEUE_LIMIT


def test_heartbeats_never_pile_up(ends: Ends) -> None:
    """A master that is stopped for hours must not make its children believe that it is gone."""
    master, child = ends
    fill(child, BEAT)
    queued = child.queued
    for _ in range(10_000):
        child.send(BEAT)
    assert child.queued == queued
    drain(master)
    child.send(BEAT)  # room again: flushed, and beating
    assert child.queued == 0
    assert drain(master)[-1] == BEAT


def test_a_descriptor_travels_with_its_message(ends: Ends, tmp_path: Path) -> None:
    master, child = ends
    for name in ("one", "two"):
        descriptor = os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY)
        master.send_fd(ReopenLogs(), descriptor)
        os.close(descriptor)
    master.send(Quit())
    messages: list[Message] = []
    while len(messages) < 3:
        messages += child.receive() or []
    assert messages == [ReopenLogs(), ReopenLogs(), Quit()]
    for name in ("one", "two"):
        received = child.take_fd()
        assert not os.get_inheritable(received)
        os.write(received, name.encode())
        os.close(received)
        assert (tmp_path / name).read_text() == name
    assert child.take_fd() == -1


def test_a_queued_descriptor_stays_open_until_it_is_sent(ends: Ends, tmp_path: Path) -> None:
    master, child = ends
    fill(master, Drain(1))
    descriptor = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    master.send_fd(ReopenLogs(), descriptor)
    os.close(descriptor)
    messages = drain(child)
    while master.queued:
        master.flush()
        messages += drain(child)
    assert messages[-1] == ReopenLogs()
    received = child.take_fd()
    os.write(received, b"x")
    os.close(received)


def test_descriptors_that_nobody_takes_are_an_error_that_is_told(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """unix(7): ETOOMANYREFS, when more descriptors are on their way than a process may have open."""
    master, _ = ends

    def refuse(*_: object) -> int:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    monkeypatch.setattr(master, "_write", refuse)
    with pytest.raises(StreamError, match="cannot write to the pipe: Too many references"):
        master.send_fd(ReopenLogs(), 2)


def test_descriptors_are_not_leaked(tmp_path: Path) -> None:
    """Neither those that were never sent nor those that were never taken."""
    before = held_open()
    ours, theirs = socket_pair()
    master, child = MasterPipe(ours), ChildPipe(theirs)
    with open(tmp_path / "log", "wb") as log:
        master.send_fd(ReopenLogs(), log.fileno())
        assert child.receive() == [ReopenLogs()]
        fill(master, Drain(1))
        master.send_fd(ReopenLogs(), log.fileno())
    master.close()
    child.close()
    assert held_open() <= before


def test_a_child_cannot_push_descriptors_into_the_master() -> None:
    ours, theirs = socket_pair()
    master = MasterPipe(ours)
    before = held_open()
    theirs.sendmsg([b"\0\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    assert master.receive() == []
    assert held_open() <= before
    master.close()
    theirs.close()


def test_garbage_poisons_the_pipe() -> None:
    ours, theirs = socket_pair()
    master = MasterPipe(ours)
    theirs.sendall(b"GET / HTTP/1.1\r\n")
    for _ in range(2):
        with pytest.raises(FrameError):
            master.receive()
        theirs.sendall(b"\0\0\0\x0f" + b'{"kind":"Quit"}')
    master.close()
    theirs.close()


def test_no_event_loop_is_imported() -> None:
    """The master must never load gevent's hub; a child brings its own watcher."""
    code = "import sys, lbproxy.ipc.pipe; sys.exit('gevent' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
