"""Writes the access log without ever holding up the worker.

A disk that stalls or a pipe whose reader sleeps would stop the event loop and every client with it. So a thread does the writing,
fed with batches; what it cannot take is dropped, counted, and told in the metrics.
"""

from __future__ import annotations

import os
import queue
import select
import stat
import threading

BACKLOG = 64 * 1024 * 1024
"""Bytes that may wait for the disk: some seconds at full load."""


class LogWriter:
    """Owns `fd` from now on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._chunk = _atomic_size(fd)
        self._queue: queue.SimpleQueue[bytes | int | None] = queue.SimpleQueue()
        self._taken = 0  # bytes so far; written by the loop alone, and what follows by the thread alone: no lock is needed
        self._done = 0
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, batch: bytes) -> bool:
        """Take whole lines; False: the log is too far behind, and the batch was dropped."""
        if self._taken - self._done > BACKLOG:
            return False
        self._taken += len(batch)
        self._queue.put(batch)
        return True

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
                os.close(self._fd)
                self._fd, self._chunk = item, _atomic_size(item)
                continue
            self._write(item)
            self._done += len(item)

    def _write(self, batch: bytes) -> None:
        at = 0
        while at < len(batch):
            end = len(batch) if not self._chunk else _line_end(batch, at, self._chunk)
            try:
                at += os.write(self._fd, batch[at:end])
            except BlockingIOError:
                poll = select.poll()  # stdout was made non-blocking by whoever shares it; select() minds descriptors above 1023
                poll.register(self._fd, select.POLLOUT)
                poll.poll(1000)
            except OSError:
                return  # disk full, reader gone: this batch is lost, the next may fare better


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
