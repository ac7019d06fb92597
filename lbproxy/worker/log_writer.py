"""Writes the access log without ever holding up the worker.

A disk that stalls or a pipe whose reader sleeps would stop the event loop and every client with it. So a thread does the writing,
fed with batches; what it cannot take is dropped, counted, and told.

A disk that is full takes part of a batch. Of that, whole lines stay and the torn one is taken back, or it would be joined with the
next line of whoever writes first when there is room again. All workers write to the file in turns for that (a lock per batch):
only then is what stands behind a torn line nobody else's. Where it cannot be taken back (a pipe, a file that is not only
appended to), it is ended before the next line.
"""

from __future__ import annotations

import fcntl
import os
import queue
import select
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

BACKLOG = 64 * 1024 * 1024
"""Bytes that may wait for the disk: some seconds at full load."""


class Lost(NamedTuple):
    """Lines that were taken and could not be written."""

    lines: int
    why: str


NOTHING = Lost(0, "")


class LogWriter:
    """Owns `fd` from now on."""

    def __init__(self, fd: int) -> None:
        self._target = _Target(fd)
        self._queue: queue.SimpleQueue[bytes | int | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lost = NOTHING
        self._good = True
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, batch: bytes) -> bool:
        """Take whole lines; False: the log is too far behind, and the batch was dropped."""
        with self._lock:
            if self._waiting > BACKLOG:
                return False
            self._waiting += len(batch)
        self._queue.put(batch)
        return True

    @property
    def flows(self) -> bool:
        """The last batch was written, and none waits."""
        return self._good and not self._waiting

    def take_lost(self) -> Lost:
        """What could not be written since the last call, and why it was last."""
        if self._lost is NOTHING:
            return NOTHING
        with self._lock:
            lost, self._lost = self._lost, NOTHING
            return lost

    def reopen(self, fd: int) -> None:
        """Go on in `fd`, after what was taken so far."""
        self._queue.put(fd)

    def close(self, timeout: float) -> None:
        """Write what is there, for at most `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, int):
                os.close(self._target.fd)
                self._target = _Target(item)
                continue
            lost = self._target.write(item)
            with self._lock:
                self._waiting -= len(item)
                self._good = not lost.lines
                if lost.lines:
                    self._lost = Lost(self._lost.lines + lost.lines, lost.why)


class _Target:
    """What is written to, by the thread alone."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._chunk = _atomic_size(fd)
        self._file = _is_file(fd)
        self._appends = self._file and bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)
        self._torn = False
        """The last line that was written has no end."""

    def write(self, batch: bytes) -> Lost:
        """Whole lines, or as many as are taken."""
        if not self._file:
            return self._write(batch)
        with self._turn():
            return self._write(batch)

    def _write(self, batch: bytes) -> Lost:
        before = self._size()
        if self._torn:
            batch, extra = b"\n" + batch, 1
        else:
            extra = 0
        at = 0
        while at < len(batch):
            end = len(batch) if not self._chunk else _line_end(batch, at, self._chunk)
            try:
                at += os.write(self.fd, batch[at:end])
                self._torn = False
            except BlockingIOError:
                poll = select.poll()  # stdout was made non-blocking by whoever shares it; select() minds descriptors above 1023
                poll.register(self.fd, select.POLLOUT)
                poll.poll(1000)
            except OSError as error:  # disk full, reader gone: this batch is lost, the next may fare better
                self._mend(batch, at, before)
                return Lost(batch.count(b"\n", max(at, extra)), error.strerror or str(error))
        return NOTHING

    def _mend(self, batch: bytes, at: int, before: int) -> None:
        """The first `at` bytes of the batch were written behind `before`: take back a line that has no end."""
        if at == 0 or batch[at - 1 : at] == b"\n":
            return
        self._torn = True
        if self._appends and self._size() == before + at:
            try:
                os.ftruncate(self.fd, before + batch.rfind(b"\n", 0, at) + 1)
                self._torn = False
            except OSError:
                pass  # append-only files (chattr +a): it is ended later

    def _size(self) -> int:
        return os.fstat(self.fd).st_size if self._appends else 0

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Alone among the processes that write here this way."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            yield
            return
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN)


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _atomic_size(fd: int) -> int:
    """How many bytes a write may have so that writes of several workers do not mix; 0: any.

    In a pipe that is PIPE_BUF; files opened for appending take any size.
    """
    try:
        return select.PIPE_BUF if stat.S_ISFIFO(os.fstat(fd).st_mode) else 0
    except OSError:
        return 0


def _line_end(batch: bytes, at: int, size: int) -> int:
    """The end of the last line that ends within `size` bytes of `at`; of the first line if none does."""
    end = batch.rfind(b"\n", at, at + size)
    if end < 0:
        end = batch.find(b"\n", at)
    return end + 1 if end >= 0 else len(batch)
