"""Marks of collapsing: who asks a backend for what (interface.Collapsing).

A mark is held by an owner until a time; then it has stalled, whatever became of its owner. It also says until when its key is to
be left alone. Marks stand in sets of eight; where a set is full of marks that count, a request asks for itself.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from lbproxy.cache.interface import APART, Lock, Turn
from lbproxy.cache.layout import MARK_SIZE, MARKS_PER_SET, Stretch

_MARK = struct.Struct("=16sQQQQ")
_AWAITED = 40
"""Where a mark says that somebody waits in another process; whoever does writes it without a lock."""
_FIRST = struct.Struct("=Q")
_NONE = bytes(MARK_SIZE)


class _Mark(NamedTuple):
    digest: bytes
    owner: int
    """0: nobody asks."""
    until: int
    """The owner's time."""
    apart: int
    """Nobody waits before."""
    awaited: int

    def counts(self, now: int) -> bool:
        return self.apart > now or (self.owner != 0 and self.until + APART > now)


class Marks:
    """The marks in memory, for one process."""

    __slots__ = ("_lock", "_owner", "_sets", "_start", "_view")

    def __init__(self, view: memoryview, stretch: Stretch, sets: int, lock: Lock, owner: int) -> None:
        """`owner`: the process's id."""
        self._view = view
        self._start = stretch.start
        self._sets = sets
        self._lock = lock
        self._owner = owner

    def take(self, digest: bytes, now: int, patience: int) -> Turn:
        """See Collapsing."""
        if self.look(digest, now) is Turn.WAIT:
            return Turn.WAIT
        if not self._lock.take():
            return Turn.BUSY
        try:
            return self._take(digest, now, patience)
        finally:
            self._lock.give()

    def _take(self, digest: bytes, now: int, patience: int) -> Turn:
        at = self._find(digest)
        if at < 0:
            at = self._free(digest, now)
            if at < 0:
                return Turn.ALONE
        else:
            mark = self._read(at)
            turn = _turn(mark, now)
            if turn is Turn.ALONE and mark.owner and mark.until <= now:  # it has stalled
                self._write(at, digest, 0, 0, now + APART)
            if turn is not Turn.LEAD:
                return turn
        self._write(at, digest, self._owner, now + patience, 0)
        return Turn.LEAD

    def look(self, digest: bytes, now: int) -> Turn:
        """See Collapsing."""
        at = self._find(digest)
        return Turn.LEAD if at < 0 else _turn(self._read(at), now)

    def renew(self, digest: bytes, now: int, patience: int) -> bool:
        """See Collapsing. Without a lock: only the owner's own cell is written, and who takes a mark away writes all of it."""
        at = self._find(digest)
        if at < 0 or (mark := self._read(at)).owner != self._owner or mark.until <= now:
            return False
        struct.pack_into("=Q", self._view, at + 24, now + patience)
        return True

    def wait(self, digest: bytes) -> None:
        """See Collapsing."""
        at = self._find(digest)
        if at >= 0:
            struct.pack_into("=Q", self._view, at + _AWAITED, 1)

    def awaited(self, digest: bytes) -> bool:
        """See Collapsing."""
        at = self._find(digest)
        return at >= 0 and self._read(at).awaited != 0

    def done(self, digest: bytes) -> None:
        """See Collapsing."""
        self._end(digest, 0)

    def failed(self, digest: bytes, now: int) -> None:
        """See Collapsing."""
        self._end(digest, now + APART)

    def _end(self, digest: bytes, apart: int) -> None:
        """Without the lock, if it cannot be had: the mark is ours, and an end that is not told keeps others waiting."""
        locked = self._lock.take()
        try:
            at = self._find(digest)
            if at >= 0 and self._read(at).owner == self._owner:
                self._write(at, digest if apart else bytes(16), 0, 0, apart)
        finally:
            if locked:
                self._lock.give()

    def owner_gone(self, owner: int, now: int) -> int:
        """From the master, when a child is dead: what it led goes apart. How many marks it had."""
        count = 0
        for number in range(self._sets * MARKS_PER_SET):
            at = self._start + number * MARK_SIZE
            mark = self._read(at)
            if mark.owner == owner:
                self._write(at, mark.digest, 0, 0, now + APART)
                count += 1
        return count

    def clear(self) -> None:
        """All of them."""
        for number in range(self._sets * MARKS_PER_SET):
            at = self._start + number * MARK_SIZE
            self._view[at : at + MARK_SIZE] = _NONE

    # ---------------------------------------------------------------- places

    def _set(self, digest: bytes) -> range:
        start = self._start + _FIRST.unpack_from(digest)[0] % self._sets * MARKS_PER_SET * MARK_SIZE
        return range(start, start + MARKS_PER_SET * MARK_SIZE, MARK_SIZE)

    def _find(self, digest: bytes) -> int:
        return next((at for at in self._set(digest) if self._view[at : at + 16] == digest), -1)

    def _free(self, digest: bytes, now: int) -> int:
        return next((at for at in self._set(digest) if not self._read(at).counts(now)), -1)

    def _read(self, at: int) -> _Mark:
        return _Mark(*_MARK.unpack_from(self._view, at))

    def _write(self, at: int, digest: bytes, owner: int, until: int, apart: int) -> None:
        _MARK.pack_into(self._view, at, digest, owner, until, apart, 0)


def _turn(mark: _Mark, now: int) -> Turn:
    if mark.apart > now:
        return Turn.ALONE
    if mark.owner == 0:
        return Turn.LEAD
    if mark.until > now:
        return Turn.WAIT
    return Turn.ALONE if mark.until + APART > now else Turn.LEAD
