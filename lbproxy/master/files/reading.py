"""A process that reads and judges files that changed, while the master goes on: a disk of the network's may not answer.

It is a fork of the master's, since it opens keys, and ends with its work, as those that judge at a start do (tls/fork.py). What it
read it has put into a store that the master gets, a file without a name: keys are in nobody's memory that lasts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from lbproxy.errors import StartError
from lbproxy.master.processes import anew
from lbproxy.master.system import signals
from lbproxy.tls import fork, passphrase
from lbproxy.tls.keystore import KeyStore

MEMORY = "lbproxy-place"
PLACE = 4096
LARGEST = 16 * 1024 * 1024
"""Bytes of an answer."""

Passing = Callable[[str], object]
"""Told of what is about to be read."""
Work = Callable[[KeyStore, Passing], object]
"""In the process: reads into that store; what it returns is carried as JSON."""


class FileReader:
    """One such process. `close` it."""

    def __init__(self, work: Work) -> None:
        """Raises OSError."""
        self.inbox = KeyStore()
        self._place = os.memfd_create(MEMORY, os.MFD_CLOEXEC)
        self._told = b""
        signals.block()
        try:
            self.pid, self._heard = fork.begin(lambda: work(self.inbox, self._note), self._alone)
        except OSError:
            self.inbox.close()
            os.close(self._place)
            raise
        finally:
            signals.unblock()
        os.set_blocking(self._heard, False)

    def fileno(self) -> int:
        """Readable when there is something to `hear`."""
        return self._heard

    def hear(self) -> Any:
        """What came of it, when it is at its end; None: it is not yet. Raises StartError, OSError."""
        try:
            while more := os.read(self._heard, 65536):
                self._told += more
        except BlockingIOError:
            return None
        if not self._told or len(self._told) > LARGEST:
            raise StartError("the process that reads what changed ended without an answer")
        value = fork.value_of(self._told)
        self.inbox.catch_up()
        return value

    @property
    def passing(self) -> str:
        """The path that it is at; "": none."""
        return os.pread(self._place, PLACE, 0).partition(b"\0")[0].decode("utf-8", "replace")

    def kill(self) -> None:
        """Not reaped yet, so the number is still its own."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Also in a child, whose copies these are."""
        os.close(self._heard)
        os.close(self._place)
        self.inbox.close()

    def _alone(self, said: int) -> None:
        """It may hang for long: no listener, no pipe and no store of the master's may be kept open by it."""
        signals.reset_in_child()
        anew.keep({said, self._place, self.inbox.fileno(), *passphrase.kept()})
        signals.unblock()

    def _note(self, path: str) -> None:
        os.pwrite(self._place, os.fsencode(path)[: PLACE - 1] + b"\0", 0)
