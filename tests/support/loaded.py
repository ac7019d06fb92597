"""Starts of lbproxy with its modules loaded: forks of a process that has loaded them and done nothing else.

Loading them is two thirds of what a start costs in CPU time, and there are hundreds of starts. What a fork begins with is what
execve(2) would have made, as far as lbproxy can tell: a session of its own, descriptors 0 to 2 and no other, the working folder and
the environment (in a changed one, and under a command, it is executed: process.py). Nor is it reaped behind the back of whoever
started it: its number stays its own until its end was waited for.

    python -m tests.support.loaded DESCRIPTOR       the process that is forked; it ends with the socket's other end
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache

_NUMBER = struct.Struct("=i")
_LONGEST = 65536
_DESCRIPTORS = 4
"""0 to 2, and a socket to tell the end by."""

ROOM_FOR_TITLES = 1000
"""A process's title stands where its arguments stood, and ps shows a longer one in another way."""


class Started:
    """One of them; what is used here of subprocess.Popen."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self._end = end
        self._returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code (negative: of the signal that killed it); None: it lives."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one. Raises subprocess.TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("lbproxy", timeout or 0)
        return code

    def kill(self) -> None:
        """SIGKILL."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self._returncode is None and select.select([self._end], [], [], timeout)[0]:
            self._returncode = _NUMBER.unpack(self._end.recv(_NUMBER.size))[0]
            self._end.send(b".")
            self._end.recv(1)  # its end: done
            self._end.close()
        return self._returncode


class Loaded:
    """The process that is forked, as those see it who want forks."""

    def __init__(self, folder: str) -> None:
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        self._environment = _environment()
        command = [sys.executable, "-m", "tests.support.loaded", str(theirs.fileno()), "-" * ROOM_FOR_TITLES]
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=folder, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        """Of whom all forks are children."""
        return self._process.pid

    def fits(self) -> bool:
        """Whether a fork finds the environment that it would be executed with."""
        return self._environment == _environment()

    def start(self, arguments: Sequence[str], stdin: int, stdout: int, stderr: int) -> Started:
        """`lbproxy ARGUMENTS` on these descriptors, which remain the caller's."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with self._turn, theirs:
            socket.send_fds(self._sock, [json.dumps(list(arguments)).encode()], [stdin, stdout, stderr, theirs.fileno()])
            told = self._sock.recv(_NUMBER.size)
        assert told, "the process that is forked is gone"
        return Started(_NUMBER.unpack(told)[0], ours)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@cache
def loaded(folder: str) -> Loaded:
    """The one of this process of pytest's."""
    return Loaded(folder)


# ---------------------------------------------------------------- the process that is forked


def _arguments(sock: socket.socket) -> list[str] | None:
    """Of lbproxy, in a fork; None when nobody wants any more."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    living: dict[int, tuple[int, int]] = {}
    """By the descriptor of the process: its pid, and the socket to tell its end by."""
    ended: dict[int, int] = {}
    """By the socket: the pid of whom somebody waits for."""
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == sock.fileno():
                said, descriptors, _, _ = socket.recv_fds(sock, _LONGEST, _DESCRIPTORS)
                if not said:
                    return None
                if not (pid := os.fork()):
                    _begin(sock, descriptors)
                    return [str(one) for one in json.loads(said)]
                for one in descriptors[:3]:
                    os.close(one)
                process = os.pidfd_open(pid)
                living[process] = pid, descriptors[3]
                poll.register(process, select.POLLIN)
            elif descriptor in living:  # it ended, and stays until its end is known
                poll.unregister(descriptor)
                pid, told = living.pop(descriptor)
                _tell(descriptor, told)
                os.close(descriptor)
                ended[told] = pid
                poll.register(told, select.POLLIN)
            else:
                poll.unregister(descriptor)
                os.waitpid(ended.pop(descriptor), 0)
                os.read(descriptor, 1)  # what is unread would reset the other end
                os.close(descriptor)


def _begin(sock: socket.socket, descriptors: Sequence[int]) -> None:
    """What execve(2) and whoever calls it do."""
    os.setsid()
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    sock.send(_NUMBER.pack(os.getpid()))
    sock.detach()  # its number will be another's
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _tell(process: int, told: int) -> None:
    found = os.waitid(os.P_PIDFD, process, os.WEXITED | os.WNOWAIT)
    assert found is not None
    code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
    try:
        os.write(told, _NUMBER.pack(code))
    except OSError:
        pass  # nobody wants to know


def _main() -> int:
    from lbproxy.cli import main, start  # noqa: F401  # and what the latter loads when it runs
    from lbproxy.config import load  # noqa: F401
    from lbproxy.net import preload

    preload.modules()
    gc.collect()
    gc.freeze()
    arguments = _arguments(socket.socket(fileno=int(sys.argv[1])))
    return 0 if arguments is None else main(arguments)


if __name__ == "__main__":
    sys.exit(_main())
