"""A body on its way into the cache: in memory as long as it is short, in a file from then on.

What is not whole at its end is not stored: a body that breaks off, one that becomes too large, a file that cannot be written.
"""

from __future__ import annotations

from lbproxy.cache.interface import IN_MEMORY, Bodies, CacheError, Writing


class Intake:
    """Takes one body, a piece at a time."""

    __slots__ = ("_bodies", "_most", "_pieces", "_size", "_writing", "alive")

    def __init__(self, bodies: Bodies | None, most: int) -> None:
        """`bodies`: None: none is stored that is longer than IN_MEMORY; `most`: bytes of the longest one."""
        self._bodies = bodies
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        self._writing: Writing | None = None
        self.alive = True
        """It can still be stored."""

    def add(self, data: bytes) -> None:
        """More of it; may wait for the disk."""
        if not self.alive or not data:
            return
        self._size += len(data)
        if self._size > self._most:
            self.abandon()
            return
        try:
            if self._writing is not None:
                self._writing.write(data)
                return
            self._pieces.append(data)
            if self._size > IN_MEMORY:
                if self._bodies is None:
                    self.abandon()
                    return
                self._writing = self._bodies.create()
                for piece in self._pieces:
                    self._writing.write(piece)
                self._pieces.clear()
        except CacheError:
            self.abandon()

    @property
    def file(self) -> int:
        """The number of the file that it is in; 0: it is in memory, or nowhere."""
        return 0 if self._writing is None else self._writing.number

    def show(self) -> int:
        """Others may read what is here out of the file that it is in: how many bytes. 0: it is in none; may wait for the disk."""
        if self._writing is None:
            return 0
        try:
            self._writing.show()
        except CacheError:
            self.abandon()
            return 0
        return self._size

    def finish(self) -> tuple[bytes, int, int] | None:
        """All of it is here: the body, or the size and the number of a file, as interface.New has them. None: it is not stored."""
        if not self.alive:
            return None
        self.alive = False
        if self._writing is None:
            return b"".join(self._pieces), -1, 0
        writing, self._writing = self._writing, None
        try:
            return b"", self._size, writing.finish()
        except CacheError:
            writing.abandon()
            return None

    def abandon(self) -> None:
        """It is not stored. Harmless after `finish`, and twice."""
        self.alive = False
        self._pieces.clear()
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.abandon()
