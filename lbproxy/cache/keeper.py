"""The operator's hold of the cache's memory: purges, the sweep after them, what is stored and how full it is.

All but a purge goes bucket by bucket, a few at a time, so that the master does other things in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lbproxy.cache.interface import Lock
from lbproxy.cache.layout import LINE, WAYS, Word
from lbproxy.cache.memory import MemoryParts
from lbproxy.cache.purges import Purge
from lbproxy.cache.record import EntryRecord
from lbproxy.cache.ring import EntryRing
from lbproxy.cache.writer import Writer

AT_A_TIME = 64
"""Buckets."""
RING_NAMES = ("probation", "main", "files")


class ShownEntry(NamedTuple):
    """A stored answer, as an operator sees it."""

    url: bytes
    meta: bytes
    size: int
    file: int
    ring: str
    uses: int


class Keeper:
    """One process's, of one memory."""

    __slots__ = ("_at", "_lock", "_memory", "_target", "_writer")

    def __init__(self, memory: MemoryParts, lock: Lock) -> None:
        self._memory = memory
        self._lock = lock
        self._writer = Writer(memory)
        self._at = 0
        """The next bucket of the sweep that is under way."""
        self._target = 0
        """The last rule that it applies."""

    def purge(self, what: Purge, text: bytes) -> bool:
        """From now on nobody finds it. False: try again; too much is purged at a time, or the lock cannot be had."""
        if self._memory.rules.room <= 0 or not self._lock.take():
            return False
        try:
            self._memory.rules.add(what, text)
        finally:
            self._lock.give()
        return True

    @property
    def sweeping(self) -> bool:
        """Whether there are rules that were not applied to all that is stored."""
        words = self._memory.words
        return words[Word.SWEPT] != words[Word.SEQUENCE]

    def sweep(self) -> list[int] | None:
        """A part of it; numbers of files that no entry names any more. None: somebody writes, and does not end."""
        words, count = self._memory.words, self._memory.buckets.count
        if self._at == 0:
            self._target = words[Word.SEQUENCE]
        if not self._lock.take():
            return None
        gone: list[int] = []
        try:
            for bucket in range(self._at, min(self._at + AT_A_TIME, count)):
                gone += self._sweep(bucket)
            self._at += AT_A_TIME
            if self._at >= count:
                self._at = 0
                words[Word.SWEPT] = self._target
        finally:
            self._lock.give()
        return gone

    def _sweep(self, bucket: int) -> list[int]:
        memory, gone = self._memory, []
        since = memory.words[Word.SWEPT]
        for slot, ring, one, at in self._in(bucket):
            view = ring.view
            url, tags = bytes(view[at + one.url : at + one.meta]), bytes(view[at + one.tags : at + one.url])
            if one.sequence < self._target and memory.rules.fit(max(since, one.sequence), self._target, url, tags):
                gone += self._writer.remove(slot)
        return gone

    def search(self, url: bytes) -> Iterator[list[ShownEntry]]:
        """All that is stored under a URL, its variants one by one; a part at a time."""
        rules, words = self._memory.rules, self._memory.words
        for start in range(0, self._memory.buckets.count, AT_A_TIME):
            part = []
            for bucket in range(start, min(start + AT_A_TIME, self._memory.buckets.count)):
                for slot, ring, one, at in self._in(bucket):
                    view = ring.view
                    if one.meta - one.url != len(url) or view[at + one.url : at + one.meta] != url:
                        continue
                    tags, meta = bytes(view[at + one.tags : at + one.url]), bytes(view[at + one.meta : at + one.body])
                    if not rules.fit(max(one.sequence, words[Word.SWEPT]), words[Word.SEQUENCE], url, tags):
                        name = RING_NAMES[self._memory.rings.index(ring)]
                        part.append(ShownEntry(url, meta, one.size, one.file, name, self._memory.buckets.uses(slot)))
            yield part

    def _in(self, bucket: int) -> Iterator[tuple[int, EntryRing, EntryRecord, int]]:
        """What stands in a bucket: slot, ring, record, and where that is."""
        for number, place in enumerate(self._memory.buckets.positions(bucket)):
            ring = self._memory.ring_of(place)
            position = place - place % LINE
            one = None if ring is None else ring.read(position)
            if ring is not None and one is not None:
                yield bucket * WAYS + number, ring, one, ring.at(position)
