"""A watch over stored answers that a worker has at hand: whether they still are what is stored, for the cost of four comparisons.

A record of a ring never changes: it is another one that takes its place in the table, and a position is never used twice. So
whoever has copied one need not copy it again as long as its slot names the same position, the ring still holds that, and no rule
of a purge has come since.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.cache.buckets import MOST_USES
from lbproxy.cache.interface import StoredEntry
from lbproxy.cache.layout import LINE, Counter, Word
from lbproxy.cache.memory import MemoryParts

_TAILS = (int(Word.PROBATION_TAIL), int(Word.MAIN_TAIL), int(Word.FILES_TAIL))
_SEQUENCE, _HITS, _BYTES = int(Word.SEQUENCE), int(Counter.HITS), int(Counter.BYTES)


class HeldEntry:
    """Where a stored answer stands, as words and bytes of the memory."""

    __slots__ = ("body", "fingerprint", "name", "place", "position", "sequence", "slot", "tail", "uses")

    def __init__(
        self, name: int, slot: int, uses: int, fingerprint: int, place: int, position: int, tail: int, sequence: int,
        body: int = 0,
    ) -> None:  # fmt: skip
        """`name`, `slot`, `uses`, `tail`, `body`: where its fingerprint, its place, its uses, its ring's tail and its body stand;
        `sequence`: of the last rule of a purge that it was found after."""
        self.name = name
        self.slot = slot
        self.uses = uses
        self.fingerprint = fingerprint
        self.place = place
        self.position = position
        self.tail = tail
        self.sequence = sequence
        self.body = body


class CacheWatch:
    """One process's, over one memory."""

    __slots__ = ("_bytes", "_counters", "_fence", "_memory", "_words")

    def __init__(self, memory: MemoryParts, counters: memoryview[int], fence: Callable[[], None] | None = None) -> None:
        """`counters`: see Memory; `fence`: see Area."""
        self._fence = fence
        self._memory = memory
        self._words = memory.view.cast("Q")
        self._bytes = memory.view
        self._counters = counters

    def hold(self, digest: bytes, entry: StoredEntry) -> HeldEntry | None:
        """Where an answer stands that Storage.get gave; None: there is another one by now."""
        buckets, number = self._memory.buckets, entry.place % LINE
        bucket, fingerprint = buckets.locate(digest)
        slot = buckets.find(bucket, fingerprint)
        if slot < 0 or buckets.position(slot) != entry.place or not 1 <= number <= len(_TAILS):
            return None
        ring, position = self._memory.rings[number - 1], entry.place - number
        record = ring.read(position)
        if record is None:
            return None
        body = ring.at(position) + record.body
        return HeldEntry(*buckets.where(slot), fingerprint, entry.place, position, _TAILS[number - 1], entry.sequence, body)

    def still(self, held: HeldEntry) -> bool:
        """Whether it is stored there still, and nothing was purged since. No lock."""
        words = self._words
        return (
            words[held.slot] == held.place
            and words[held.name] == held.fingerprint
            and words[held.tail] <= held.position
            and words[_SEQUENCE] == held.sequence
        )

    def body(self, held: HeldEntry, size: int) -> bytes | None:
        """A copy of its body, of so many bytes; None: it is not `still` stored."""
        copy = bytes(self._memory.view[held.body : held.body + size])
        if self._fence is not None:
            self._fence()
        return copy if self.still(held) else None

    def passed(self, held: HeldEntry) -> None:
        """It has led to another one, which is given out."""
        if self._bytes[held.uses] < MOST_USES:
            self._bytes[held.uses] += 1

    def used(self, held: HeldEntry, size: int) -> None:
        """It was given out once more; `size`: bytes of its body."""
        if self._bytes[held.uses] < MOST_USES:
            self._bytes[held.uses] += 1
        self._counters[_HITS] += 1
        self._counters[_BYTES] += size
