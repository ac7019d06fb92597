"""A process that holds keys can do what it is for and nothing else; and who it is followed by when it ends."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import signal
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.ipc.messages import KeyWork, NewKeySocket
from lbproxy.ipc.pipe import ChildPipe, MasterPipe, socket_pair
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Spawn
from lbproxy.master.processes import keys as module
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.processes.keys import KeyProcesses, only_needed
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.system.privileges import no_new_privileges
from lbproxy.sandbox.filter import ARCHITECTURES
from lbproxy.tls.keystore import KeyStore
from tests.support.waiting import eventually
from tests.support.walled import behind, call


def inside(work: Callable[[], object]) -> object:
    """What it gives in a fork behind those walls: a value, or the number of the OSError."""

    def build(theirs: int) -> None:
        no_new_privileges()
        only_needed(theirs + 1)

    return behind(build, work)


@pytest.mark.skipif(platform.machine() not in ARCHITECTURES, reason="no filter for this machine")
@pytest.mark.parametrize("attempt", [
    lambda: os.open("/etc/hostname", os.O_RDONLY), lambda: os.stat("/"), lambda: os.listdir("/"), lambda: os.readlink("/bin/sh"),
    lambda: socket.socket(socket.AF_INET), lambda: socket.socket(socket.AF_UNIX), lambda: socket.socketpair(), os.fork, os.pipe,
    lambda: os.memfd_create("x"), lambda: os.dup(0), lambda: os.kill(os.getppid(), 0), lambda: os.execv("/bin/true", ["true"]),
    lambda: call("ptrace", 16, os.getppid(), 0, 0), lambda: call("prctl", 4, 1, 0, 0, 0), lambda: mmap.mmap(-1, 4096, prot=7),
    lambda: call("getrlimit", 7, ctypes.create_string_buffer(16)), lambda: os.setuid(0), lambda: os.eventfd(0),
    lambda: call("mprotect", 0, 4096, 4),
])  # fmt: skip
def test_what_an_intruder_would_try(attempt: Callable[[], object]) -> None:
    """It is refused, and the process goes on."""
    assert inside(attempt) == "errno EPERM"


class Pipes:
    """The master's end of one worker's pipe, and of control's."""

    def __init__(self) -> None:
        ours, theirs = socket_pair()
        theirs.setblocking(False)
        self.child = ChildPipe(theirs)
        self.worker = Running(3, 1, Role.WORKER, 4711, MasterPipe(ours))
        self.running = {3: self.worker}
        self.told: list[object] = []
        self.on_stranger: list[Callable[[int, int], None]] = []

    def talk(self, running: Running, say: Callable[[MasterPipe], None]) -> None:
        say(running.pipe)

    def control_of(self, _: int) -> Any:
        return SimpleNamespace(row=1, pid=9)

    def tell(self, _: int, message: object) -> None:
        self.told.append(message)

    def close(self) -> None:
        self.child.close()
        self.worker.pipe.close()


def test_one_that_ends_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not more often than it may; its worker gets the other's socket, and control the counts. What a worker asks in vain is counted
    where the worker cannot write."""
    monkeypatch.setattr(module, "LEAST_LIFE", 0.0)
    store = KeyStore()
    resources = cast(GenerationResources, SimpleNamespace(vault=store, config=SimpleNamespace(proxy=SimpleNamespace(walls=True))))
    pipes = Pipes()
    keys = KeyProcesses(cast(ChildPipes, pipes), None, {1: resources}, lambda: (1, resources))
    order = Spawn(1, Role.WORKER, 0, 3)
    begun = keys.begin(order, resources)
    assert begun is not None
    sock, pid = begun
    keys.begun(order, pid, 4711)
    sock.send(b"nonsense")
    assert sock.recv(64) == b"\0"
    keys.look(100.0)
    assert pipes.told == [KeyWork(0, 1, 0)]
    os.kill(pid, signal.SIGTERM)  # of a terminal's group: it is deaf to it
    sock.send(b"nonsense")
    assert sock.recv(64) == b"\0"
    os.kill(pid, signal.SIGSTOP)
    keys.silent(3)
    assert os.waitpid(pid, 0)[0] == pid
    keys.ended(pid)
    assert keys.next_deadline() < float("inf")
    keys.look(1e9)
    assert pipes.child.receive() == [NewKeySocket()]
    with socket.socket(fileno=pipes.child.take_fd()) as other:
        other.send(b"nonsense")
        assert other.recv(64) == b"\0"
    keys.look(2e9)
    assert pipes.told[-1] == KeyWork(0, 3, 1)
    last = keys._holders[3].pid
    eventually(lambda: os.waitpid(last, os.WNOHANG)[0], "it ends with its worker")
    del pipes.running[3]
    keys.look(3e9)
    assert keys.next_deadline() == float("inf")
    sock.close()
    pipes.close()
    store.close()


def test_without_isolation_there_is_none() -> None:
    """Keys are in the workers."""
    pipes = Pipes()
    keys = KeyProcesses(cast(ChildPipes, pipes), None, {}, lambda: None)
    assert keys.begin(Spawn(1, Role.WORKER, 0, 3), cast(GenerationResources, SimpleNamespace(vault=None))) is None
    keys.look(100.0)
    assert not pipes.told
    keys.close_in_child()
    pipes.close()
