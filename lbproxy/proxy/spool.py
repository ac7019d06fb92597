"""A body that waits: its first bytes in memory, what is more in blocks of the scratch file, in the order in which they came.

It never refuses what it is given. But it says when it is `full` (more than memory and file are meant to hold, or the file cannot be
written), and then whoever fills it goes over to passing on what comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lbproxy.errors import ScratchError
from lbproxy.streams import BLOCK, Scratch

OnFailure = Callable[[str], None]
"""Told why the file cannot be used."""


class Stored(NamedTuple):
    """A piece in the scratch file."""

    block: int
    size: int


class Spool:
    """One body's. `put`, `read` and `pop` may wait for the file; one greenlet may fill while another one empties."""

    __slots__ = ("_failed", "_in_file", "_in_memory", "_memory", "_most", "_on_failure", "_pieces", "_scratch", "size")

    def __init__(self, scratch: Scratch | None, memory: int, most: int, on_failure: OnFailure) -> None:
        """`memory`, `most`: bytes in memory and in the file; without a file, or when it fails, memory is all there is."""
        self._scratch = scratch
        self._memory = memory
        self._most = most if scratch is not None else 0
        self._on_failure = on_failure
        self._pieces: deque[bytearray | Stored] = deque()
        self._in_memory = self._in_file = 0
        self._failed = False
        self.size = 0
        """Bytes that were ever put."""

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def full(self) -> bool:
        """What is put now would be too much."""
        return self._in_memory >= self._memory and (self._failed or self._in_file + BLOCK > self._most)

    def put(self, data: bytes) -> None:
        """At the end. Small pieces are gathered: a client that sends two bytes at a time must not cost more than they do."""
        last = self._pieces[-1] if self._pieces else None
        if not isinstance(last, bytearray) or len(last) >= BLOCK:
            last = bytearray()
            self._pieces.append(last)
        last += data
        self.size += len(data)
        self._in_memory += len(data)
        while len(last) >= BLOCK and self._in_memory > self._memory and not self.full:
            last = self._move(last)

    def _move(self, last: bytearray) -> bytearray:
        """The first block of the last piece goes into the file; what is left of it."""
        assert self._scratch is not None
        moving = self._pieces.pop()
        assert moving is last
        whole, rest = bytearray(last[:BLOCK]), bytearray(last[BLOCK:])
        self._pieces.append(whole)
        if rest:
            self._pieces.append(rest)
        try:
            block = self._scratch.write(bytes(whole))
        except ScratchError as error:
            self._failed = True
            self._on_failure(str(error))
            return rest
        for index in range(len(self._pieces) - 1, -1, -1):
            if self._pieces[index] is whole:
                self._pieces[index] = Stored(block, BLOCK)
                self._in_memory -= BLOCK
                self._in_file += BLOCK
                return rest
        self._scratch.free(block)  # it was taken while it was being written
        return rest

    def read(self, index: int) -> bytes:
        """A piece, which stays. Raises ScratchError."""
        piece = self._pieces[index]
        if isinstance(piece, bytearray):
            return bytes(piece)
        assert self._scratch is not None
        return self._scratch.read(piece.block, piece.size)

    def pop(self) -> bytes:
        """The first piece, which goes; b"" when there is none. Raises ScratchError."""
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if isinstance(piece, bytearray):
            self._in_memory -= len(piece)
            return bytes(piece)
        assert self._scratch is not None
        self._in_file -= piece.size
        try:
            return self._scratch.read(piece.block, piece.size)
        finally:
            self._scratch.free(piece.block)

    def clear(self) -> None:
        """Nobody wants the rest."""
        for piece in self._pieces:
            if isinstance(piece, Stored) and self._scratch is not None:
                self._scratch.free(piece.block)
        self._pieces.clear()
        self._in_memory = self._in_file = 0
