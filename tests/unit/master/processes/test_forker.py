"""A process that forks for us: what comes of it is our own child, and has its descriptors and not our memory."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

import pytest

from lbproxy.config.model import Config
from lbproxy.ipc.handover import ChildMain
from lbproxy.master.processes import anew
from lbproxy.master.processes import forker as module
from lbproxy.master.processes.forker import Forker, close_copies
from lbproxy.observe import standard


def ready() -> Callable[[Config, str], ChildMain]:
    return lambda config, role: lambda handover: 0


def live(bequest: anew.Bequest, load: Callable[[Config, str], ChildMain]) -> NoReturn:
    """Says who it is, over the pipe it was given, and lives until that ends."""
    os.write(bequest.pipe, b"%d %d" % (os.getpid(), os.getppid()))
    os.read(bequest.pipe, 1)
    os._exit(7)


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bequest that is all in its descriptors."""
    found = anew.Bequest(None, None, {}, None, -1, -1, -1, -1, {}, {})  # type: ignore[arg-type]
    monkeypatch.setattr(anew, "received", lambda descriptors: found._replace(pipe=descriptors[0]))


@pytest.mark.usefixtures("received")
def test_what_it_forks_is_ours_to_reap() -> None:
    """As if we had forked it; several, one after the other."""
    forker = Forker(ready, live)
    for _ in range(2):
        ours, theirs = socket.socketpair()
        pid = forker.fork([theirs.fileno()])
        theirs.close()
        said = ours.recv(100).split()
        assert int(said[0]) == pid
        ours.close()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    forker.close()


@pytest.mark.usefixtures("received")
@pytest.mark.parametrize("killed", [True, False])
def test_one_that_is_gone_is_an_error_at_once(killed: bool) -> None:
    """Killed, or dead of what it could not load: the caller has another way."""

    def cannot() -> Callable[[Config, str], ChildMain]:
        raise ImportError

    forker = Forker(ready if killed else cannot, live)
    if killed:
        os.kill(forker._pid, signal.SIGKILL)
    os.waitpid(forker._pid, 0)
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011  # whichever comes first
            forker.fork([0])
    forker.close()


@pytest.mark.usefixtures("received")
def test_one_that_is_stopped_is_an_error_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is ended: the order must not be carried out later, beside what is done instead."""
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    forker = Forker(ready, live)
    os.kill(forker._pid, signal.SIGSTOP)
    os.waitpid(forker._pid, os.WUNTRACED)
    with pytest.raises(TimeoutError):
        forker.fork([0])
    assert os.waitstatus_to_exitcode(os.waitpid(forker._pid, 0)[1]) == -signal.SIGKILL
    forker.close()


def test_it_ends_with_the_last_copy_of_our_end() -> None:
    """A worker must not keep it when the master is killed."""
    forker = Forker(ready, live)
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        close_copies()
        os.read(heard, 1)
        os._exit(0)
    forker.close_in_child()
    assert os.waitstatus_to_exitcode(os.waitpid(forker._pid, 0)[1]) == 0
    os.close(said)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(heard)
    forker.close()


def into_socket() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


@pytest.mark.usefixtures("received")
@pytest.mark.parametrize("two", [os.pipe, into_socket], ids=["pipe", "socket"])
def test_what_it_forks_is_heard(two: Callable[[], tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the outlet that was there before: without its descriptor lines go into whatever gets that number."""

    def speak(bequest: anew.Bequest, load: Callable[[Config, str], ChildMain]) -> NoReturn:
        standard.outlet(2).write(b"names.failed\n")
        os._exit(int(standard.outlet(2).dropped))

    monkeypatch.setattr(standard, "_outlets", {})
    heard, said = two()
    before = os.dup(2)
    os.dup2(said, 2)
    try:
        outlet = standard.outlet(2)
        forker = Forker(ready, speak)
        pid = forker.fork([0])
        status = os.waitpid(pid, 0)[1]
        forker.close()
        outlet.close()
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(said)
    assert os.waitstatus_to_exitcode(status) == 0
    assert os.read(heard, 100) == b"names.failed\n"
    os.close(heard)
