"""Signals as something a selector can wait for: handlers only note the signal, the loop acts on it."""

from __future__ import annotations

import signal
import socket
from collections import deque
from types import FrameType, TracebackType
from typing import Self

TERMINATE = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
HANDLED = (*TERMINATE, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)

IGNORED_BY_CHILDREN = (*TERMINATE, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Terminals (Ctrl-C, Ctrl-\\, hang-up) and supervisors (systemd's KillMode=control-group) signal the whole group; what that means
is the master's decision alone, told over the pipe. A worker that died of such a signal would take its clients' requests with it."""


class Signals:
    """A context: inside it the HANDLED signals are noted, and `fileno` becomes readable; outside all is as before."""

    def __init__(self) -> None:
        self._noted: deque[signal.Signals] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[int, object] = {}

    def fileno(self) -> int:
        return self._reader.fileno()

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in HANDLED}
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)  # full is fine: it is readable, and _noted has them
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned, it takes
        self.close()

    def take(self) -> list[signal.Signals]:
        """What came since the last call, in order."""
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass
        noted = []
        while self._noted:
            noted.append(self._noted.popleft())
        return noted

    def close(self) -> None:
        """Both ends; a child calls it on its copies."""
        self._reader.close()
        self._writer.close()

    def _note(self, number: int, _: FrameType | None) -> None:
        self._noted.append(signal.Signals(number))


def block() -> None:
    """Hold signals back around a fork, so that none reaches the child while it still has the master's handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock() -> None:
    """Let them come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def reset_in_child() -> None:
    """The dispositions a child starts with; to be called between `block` and `unblock`."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in IGNORED_BY_CHILDREN:
        signal.signal(number, signal.SIG_IGN)
