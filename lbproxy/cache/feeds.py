"""Feeds: bodies on their way into the cache, as other workers are given them while they come (interface.Feeding).

A feed is a slot of the shared memory with an answer's meta and, behind it, its body from the first byte on, so that whoever comes
late has all of it. A body that is too long for memory goes on in the file that it is written into, and the slot says in which, and
how far others may read. Its leader writes there without a lock, first bytes, then how many there are, then that it is whole. A slot
is taken from nobody who lives: one that is stopped and goes on must not write into another one's. When it is over, what is there
stays for a moment, so that all who follow have read it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from lbproxy.cache.interface import IN_MEMORY, Lock, Part
from lbproxy.cache.layout import Stretch

_HEADER = struct.Struct("=16sQQQIIQ")
"""Digest, number of the slot's use, owner (0: nobody), until when it is left alone, length of the meta, nothing, size."""
HEADER = 128
_FAR = 56
_COUNTS = struct.Struct("=QQQ")
"""There: bytes of the body that may be read, the file that has them (0: the slot has), whether that is all."""
BROKEN = 2**64 - 1
"""In the place of the first: nothing more comes, and what is there is worth nothing."""
UNKNOWN = 2**64 - 1
"""The size of a body of which nobody knows how long it is."""
MOST_SIZE = 2**62
NOBODY = bytes(16)
KEPT = 2_000
"""Milliseconds for which a slot is left alone when its leader has done with it."""


def _no_fence() -> None:
    """Loads and stores are in order."""


class FeedSlot:
    """One slot, as a leader writes it, or as somebody reads it."""

    __slots__ = ("_at", "_fence", "_number", "_room", "_view", "meta", "size")

    def __init__(
        self, view: memoryview, at: int, room: int, number: int, meta: bytes, size: int, fence: Callable[[], None]
    ) -> None:  # fmt: skip
        """`room`: for the body; `number`: of this use of the slot; `size`: -1: nobody knows."""
        self._view = view
        self._at = at
        self._room = room
        self._number = number
        self._fence = fence
        self.meta = meta
        self.size = size

    def add(self, data: bytes) -> None:
        """See interface.Feed."""
        there, file, _ = self._counts()
        if file or there + len(data) > self._room or there + len(data) > self._most:  # also BROKEN
            self.end(False, 0)
            return
        start = self._at + HEADER + len(self.meta) + there
        self._view[start : start + len(data)] = data
        self._fence()
        self._count(there + len(data), 0)

    def in_file(self, number: int, there: int) -> None:
        """See interface.Feed. First where, then how much: who sees the second sees the first."""
        before, file, _ = self._counts()
        if before == BROKEN or there > self._most:
            self.end(False, 0)
            return
        if file != number:
            self._count(before, number)
            self._fence()
        self._count(there, number)

    def end(self, whole: bool, now: int) -> None:
        """See interface.Feed."""
        there, file, _ = self._counts()
        self._fence()
        if whole and there != BROKEN:
            _COUNTS.pack_into(self._view, self._at + _FAR, there, file, 1)
        else:
            self._count(BROKEN, 0)
        digest, number, owner, _, meta, spare, size = _HEADER.unpack_from(self._view, self._at)
        if number == self._number and owner:
            _HEADER.pack_into(self._view, self._at, digest, number, 0, now + KEPT, meta, spare, size)

    def read(self, at: int) -> Part | None:
        """See interface.Feed."""
        over = self._counts()[2] == 1
        self._fence()
        there = self._counts()[0]
        self._fence()
        file = self._counts()[1]
        if there > self._most or (not file and there > self._room):  # also BROKEN
            return None
        data = b""
        if not file and there > at:
            start = self._at + HEADER + len(self.meta)
            data = bytes(self._view[start + at : start + there])
        self._fence()
        if _HEADER.unpack_from(self._view, self._at)[1] != self._number:
            return None
        return Part(data, there, file % 2**60, over)

    @property
    def _most(self) -> int:
        return BROKEN - 1 if self.size < 0 else self.size

    def _counts(self) -> tuple[int, int, int]:
        found: tuple[int, int, int] = _COUNTS.unpack_from(self._view, self._at + _FAR)
        return found

    def _count(self, there: int, file: int) -> None:
        _COUNTS.pack_into(self._view, self._at + _FAR, there, file, 0)


class Feeds:
    """The slots in memory, for one process."""

    __slots__ = ("_count", "_fence", "_lock", "_owner", "_size", "_start", "_view")

    def __init__(
        self, view: memoryview, stretch: Stretch, count: int, lock: Lock, owner: int, fence: Callable[[], None] | None = None
    ) -> None:
        """`owner`: the process's id; `fence`: see Area."""
        self._view = view
        self._start = stretch.start
        self._count = count
        self._size = stretch.size // count
        self._lock = lock
        self._owner = owner
        self._fence = fence or _no_fence

    def open(self, digest: bytes, meta: bytes, size: int, now: int) -> FeedSlot | None:
        """See Feeding."""
        room = self._size - HEADER - len(meta)
        if room < (IN_MEMORY if size < 0 else min(size, IN_MEMORY)) or not self._lock.take():
            return None
        try:
            return self._open(digest, meta, size, now, room)
        finally:
            self._lock.give()

    def _open(self, digest: bytes, meta: bytes, size: int, now: int, room: int) -> FeedSlot | None:
        for at in self._places():
            _, number, owner, until, _, _, _ = _HEADER.unpack_from(self._view, at)
            if owner == 0 and until <= now:
                break
        else:
            return None
        number = (number + 1) % 2**63
        _HEADER.pack_into(self._view, at, NOBODY, number, self._owner, 0, len(meta), 0, UNKNOWN if size < 0 else size)
        _COUNTS.pack_into(self._view, at + _FAR, 0, 0, 0)
        self._view[at + HEADER : at + HEADER + len(meta)] = meta
        self._fence()
        self._view[at : at + 16] = digest
        return FeedSlot(self._view, at, room, number, meta, size, self._fence)

    def find(self, digest: bytes) -> FeedSlot | None:
        """See Feeding."""
        for at in self._places():
            if self._view[at : at + 16] != digest:
                continue
            self._fence()
            _, number, owner, _, length, _, size = _HEADER.unpack_from(self._view, at)
            if not owner or HEADER + length > self._size or MOST_SIZE < size != UNKNOWN:
                continue
            meta = bytes(self._view[at + HEADER : at + HEADER + length])
            self._fence()
            if _HEADER.unpack_from(self._view, at)[:2] == (digest, number):
                size = -1 if size == UNKNOWN else size
                return FeedSlot(self._view, at, self._size - HEADER - length, number, meta, size, self._fence)
        return None

    def owner_gone(self, owner: int) -> None:
        """From the master, when a child is dead: what it fed is broken."""
        for at in self._places():
            digest, number, has, _, meta, spare, size = _HEADER.unpack_from(self._view, at)
            if has == owner:
                _COUNTS.pack_into(self._view, at + _FAR, BROKEN, 0, 0)
                _HEADER.pack_into(self._view, at, digest, number, 0, 0, meta, spare, size)

    def _places(self) -> range:
        return range(self._start, self._start + self._count * self._size, self._size)
