"""Lines to standard output and error that never wait for whoever reads them.

What it must cope with: the reader of a pipe sleeps (a supervisor that was stopped, a container runtime), a terminal was stopped by
Ctrl-S, the journal's socket is full. A plain write(2) then sleeps as well, and with it the master, then each worker.

The plan: an *outlet* writes without waiting, keeps what is not taken (up to LIMIT bytes), drops and counts whole lines beyond that,
and goes on when there is room again: with the next line, or when the process's loop calls `flush` (observe/standard.py).

Why not simply O_NONBLOCK on the descriptor: that flag belongs to the *open file description*, which the shell, the supervisor and
every other program on that terminal share; their reads and writes would begin to fail (and one of them that clears the flag would
put us to sleep again). Nor a look with poll(2) before a blocking write: another process of ours may fill the last page in between,
and a terminal that has room for one byte is "writable". So:

- a pipe or terminal is opened once more through /proc/self/fd, which makes a description of our own with a flag of our own. The
  account that children drop to may have no right to that: the master opens it, children inherit it (a process that executes itself
  anew opens it again while it is still privileged);
- a socket cannot be opened again, but takes MSG_DONTWAIT with each call;
- where neither works (no /proc, a terminal that belongs to another user) poll(2) has to do, with small pieces;
- a file is written as it stands: it has no reader. A disk that is full costs the lines, which are counted. What another process of
  ours left torn there is ended first.

No thread, because the master forks, and because lines have to stand in the order in which they were said.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

LIMIT = 256 * 1024
"""Bytes that wait for the reader: about a thousand events."""
PIECE = 256
"""Bytes at a time where only poll(2) tells whether a terminal has room: writable is what has any (n_tty_poll, WAKEUP_CHARS)."""
LOOK = 0.01

Send = Callable[[bytes], int]
"""Write as much as is taken at once. Raises BlockingIOError when that is nothing, another OSError when it is lost."""


class Outlet:
    """One of the standard descriptors. Single-threaded, as its process's loop is."""

    def __init__(self, number: int, limit: int = LIMIT) -> None:
        self.number = number
        self.descriptor = number
        """For those who can only write to a descriptor (faulthandler): our own, where there is one."""
        self.dropped = 0
        """Lines; whoever tells it sets it back."""
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._torn = False
        self._failed = False
        self._reader = -1
        self._socket: socket.socket | None = None
        self._pid = os.getpid()
        self._send = self._open()

    @property
    def waiting(self) -> bool:
        """Whether something is kept for a reader who does not read."""
        return bool(self._waiting)

    def write(self, lines: bytes) -> None:
        """Whole lines, now or later; or dropped and counted."""
        self._notice_fork()
        if self._waiting and not self.flush():
            self._keep(lines)
            return
        self._keep(lines, self._some(lines))

    def flush(self) -> bool:
        """Write what waits, as far as it is taken; whether nothing is left."""
        self._notice_fork()
        while self._waiting:
            lines = self._waiting.popleft()
            self._size -= len(lines)
            sent = self._some(lines)
            if 0 <= sent < len(lines):
                self._waiting.appendleft(lines[sent:])
                self._size += len(lines) - sent
                return False
        return True

    def drain(self, seconds: float) -> bool:
        """Wait at most so long for it to be taken: a process's last words."""
        until = time.monotonic() + seconds
        while not self.flush():
            if time.monotonic() >= until:
                return False
            time.sleep(LOOK)
        return True

    def descriptors(self) -> set[int]:
        """Our own: not the inherited one."""
        return {self.descriptor, self._reader} - {self.number, -1}

    def stop_sharing(self) -> None:
        """In a child, while it may: no description is its parent's as well, neither our own nor the inherited one."""
        if self.descriptor == self.number or self._socket is not None:
            return
        self.descriptor = unshared(self.descriptor)
        os.dup2(self.descriptor, self.number, inheritable=True)

    def close(self) -> None:
        """Our own descriptors; the inherited one stays open."""
        if self._socket is not None:
            self._socket.close()
        elif self.descriptor != self.number:
            os.close(self.descriptor)
        if self._reader >= 0:
            os.close(self._reader)

    def _keep(self, lines: bytes, sent: int = 0) -> None:
        """The part that was not sent; -1: all of it is lost already."""
        rest = lines[sent:] if sent >= 0 else b""
        if not rest:
            return
        if self._size + len(rest) > self._limit:
            self.dropped += rest.count(b"\n")
            return
        self._waiting.append(rest)
        self._size += len(rest)

    def _some(self, lines: bytes) -> int:
        """How many bytes were taken, 0 for none yet; -1: the rest is lost, and counted."""
        torn = self._torn if self._reader < 0 else self._failed and ends_torn(self._reader)
        lines, extra = (b"\n" + lines, 1) if torn else (lines, 0)
        done = 0
        try:
            while done < len(lines):
                done += self._send(lines[done:])
                self._torn = self._failed = False
        except BlockingIOError:
            return max(0, done - extra)
        except OSError:  # a full disk, a reader or terminal that is gone: the next line may fare better
            self._failed = True
            if done:
                self._torn = lines[done - 1 : done] != b"\n"
            self.dropped += lines[max(done, extra) :].count(b"\n")
            return -1
        return done - extra

    def _notice_fork(self) -> None:
        """What waits is the parent's to say."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._waiting.clear()
            self._size = self.dropped = 0

    def _open(self) -> Send:
        try:
            mode = os.fstat(self.number).st_mode
        except OSError:
            return self._plainly
        if stat.S_ISSOCK(mode):
            return self._as_socket()
        if not stat.S_ISFIFO(mode) and not os.isatty(self.number):
            if stat.S_ISREG(mode):
                self._reader = _opened_again(self.number, os.O_RDONLY)
            return self._plainly
        own = _opened_again(self.number, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        if own < 0:
            return self._polled
        self.descriptor = own
        return self._plainly

    def _plainly(self, data: bytes) -> int:
        return os.write(self.descriptor, data)

    def _polled(self, data: bytes) -> int:
        poll = select.poll()
        poll.register(self.number, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError
        return os.write(self.number, data[:PIECE] if os.isatty(self.number) else data[: select.PIPE_BUF])

    def _as_socket(self) -> Send:
        import socket  # not for the verbs that look at a file and end

        self._socket = sock = socket.socket(fileno=os.dup(self.number))
        self.descriptor = sock.fileno()
        return lambda data: sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def ends_torn(reader: int) -> bool:
    """Whether the file's last line has no end: it would be joined with the next. False when that cannot be told."""
    try:
        size = os.fstat(reader).st_size if reader >= 0 else 0
        return size > 0 and os.pread(reader, 1, size - 1) != b"\n"
    except OSError:
        return False


def unshared(descriptor: int) -> int:
    """Of a pipe or terminal that is written to: a descriptor of our own, whose O_NONBLOCK nobody else can take away, nor we theirs;
    the one that was given is closed then. Where that cannot be had, or does not matter, it stays as it is."""
    try:
        waits = descriptor >= 0 and (stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor))
    except OSError:
        return descriptor
    own = _opened_again(descriptor, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY) if waits else -1
    if own < 0:
        return descriptor
    os.close(descriptor)
    return own


def _opened_again(number: int, flags: int) -> int:
    """A description of our own of what an inherited descriptor is open on; -1 when we may not, or there is no /proc."""
    try:
        return os.open(f"/proc/self/fd/{number}", flags | os.O_CLOEXEC)
    except OSError:
        return -1
