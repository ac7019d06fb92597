"""Reads and writes of files by a thread: all of it, or OSError."""

from __future__ import annotations

import errno
import os


def write_all(fd: int, data: bytes, at: int) -> bytes:
    """For the thread: all of it; b"". Raises OSError."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view, at = view[done:], at + done
    return b""


def read_all(fd: int, size: int, at: int) -> bytes:
    """For the thread: all of it. Raises OSError."""
    pieces = []
    while size:
        piece = os.pread(fd, size, at)
        if not piece:
            raise OSError(errno.EIO, "the file is shorter than what was written")
        pieces.append(piece)
        size, at = size - len(piece), at + len(piece)
    return b"".join(pieces)
