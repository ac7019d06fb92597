"""Writes the access log without ever holding up the worker.

A disk that stalls or a pipe whose reader sleeps would stop the event loop and every client with it. So a thread does the writing,
fed with batches; what it cannot take is dropped, counted, and told.

The thread and the event loop share the interpreter, and each time the thread comes back from the kernel the loop has to give way.
So it writes all that has come since the last time in one go, then sleeps for a moment, and is woken only when it has had nothing
to do: at 50,000 requests a second it asks for the interpreter 250 times a second instead of 1,500. As long as there is something to
write each time, and little of it, the moment gets longer (`next_pause`): at 1,000 requests a second it comes ten times a second.

A disk that is full takes part of a batch. Of that, whole lines stay and the torn one is taken back, or it would be joined with the
next line of whoever writes first when there is room again. All workers write to the file in turns for that (a lock per batch):
only then is what stands behind a torn line nobody else's. Where it cannot be taken back (a pipe, a file that is not only
appended to, a turn that does not come), it is ended before the next line.
"""

from __future__ import annotations

import fcntl
import os
import queue
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

BACKLOG = 64 * 1024 * 1024
"""Bytes that may wait for the disk: some seconds at full load."""
AT_ONCE = 256 * 1024
"""Bytes that are written in one go."""
APART, FAR_APART = 0.02, 0.1
"""Seconds from one go to the next: at least, and at most."""
LITTLE, MUCH = 32 * 1024, 96 * 1024
"""Bytes of one go that make the next one wait for longer, or not for so long."""
TURN_PATIENCE = 1.0
"""Seconds that one waits for one's turn at the file: whoever keeps it longer is stopped, or does so on purpose."""
TURN_PAUSE = 0.001
TURN_GIVEN_UP = 30.0
"""Seconds in which nobody waits again after that."""


class Lost(NamedTuple):
    """Lines that were taken and could not be written."""

    lines: int
    why: str


NOTHING = Lost(0, "")


class LogWriter:
    """Owns `fd` from now on.

    One thread fills the queue and one empties it; what both look at is written by one of them alone, so there is nothing to lock.
    """

    def __init__(self, fd: int) -> None:
        self._target = _Target(fd)
        self._queue: deque[bytes | int | None] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._resting = False
        """The thread waits for the bell, or is about to."""
        self._taken = 0
        self._done = 0
        """Bytes that were taken, and those of them that were written or lost."""
        self._lost = NOTHING
        self._told = 0
        """All lines that were lost, and those of them that somebody was told of."""
        self._good = True
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, batch: bytes) -> bool:
        """Take whole lines; False: the log is too far behind, and the batch was dropped."""
        if self._taken - self._done > BACKLOG:
            return False
        self._taken += len(batch)
        self._put(batch)
        return True

    @property
    def flows(self) -> bool:
        """The last batch was written, and none waits."""
        return self._good and self._taken == self._done

    def take_lost(self) -> Lost:
        """What could not be written since the last call, and why it was last."""
        lost = self._lost
        if lost.lines == self._told:
            return NOTHING
        news = Lost(lost.lines - self._told, lost.why)
        self._told = lost.lines
        return news

    def reopen(self, fd: int) -> None:
        """Go on in `fd`, after what was taken so far."""
        self._put(fd)

    def close(self, timeout: float) -> None:
        """Write what is there, for at most `timeout` seconds."""
        self._put(None)
        self._thread.join(timeout)

    def _put(self, item: bytes | int | None) -> None:
        self._queue.append(item)
        if self._resting:
            self._resting = False
            self._bell.put(None)

    def _run(self) -> None:
        waiting, pause = self._queue, APART
        while True:
            if not waiting:
                self._resting = True
                if not waiting:  # else what came in between may have found nobody resting
                    self._bell.get()
                self._resting = False
                pause = APART
                continue
            item = waiting.popleft()
            if item is None:
                return
            if isinstance(item, int):
                os.close(self._target.fd)
                self._target = _Target(item)
                continue
            batch = self._with_those_behind(item)
            self._write(batch)
            time.sleep(pause)
            pause = next_pause(pause, len(batch))

    def _with_those_behind(self, batch: bytes) -> bytes:
        batches, size, waiting = [batch], len(batch), self._queue
        while waiting and size < AT_ONCE and isinstance(more := waiting[0], bytes):
            batches.append(more)
            size += len(more)
            waiting.popleft()
        return b"".join(batches)

    def _write(self, batch: bytes) -> None:
        lost = self._target.write(batch)
        if lost.lines:
            self._lost = Lost(self._lost.lines + lost.lines, lost.why)
        self._good = not lost.lines
        self._done += len(batch)


def next_pause(pause: float, written: int) -> float:
    """Seconds to sleep behind the next go; it was `pause` behind the last one, of `written` bytes, and more has come since."""
    if written < LITTLE:
        return min(pause * 1.5, FAR_APART)
    return max(pause / 2, APART) if written > MUCH else pause


class _Target:
    """What is written to, by the thread alone."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._chunk = _atomic_size(fd)
        self._file = _is_file(fd)
        self._appends = self._file and bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)
        self._torn = False
        """The last line that was written has no end."""
        self._given_up = -TURN_GIVEN_UP
        """When its turn did not come."""

    def write(self, batch: bytes) -> Lost:
        """Whole lines, or as many as are taken."""
        if not self._file:
            return self._write(batch, alone=False)
        with self._turn() as alone:
            return self._write(batch, alone)

    def _write(self, batch: bytes, alone: bool) -> Lost:
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
                self._mend(batch, at, before if alone else -1)
                return Lost(batch.count(b"\n", max(at, extra)), error.strerror or str(error))
        return NOTHING

    def _mend(self, batch: bytes, at: int, before: int) -> None:
        """The first `at` bytes of the batch were written behind `before` (-1: who knows): take back a line that has no end."""
        if at == 0 or batch[at - 1 : at] == b"\n":
            return
        self._torn = True
        if self._appends and before >= 0 and self._size() == before + at:
            try:
                os.ftruncate(self.fd, before + batch.rfind(b"\n", 0, at) + 1)
                self._torn = False
            except OSError:
                pass  # append-only files (chattr +a): it is ended later

    def _size(self) -> int:
        return os.fstat(self.fd).st_size if self._appends else 0

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Whether we are alone among the processes that write here this way; not, where the turn does not come."""
        alone = self._take_turn()
        try:
            yield alone
        finally:
            if alone:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)

    def _take_turn(self) -> bool:
        until = time.monotonic() + TURN_PATIENCE
        while True:
            try:
                fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except (BlockingIOError, PermissionError):  # fcntl(2): EAGAIN or EACCES
                pass
            except OSError:  # a file system without locks
                return False
            now = time.monotonic()
            if now < self._given_up + TURN_GIVEN_UP:
                return False
            if now >= until:
                self._given_up = now
                return False
            time.sleep(TURN_PAUSE)


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
