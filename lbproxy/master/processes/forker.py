"""A process that forks control, and who looks at files: made before the master reads any key, with all loaded that they run.

So control never has the master's memory, and its successor starts also when the program was replaced on disk, or is gone, by then.
The forker hears two kinds of order: descriptors, the first of them that of the bequest (anew.py), or those of a process that looks
at files (files/looker.py). It forks twice and lets the process in between end, and the kernel gives what is left to the nearest
*subreaper* above (prctl(2)), which the master makes of itself: it reaps control like every child of its own. When the forker dies,
the master executes control instead.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from setproctitle import setproctitle

from lbproxy.config.model import Config
from lbproxy.ipc.handover import ChildMain
from lbproxy.master.files.looker import LOOK
from lbproxy.master.files.looker import live as look
from lbproxy.master.processes import anew
from lbproxy.master.system import signals
from lbproxy.master.system.environment import forget_others
from lbproxy.observe import standard
from lbproxy.sandbox import kernel

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 5.0
"""Seconds for an answer: at the start it loads its modules yet."""
PID = struct.Struct("=i")
MOST_DESCRIPTORS = 8
LIVE = b"fork"

Load = Callable[[Config, str], ChildMain]
"""By the configuration, and the role of who is forked."""
Live = Callable[[anew.Bequest, Load], NoReturn]


class Forker:
    """The master's end of one. `close` it."""

    def __init__(self, ready: Callable[[], Load], live: Live) -> None:
        """`ready` loads the modules, `live` is what a forked process does to its end. Raises OSError."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            _serve(theirs, ready, live)
        theirs.close()
        self._sock.settimeout(PATIENCE)
        _living.append(self)

    def fork(self, descriptors: Sequence[int], what: bytes = LIVE) -> int:
        """The new process's pid; `what` it does. Raises OSError when it cannot be had; then nobody is asked any more."""
        try:
            socket.send_fds(self._sock, [what], descriptors)
            answer = self._sock.recv(PID.size)
            if len(answer) < PID.size:
                raise ConnectionResetError("the forker is gone")
        except OSError as error:
            self._sock.close()
            if isinstance(error, TimeoutError):  # it was stopped, and would carry the order out later, beside what is done instead
                os.kill(self._pid, signal.SIGKILL)  # the master reaps it, like everybody
            raise
        return int(PID.unpack(answer)[0])

    def close_in_child(self) -> None:
        """A child's copy: as long as one is open the forker waits for more."""
        self._sock.close()

    def close(self) -> None:
        """End it."""
        _living.remove(self)
        self._sock.close()
        try:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it died before, and was reaped


_living: list[Forker] = []


def close_copies() -> None:
    """In a child of the master's."""
    for forker in _living:
        forker.close_in_child()


def _serve(sock: socket.socket, ready: Callable[[], Load], live: Live) -> NoReturn:
    try:
        signals.reset_in_child()
        anew.keep({sock.fileno(), *standard.descriptors()})  # what it forks says things by them
        setproctitle("lbproxy: forker")
        forget_others()
        kernel.not_dumpable()
        load = ready()
        while True:
            said, descriptors, _, _ = socket.recv_fds(sock, 16, MOST_DESCRIPTORS)
            if not said:
                break
            do = partial(look, descriptors) if said == LOOK else partial(_live, descriptors, load, live)
            sock.send(PID.pack(_fork_twice(sock, do)))
            for descriptor in descriptors:
                os.close(descriptor)
    finally:
        os._exit(0)  # what went wrong shows in its being gone


def _live(descriptors: Sequence[int], load: Load, live: Live) -> NoReturn:
    live(anew.received(descriptors), load)


def _fork_twice(sock: socket.socket, do: Callable[[], NoReturn]) -> int:
    heard, said = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            pid = os.fork()
            if pid:
                os.write(said, PID.pack(pid))
                os._exit(0)
            for one in (heard, said):
                os.close(one)
            sock.close()
            do()
        finally:
            os._exit(1)
    os.close(said)
    os.waitpid(between, 0)
    told = os.read(heard, PID.size)
    os.close(heard)
    if len(told) < PID.size:
        raise ChildProcessError("no fork")
    return int(PID.unpack(told)[0])
