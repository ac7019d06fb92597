"""The memory of stored answers (interface.Storage), which every worker has mapped.

Theory of operation. Answers are records of append-only rings (ring.py), found by a table of buckets (buckets.py). New ones come
into *probation*, a tenth of the memory; what was asked for there moves to *main* when its time comes (as long as there is room:
everything), all else goes, and is remembered by a fingerprint for a while: if it comes again it comes into main at once. What
leaves main and was asked for since gets another round. That is S3-FIFO (Yang et al., SOSP 2023): one-time visitors, a flood of
unique URLs above all, never push out what is asked for. Answers whose bodies are in files have a ring of their own, whose records
also say how much of the disk is used.

Readers take no lock: they look up, copy, and look whether what they copied was still there afterwards. Writers (writer.py) hold
`lock`; each step leaves everything in a state that can be read, so one that is killed loses at most what it was about to store.

This file touches no system call: buffer, lock and process id come in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from lbproxy.cache.feeds import Feeds
from lbproxy.cache.interface import FillTicket, Lock, New, Put, StoredEntry
from lbproxy.cache.layout import FEEDS, LINE, Counter, Word
from lbproxy.cache.marks import Marks
from lbproxy.cache.memory import FILES, MemoryParts
from lbproxy.cache.purges import tag_of
from lbproxy.cache.record import length_at
from lbproxy.cache.writer import Writer

NUMBERS = 64
"""Of files that a process takes at a time, so that a long body is stored whoever has the lock just then."""

OnGone = Callable[[Collection[int]], None]


class Area:
    """One process's hold of it."""

    __slots__ = ("_fence", "_lock", "_memory", "_numbers", "_on_gone", "_words", "_writer", "feeds", "marks", "secret")

    def __init__(
        self, memory: MemoryParts, lock: Lock, owner: int, on_gone: OnGone, fence: Callable[[], None] | None = None
    ) -> None:
        """`owner`: the process's id; `on_gone`: told the numbers of files that no entry names any more; `fence`: has all loads
        before it done before those after it, where the machine does not do so by itself."""
        self._memory = memory
        self._words = memory.words
        self._lock = lock
        self._on_gone = on_gone
        self._fence = fence
        self._writer = Writer(memory)
        self._numbers: deque[int] = deque()
        """Of new files, which are this process's."""
        self.marks = Marks(memory.view, memory.layout.marks, memory.layout.mark_sets, lock, owner)
        self.feeds = Feeds(memory.view, memory.layout.feeds, FEEDS, lock, owner, fence)
        self.secret = memory.secret

    def __repr__(self) -> str:
        return f"<Area of {self._memory.size} bytes, {self._words[Word.STORED]} answers>"

    def get(self, digest: bytes, counted: bool = True) -> StoredEntry | None:
        """See Storage."""
        found = self._found(digest)
        if counted:
            self.looked_up(found)
        return found

    def looked_up(self, found: StoredEntry | None) -> None:
        """See Storage."""
        self._memory.count(Counter.MISSES if found is None else Counter.HITS)
        if found is not None:
            self._memory.count(Counter.BYTES, len(found.body))

    def _found(self, digest: bytes) -> StoredEntry | None:
        memory = self._memory
        bucket, fingerprint = memory.buckets.locate(digest)
        slot = memory.buckets.find(bucket, fingerprint)
        if slot < 0:
            return None
        place = memory.buckets.position(slot)
        position = place - place % LINE
        ring = memory.ring_of(place)
        found = None if ring is None else ring.read(position)
        if ring is None or found is None or found.digest != digest:
            return None
        view, at = memory.view, ring.at(position)
        meta, body = bytes(view[at + found.meta : at + found.body]), bytes(view[at + found.body : at + found.end])
        last = self._words[Word.SEQUENCE]
        url = tags = b""
        if found.sequence < last:
            url, tags = bytes(view[at + found.url : at + found.meta]), bytes(view[at + found.tags : at + found.url])
        if self._fence is not None:
            self._fence()
        if not ring.holds(position):  # it was overwritten meanwhile
            return None
        if found.sequence < last and memory.rules.fit(max(found.sequence, self._words[Word.SWEPT]), last, url, tags):
            memory.count(Counter.PURGED)
            return None
        memory.buckets.used(slot)
        return StoredEntry(meta, body, found.size, found.file, place, last)

    def begin(self, digest: bytes) -> FillTicket:
        """See Storage."""
        buckets = self._memory.buckets
        return FillTicket(digest, self._words[Word.SEQUENCE], buckets.forgotten(buckets.locate(digest)[0]))

    def overtaken(self, ticket: FillTicket, url: bytes, tags: Collection[bytes]) -> bool:
        """See Storage."""
        return self._memory.overtaken(ticket, url, b"".join(map(tag_of, tags)))

    def put(self, digest: bytes, new: New, ticket: FillTicket, again: bool = False) -> Put:
        """See Storage."""
        gone: list[int] = []
        if not self._lock.take():
            if again:
                return Put.BUSY
            self._memory.count(Counter.NOT_STORED)
            became = Put.BUSY
        else:
            try:
                became, gone = self._writer.put(digest, new, ticket)
            finally:
                self._lock.give()
        if not became and new.file:
            gone.append(new.file)
        if gone:
            self._on_gone(gone)
        return became

    def renew(self, digest: bytes, meta: bytes, ticket: FillTicket) -> Put:
        """See Storage."""
        if not self._lock.take():
            return Put.BUSY
        try:
            became, gone = self._writer.renew(digest, meta, ticket)
        finally:
            self._lock.give()
        if gone:
            self._on_gone(gone)
        return became

    def forget(self, digest: bytes) -> bool:
        """See Storage. Also without the lock, if it cannot be had: what was changed must not be served any more, and a writer that
        comes in between loses at most its own answer."""
        locked = self._lock.take()
        try:
            was, gone = self._writer.forget(digest)
        finally:
            if locked:
                self._lock.give()
        if gone:
            self._on_gone(gone)
        return was

    def named(self) -> set[int]:
        """The numbers of files that entries name, and of some that one has named not long ago. From any thread."""
        ring = self._memory.rings[FILES]
        found, position, head = set(), ring.tail, ring.head
        while position < head:
            length = length_at(ring.view, ring.at(position), position, ring.contiguous(position))
            if not length:
                position = max(ring.tail, position + LINE)  # it was overwritten meanwhile
                continue
            if (one := ring.read(position)) is not None:
                found.add(one.file)
            position += length
        return found

    def new_file(self) -> int:
        """The number of a file that nobody has used or will use; 0: the lock could not be had, many times in a row."""
        if len(self._numbers) <= NUMBERS // 2 and self._lock.take():
            try:
                number = self._words[Word.NEXT_FILE] % 2**60
                self._words[Word.NEXT_FILE] = number + NUMBERS
            finally:
                self._lock.give()
            self._numbers.extend(range(number, number + NUMBERS))
        return self._numbers.popleft() if self._numbers else 0
