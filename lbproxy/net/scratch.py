"""A worker's scratch file: what pools buffer beyond memory, in blocks of a file that has no name.

Theory of operation. A thread does all of it (job_thread.py), one job after another. One thread: a page cache is not made faster by
two, and the job that cuts the file must not be overtaken by a write.

One file a worker and not one a body: it is opened while the process may still open files wherever the configuration says, needs no
descriptor per client, and goes with its worker, however that ends. Blocks that were freed are used again; when none is in use the
file is cut to nothing.

A greenlet may be thrown out of its wait. Its block is given back when the thread is done with it, not before.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable

from lbproxy.errors import ScratchError
from lbproxy.net.job_thread import Job, JobThread
from lbproxy.net.whole_files import read_all, write_all
from lbproxy.streams import BLOCK


class ScratchFile:
    """The scratch file of one worker (streams.Scratch), which a thread reads and writes."""

    def __init__(self, fd: int) -> None:
        """Takes over `fd`."""
        self._fd = fd
        self._free: list[int] = []
        self._end = 0
        """Blocks that the file has, in use or not."""
        self._in_use = 0
        self._files = JobThread("scratch", lambda: os.close(fd))

    def __repr__(self) -> str:
        return f"<ScratchFile {self._in_use} of {self._end} blocks>"

    def write(self, data: bytes) -> int:
        """See Scratch."""
        block = self._take()
        try:
            self._call(lambda: write_all(self._fd, data, block * BLOCK), lambda _: self.free(block))
        except ScratchError:
            self.free(block)
            raise
        return block

    def read(self, block: int, size: int) -> bytes:
        """See Scratch."""
        return self._call(lambda: read_all(self._fd, size, block * BLOCK))

    def free(self, block: int) -> None:
        """See Scratch."""
        self._in_use -= 1
        if self._in_use:
            heapq.heappush(self._free, block)
            return
        self._free.clear()
        self._end = 0
        self._files.post(self._cut)

    def close(self) -> None:
        """The thread ends when it has done what it was asked for."""
        self._files.close()

    def _take(self) -> int:
        """The lowest free block, so that the file stays short."""
        self._in_use += 1
        if self._free:
            return heapq.heappop(self._free)
        self._end += 1
        return self._end - 1

    def _call(self, run: Callable[[], bytes], abandoned: Callable[[Job[bytes]], None] | None = None) -> bytes:
        try:
            return self._files.call(run, abandoned)
        except OSError as error:
            raise ScratchError(error.strerror or str(error)) from error

    def _cut(self) -> bytes:
        os.ftruncate(self._fd, 0)
        return b""
