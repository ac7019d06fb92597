"""The files of large stored bodies (cache.interface.Bodies): written once, never changed, read in pieces.

A thread writes, opens and removes. What the page cache has is read by the loop itself (RWF_NOWAIT), all else by the thread. The
last few that were read stay open: a body that is asked for all the time costs no open. A file is removed while others read it;
they read on.

Behind a body stands which one it is (`_end_of`). What is there and does not end so, is no file, or has another length, was changed
by somebody else: it is as if it was gone.

A worker that is killed leaves files that no entry names. Whoever starts, and whoever has written many, looks for those that have
not been written to for a while.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from lbproxy.cache.interface import CacheError
from lbproxy.cache.layout import Counter
from lbproxy.net.job_thread import Job, JobThread
from lbproxy.net.whole_files import read_all, write_all
from lbproxy.net.wire import read_now

PIECE = 64 * 1024
KEPT_OPEN = 64
LEFT_BEHIND = 600.0
"""Seconds without a write, after which a file that no entry names is nobody's."""
SWEEP_AFTER = 4096
"""Files that were created."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OLD = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # of a pipe in its place nobody waits for the other end
_END = struct.Struct("=16sQQ")
_MAGIC = b"lbproxy body\n"


class _Open:
    """An open file, which its readers share."""

    __slots__ = ("fd", "users")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 1


class BodyFiles:
    """The files of one worker; their names are numbers that all workers share."""

    def __init__(self, folder: Path, most: int, count: Callable[[int], None]) -> None:
        """`most`: see Bodies; `count`: is told Counters."""
        self.most = most
        self.numbers: Callable[[], int] = int
        """Gives numbers of new files; 0: none now."""
        self.named: Callable[[], Collection[int]] = tuple
        """Gives the numbers that entries name."""
        self.failing: Callable[[str], object] = str
        """Told why a file could not be written or read, each time."""
        self._folder = folder
        self._count = count
        self._created = 0
        self._open: OrderedDict[int, _Open] = OrderedDict()
        """The last that were asked for come last; each counts as a user of its own."""
        self._files = JobThread("bodies", lambda: None)

    def __repr__(self) -> str:
        return f"<BodyFiles in {self._folder}, {len(self._open)} open>"

    def create(self) -> _Writing:
        """See Bodies."""
        number = self.numbers()
        if not number:
            raise CacheError("no number is to be had")
        path = self._path(number)
        try:
            fd = self._files.call(lambda: os.open(path, _NEW, 0o600), self._abandoned(path))
        except OSError as error:
            raise self._failed(error) from error
        self._created += 1
        if self._created % SWEEP_AFTER == 0:
            self.sweep()
        return _Writing(self, number, fd)

    def open(self, number: int, size: int = -1) -> _Reading | None:
        """See Bodies."""
        found = self._open.get(number)
        if found is None:
            path = self._path(number)
            try:
                fd = self._files.call(lambda: _opened(path, number, size), _close_found)
            except OSError:
                self._count(Counter.FILES_LOST)
                return None
            found = self._open.setdefault(number, _Open(fd))
            if found.fd != fd:  # somebody else has opened it meanwhile
                os.close(fd)
            while len(self._open) > KEPT_OPEN:
                self.release(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(number)
        found.users += 1
        self._count(Counter.FILES_OPENED)
        return _Reading(self, found)

    def at_once(self, number: int, size: int) -> bytes | None:
        """See Bodies."""
        found = self._open.get(number)
        if found is None:
            return None
        self._open.move_to_end(number)
        try:
            data = read_now(found.fd, size, 0)
        except OSError:
            return None  # whoever opens it is told
        if data is not None:
            self._count(Counter.FILES_OPENED)
        return data

    def remove(self, numbers: Collection[int]) -> None:
        """Nobody names them any more; those who read them read on."""
        for number in numbers:
            if (found := self._open.pop(number, None)) is not None:
                self.release(found)
            self._files.post(partial(os.unlink, self._path(number)))

    def sweep(self) -> None:
        """Look for files that nobody names, sometime."""
        self._files.post(self._sweep)

    def close(self) -> None:
        """The thread ends when it has done what it was asked for."""
        self._files.close()

    def release(self, one: _Open) -> None:
        """A user less."""
        one.users -= 1
        if not one.users:
            os.close(one.fd)

    # ---------------------------------------------------------------- for those who read and write

    def read(self, fd: int, at: int, size: int) -> bytes:
        """A piece. Raises CacheError."""
        try:
            data = read_now(fd, size, at)
            return self._files.call(lambda: read_all(fd, size, at)) if data is None else data
        except OSError as error:
            raise self._failed(error) from error

    def write(self, fd: int, data: bytes, at: int) -> None:
        """All of it. Raises CacheError."""
        try:
            self._files.call(lambda: write_all(fd, data, at))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> CacheError:
        why = error.strerror or str(error)
        self._count(Counter.FILE_FAILURES)
        self.failing(why)
        return CacheError(why)

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:016x}"

    def _abandoned(self, path: str) -> Callable[[Job[int]], None]:
        def undo(job: Job[int]) -> None:
            if job.found is not None:
                os.close(job.found)
                self._files.post(lambda: os.unlink(path))

        return undo

    def _sweep(self) -> None:
        """In the thread."""
        oldest = time.time() - LEFT_BEHIND
        found = [entry.name for entry in os.scandir(self._folder) if _number(entry.name)]
        named = set(self.named())
        for name in found:
            path = f"{self._folder}/{name}"
            if _number(name) not in named and os.stat(path).st_mtime < oldest:
                os.unlink(path)


class _Reading:
    """A body that is read (cache.interface.Reading)."""

    __slots__ = ("_file", "_files")

    def __init__(self, files: BodyFiles, file: _Open) -> None:
        self._files = files
        self._file: _Open | None = file

    def read(self, at: int, size: int) -> bytes:
        """See Reading."""
        assert self._file is not None
        return self._files.read(self._file.fd, at, size)

    def close(self) -> None:
        """See Reading. Twice is harmless."""
        file, self._file = self._file, None
        if file is not None:
            self._files.release(file)


class _Writing:
    """A body that is written (cache.interface.Writing)."""

    __slots__ = ("_fd", "_files", "_held", "_length", "_written", "number", "size")

    def __init__(self, files: BodyFiles, number: int, fd: int) -> None:
        self._files = files
        self.number = number
        self._fd = fd
        self._held: list[bytes] = []
        """Until there is a piece."""
        self._length = 0
        """Of what is held."""
        self._written = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """See Writing."""
        self.size += len(data)
        if self.size > self._files.most:
            raise CacheError("larger than all files together may be")
        self._held.append(data)
        self._length += len(data)
        if self._length >= PIECE:
            self._flush()

    def _flush(self) -> None:
        held = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held.clear()
        self._length = 0
        self._files.write(self._fd, held, self._written)
        self._written += len(held)

    def show(self) -> None:
        """See Writing."""
        if self._held:
            self._flush()

    def finish(self) -> int:
        """See Writing."""
        self._held.append(_end_of(self.number, self.size))
        self._flush()
        self._close()
        return self.number

    def abandon(self) -> None:
        """See Writing."""
        if self._fd >= 0:
            self._close()
            self._files.remove((self.number,))

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)


def _end_of(number: int, size: int) -> bytes:
    """What stands behind a whole body."""
    return _END.pack(_MAGIC, number, size)


def _opened(path: str, number: int, size: int) -> int:
    """In the thread: a file that is one of ours; `size`: of its body; -1: that is being written. Raises OSError."""
    fd = os.open(path, _OLD)
    try:
        found = os.fstat(fd)
        whole = size < 0 or (found.st_size == size + _END.size and read_all(fd, _END.size, size) == _end_of(number, size))
        if not stat.S_ISREG(found.st_mode) or not whole:
            raise OSError(errno.ESTALE, "somebody else has changed it")
    except OSError:
        os.close(fd)
        raise
    return fd


def _number(name: str) -> int:
    """0: it is no file of ours."""
    return int(name, 16) if len(name) == 16 and not set(name) - set("0123456789abcdef") else 0


def _close_found(job: Job[int]) -> None:
    if job.found is not None:
        os.close(job.found)
