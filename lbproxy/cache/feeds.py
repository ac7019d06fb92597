"""Feeds: bodies on their way into the cache, as other workers are given them while they come (interface.Feeding).

A feed is a slot of the shared memory with an answer's meta and, behind it, its body from the first byte on, so that whoever comes
late has all of it. Its leader writes there without a lock, first bytes, then how many there are. A slot is taken from nobody who
lives: one that is stopped and goes on must not write into another one's. When it is over, what is there stays for a moment, so that
all who follow have read it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from lbproxy.cache.interface import Lock
from lbproxy.cache.layout import Stretch

_HEADER = struct.Struct("=16sQQQIIQ")
HEADER = 64
_WRITTEN = 56
"""Where the number of bytes of the body stands that are there."""
_COUNT = struct.Struct("=Q")
BROKEN = 2**64 - 1
"""In its place: nothing more comes, and what is there is worth nothing."""
NOBODY = bytes(16)
KEPT = 2_000
"""Milliseconds for which a slot is left alone when its leader has done with it."""


def _no_fence() -> None:
    """Loads and stores are in order."""


class Feed:
    """One slot, as a leader writes it, or as somebody reads it."""

    __slots__ = ("_at", "_fence", "_number", "_view", "meta", "size")

    def __init__(self, view: memoryview, at: int, number: int, meta: bytes, size: int, fence: Callable[[], None]) -> None:
        """`number`: of this use of the slot."""
        self._view = view
        self._at = at
        self._number = number
        self._fence = fence
        self.meta = meta
        self.size = size

    def add(self, data: bytes) -> None:
        """By the leader: more of the body."""
        [written] = _COUNT.unpack_from(self._view, self._at + _WRITTEN)
        if written + len(data) > self.size:  # also BROKEN: nobody gets more than was said
            self.end(False, 0)
            return
        start = self._at + HEADER + len(self.meta) + written
        self._view[start : start + len(data)] = data
        self._fence()
        _COUNT.pack_into(self._view, self._at + _WRITTEN, written + len(data))

    def end(self, whole: bool, now: int) -> None:
        """By the leader, once: it is over; `now`: in milliseconds."""
        if not whole:
            _COUNT.pack_into(self._view, self._at + _WRITTEN, BROKEN)
        digest, number, owner, _, meta, spare, size = _HEADER.unpack_from(self._view, self._at)
        if number == self._number and owner:
            _HEADER.pack_into(self._view, self._at, digest, number, 0, now + KEPT, meta, spare, size)

    def read(self, at: int) -> bytes | None:
        """What there is of the body from `at` on, which may be nothing yet; None: it is broken, or the slot is another one's."""
        [written] = _COUNT.unpack_from(self._view, self._at + _WRITTEN)
        self._fence()
        if written > self.size:
            return None
        start = self._at + HEADER + len(self.meta)
        data = bytes(self._view[start + at : start + written]) if written > at else b""
        self._fence()
        return data if _HEADER.unpack_from(self._view, self._at)[1] == self._number else None


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

    def open(self, digest: bytes, meta: bytes, size: int, now: int) -> Feed | None:
        """See Feeding."""
        if HEADER + len(meta) + size > self._size or not self._lock.take():
            return None
        try:
            return self._open(digest, meta, size, now)
        finally:
            self._lock.give()

    def _open(self, digest: bytes, meta: bytes, size: int, now: int) -> Feed | None:
        for at in self._places():
            _, number, owner, until, _, _, _ = _HEADER.unpack_from(self._view, at)
            if owner == 0 and until <= now:
                break
        else:
            return None
        number = (number + 1) % 2**63
        _HEADER.pack_into(self._view, at, NOBODY, number, self._owner, 0, len(meta), 0, size)
        _COUNT.pack_into(self._view, at + _WRITTEN, 0)
        self._view[at + HEADER : at + HEADER + len(meta)] = meta
        self._fence()
        self._view[at : at + 16] = digest
        return Feed(self._view, at, number, meta, size, self._fence)

    def find(self, digest: bytes) -> Feed | None:
        """See Feeding."""
        for at in self._places():
            if self._view[at : at + 16] != digest:
                continue
            self._fence()
            _, number, owner, _, length, _, size = _HEADER.unpack_from(self._view, at)
            if not owner or HEADER + length + size > self._size:
                continue
            meta = bytes(self._view[at + HEADER : at + HEADER + length])
            self._fence()
            if _HEADER.unpack_from(self._view, at)[:2] == (digest, number):
                return Feed(self._view, at, number, meta, size, self._fence)
        return None

    def owner_gone(self, owner: int) -> None:
        """From the master, when a child is dead: what it fed is broken."""
        for at in self._places():
            digest, number, has, _, meta, spare, size = _HEADER.unpack_from(self._view, at)
            if has == owner:
                _COUNT.pack_into(self._view, at + _WRITTEN, BROKEN)
                _HEADER.pack_into(self._view, at, digest, number, 0, 0, meta, spare, size)

    def _places(self) -> range:
        return range(self._start, self._start + self._count * self._size, self._size)
