"""The lock of those who write to the cache's memory: a record lock (fcntl(2)), which the kernel takes from a process that ends,
however.

It costs two system calls, which only writers pay. It is a process's, not a thread's: one thread of each process writes. A holder
that is stopped (SIGSTOP, a debugger) is waited for once, and then passed by for a while: what is not stored is asked for again.
"""

from __future__ import annotations

import fcntl
import os
import time

PATIENCE = 0.01
"""Seconds; a holder that was only set aside by the scheduler comes back within that."""
PASSED_BY = 1.0
_PAUSE = 0.0002


class RecordLock:
    """Lock (interface.Lock), on a file that all processes have open."""

    __slots__ = ("_fd", "_passed_by_until")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._passed_by_until = 0.0

    def take(self) -> bool:
        """See Lock."""
        if self._try():
            self._passed_by_until = 0.0
            return True
        now = time.monotonic()
        if now < self._passed_by_until:
            return False
        while time.monotonic() < now + PATIENCE:
            time.sleep(_PAUSE)
            if self._try():
                return True
        self._passed_by_until = now + PASSED_BY
        return False

    def _try(self) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except OSError:
            return False
        return True

    def give(self) -> None:
        """See Lock."""
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1)

    def __repr__(self) -> str:
        return f"<RecordLock on {os.readlink(f'/proc/self/fd/{self._fd}')}>"
