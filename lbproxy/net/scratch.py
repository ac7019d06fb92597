"""A worker's scratch file: what pools buffer beyond memory, in blocks of a file that has no name.

Theory of operation. A write to a file is a copy into the page cache, some 20 us for a block, until the kernel finds too much of the
cache dirty, or the disk (or the network behind it) stalls: then it lasts as long as the disk likes, and with it the loop and every
client. So a thread does all of it, one job after another, and only the greenlet whose block it is waits. One thread: a page cache
is not made faster by two, and the job that cuts the file must not be overtaken by a write.

One file a worker and not one a body: it is opened while the process may still open files wherever the configuration says, needs no
descriptor per client, and goes with its worker, however that ends. Blocks that were freed are used again; when none is in use the
file is cut to nothing.

A greenlet may be thrown out of its wait. Its block is given back when the thread is done with it, not before.
"""

from __future__ import annotations

import errno
import heapq
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from lbproxy.errors import ScratchError
from lbproxy.streams import BLOCK

_switch_to = greenlet.switch  # see tcp_stream


class _Job:
    """Something for the thread to do."""

    __slots__ = ("abandoned", "error", "found", "over", "run", "waiter")

    def __init__(self, run: Callable[[], bytes], waiter: greenlet | None) -> None:
        self.run = run
        self.waiter = waiter
        self.found = b""
        self.error: OSError | None = None
        self.over = False
        self.abandoned: Callable[[], None] | None = None
        """What is left to do when it is over and nobody waits for it any more."""


class ScratchFile:
    """The scratch file of one worker (streams.Scratch), which a thread reads and writes."""

    def __init__(self, fd: int) -> None:
        """Takes over `fd`."""
        self._fd = fd
        self._free: list[int] = []
        self._end = 0
        """Blocks that the file has, in use or not."""
        self._in_use = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: deque[_Job] = deque()
        self._hub = get_hub()
        self._bell: Any = self._hub.loop.async_()
        self._bell.start(self._on_done)
        self._thread = threading.Thread(target=self._work, name="scratch", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<ScratchFile {self._in_use} of {self._end} blocks>"

    def write(self, data: bytes) -> int:
        """See Scratch."""
        block = self._take()
        job = self._begin(lambda: _write(self._fd, data, block * BLOCK))
        try:
            self._await(job)
        except ScratchError:
            self.free(block)
            raise
        except BaseException:
            job.abandoned = lambda: self.free(block)
            raise
        return block

    def read(self, block: int, size: int) -> bytes:
        """See Scratch."""
        return self._await(self._begin(lambda: _read(self._fd, size, block * BLOCK)))

    def free(self, block: int) -> None:
        """See Scratch."""
        self._in_use -= 1
        if self._in_use:
            heapq.heappush(self._free, block)
            return
        self._free.clear()
        self._end = 0
        self._jobs.put(_Job(self._cut, None))

    def close(self) -> None:
        """The thread ends when it has done what it was asked for."""
        self._jobs.put(None)
        self._bell.stop()
        self._bell.close()

    def _take(self) -> int:
        """The lowest free block, so that the file stays short."""
        self._in_use += 1
        if self._free:
            return heapq.heappop(self._free)
        self._end += 1
        return self._end - 1

    # ---------------------------------------------------------------- a greenlet waits

    def _begin(self, run: Callable[[], bytes]) -> _Job:
        job = _Job(run, getcurrent())
        self._jobs.put(job)
        return job

    def _await(self, job: _Job) -> bytes:
        try:
            _switch_to(self._hub)
        finally:
            job.waiter = None
        if job.error is not None:
            raise ScratchError(job.error.strerror or str(job.error)) from job.error
        return job.found

    def _on_done(self) -> None:
        """From the event loop: the thread has rung, for one job or several."""
        while self._done:
            job = self._done.popleft()
            if job.waiter is not None:
                job.waiter.switch()
            elif job.abandoned is not None:
                job.abandoned()

    # ---------------------------------------------------------------- in the thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.found = job.run()
            except OSError as error:
                job.error = error
            self._done.append(job)
            self._bell.send()
        os.close(self._fd)

    def _cut(self) -> bytes:
        os.ftruncate(self._fd, 0)
        return b""


def _write(fd: int, data: bytes, at: int) -> bytes:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view, at = view[done:], at + done
    return b""


def _read(fd: int, size: int, at: int) -> bytes:
    pieces = []
    while size:
        piece = os.pread(fd, size, at)
        if not piece:
            raise OSError(errno.EIO, "the file is shorter than what was written")
        pieces.append(piece)
        size, at = size - len(piece), at + len(piece)
    return b"".join(pieces)
