"""Storing, removing and making room in the cache's memory, all while its lock is held."""

from __future__ import annotations

from lbproxy.cache import record
from lbproxy.cache.interface import IN_MEMORY, MOST_META, MOST_TAGS, MOST_URL, FillTicket, New, Put
from lbproxy.cache.layout import LINE, WAYS, Counter, Word
from lbproxy.cache.memory import FILES, MAIN, PROBATION, MemoryParts
from lbproxy.cache.purges import tag_of
from lbproxy.cache.ring import EntryRing

MOST_ROUNDS = 64
"""Records that are moved for one that is stored; what is more goes, so that nobody holds the lock for long."""
MOST_OF_RING = 4
"""A record may take that part of its ring."""

Done = tuple[Put, list[int]]
"""What became of it; numbers of files that no entry names any more."""


class Writer:
    """Stores and removes; every method is called with the lock held."""

    __slots__ = ("_buckets", "_gone", "_memory", "_rounds")

    def __init__(self, memory: MemoryParts) -> None:
        self._memory = memory
        self._buckets = memory.buckets
        self._gone: list[int] = []
        self._rounds = 0

    def put(self, digest: bytes, new: New, ticket: FillTicket) -> Done:
        """See Storage."""
        self._begin()
        if len(new.meta) > MOST_META or len(new.url) > MOST_URL or len(new.body) > IN_MEMORY or len(new.tags) > MOST_TAGS:
            return self._over(Counter.NOT_STORED)
        tags = b"".join(map(tag_of, new.tags))
        size = len(new.body) if new.size < 0 else new.size
        return self._put(digest, size, new.file, (tags, new.url, new.meta, new.body), ticket, size if new.file else 0)

    def renew(self, digest: bytes, meta: bytes, ticket: FillTicket) -> Done:
        """See Storage."""
        self._begin()
        slot = self._buckets.find(*self._buckets.locate(digest))
        found = self._at(slot)
        if found is None or found[1].digest != digest or len(meta) > MOST_META:
            return self._over(Counter.NOT_STORED)
        ring, old, at = found
        view = ring.view
        parts = bytes(view[at + old.tags : at + old.url]), bytes(view[at + old.url : at + old.meta]), meta
        # what was purged before this fill began is not brought back by it
        since = FillTicket(ticket.digest, min(ticket.sequence, old.sequence), ticket.forgotten)
        return self._put(digest, old.size, old.file, (*parts, bytes(view[at + old.body : at + old.end])), since, 0)

    def forget(self, digest: bytes) -> tuple[bool, list[int]]:
        """See Storage. Whether there was anything, and likewise."""
        self._begin()
        bucket, fingerprint = self._buckets.locate(digest)
        slot = self._buckets.find(bucket, fingerprint)
        was = self._at(slot) is not None
        if slot >= 0:
            self._drop(slot)
        self._buckets.forget(bucket)
        self._memory.count(Counter.FORGOTTEN)
        return was, self._gone

    def remove(self, slot: int) -> list[int]:
        """What stands in the slot goes."""
        self._begin()
        self._drop(slot)
        return self._gone

    def _begin(self) -> None:
        self._gone = []
        self._rounds = MOST_ROUNDS
        for ring in self._memory.rings:
            ring.mend()

    def _over(self, why: Counter) -> Done:
        self._memory.count(why)
        return Put.OVERTAKEN if why is Counter.OVERTAKEN else Put.REFUSED, self._gone

    # ---------------------------------------------------------------- storing

    def _put(
        self, digest: bytes, size: int, file: int, parts: tuple[bytes, bytes, bytes, bytes], ticket: FillTicket, more: int
    ) -> Done:
        """`more`: bytes that the disk has to have room for."""
        memory, buckets = self._memory, self._buckets
        bucket, fingerprint = buckets.locate(digest)
        last = memory.words[Word.SEQUENCE]
        if memory.overtaken(ticket, parts[1], parts[0]):
            return self._over(Counter.OVERTAKEN)
        length = record.length_of(parts)
        number = FILES if file else self._ring_for(bucket, fingerprint, length)
        ring = memory.rings[number]
        if length * MOST_OF_RING > ring.size or not self._disk_has_room(more):
            return self._over(Counter.NOT_STORED)
        self._make_room(ring, length)
        position = ring.place(length)
        ring.append(position, record.build(position, digest, last, size, file, parts))
        slot = self._slot_for(bucket, fingerprint, file)
        buckets.set(slot, fingerprint, position + number + 1)
        buckets.set_uses(slot, 0)
        memory.words[Word.STORED] = memory.words[Word.STORED] % 2**62 + 1
        if file:
            memory.words[Word.DISK_USED] += size
            self._gone = [number for number in self._gone if number != file]  # the record that named it before was in the way
        memory.count(Counter.STORED)
        return Put.STORED, self._gone

    def _ring_for(self, bucket: int, fingerprint: int, length: int) -> int:
        """Into main comes what was there, what comes again, and what probation is too small for."""
        before = self._at(self._buckets.find(bucket, fingerprint))
        if before is not None and before[0] is self._memory.rings[MAIN]:
            return MAIN
        if self._memory.haunts(bucket, fingerprint) or length * MOST_OF_RING > self._memory.rings[PROBATION].size:
            return MAIN
        return PROBATION

    def _disk_has_room(self, size: int) -> bool:
        """Files go, oldest first, until there is."""
        words, disk, ring = self._memory.words, self._memory.disk, self._memory.rings[FILES]
        if size > disk:
            return False
        while words[Word.DISK_USED] + size > disk and ring.tail < ring.head:
            self._evict(ring)
        if ring.tail >= ring.head:
            words[Word.DISK_USED] = 0  # nothing names a file
        return words[Word.DISK_USED] + size <= disk

    def _slot_for(self, bucket: int, fingerprint: int, file: int) -> int:
        """The one that it has, else a free one, else the one whose answer was asked for least; that answer is gone."""
        buckets = self._buckets
        slot = buckets.find(bucket, fingerprint)
        if slot < 0:
            first = bucket * WAYS
            places = range(first, first + WAYS)
            slot = next((slot for slot in places if self._at(slot) is None), -1)
            if slot < 0:
                slot = min(places, key=buckets.uses)
                self._memory.count(Counter.EVICTED)
        self._drop(slot, file)
        return slot

    # ---------------------------------------------------------------- room

    def _make_room(self, ring: EntryRing, length: int) -> None:
        """The oldest go until a record of that length has room."""
        while ring.free < ring.needs(length):
            self._evict(ring)

    def _evict(self, ring: EntryRing) -> None:
        """The oldest record of the ring goes, or moves."""
        position = ring.tail
        found = ring.read(position)
        slot = -1 if found is None else self._buckets.find(*self._buckets.locate(found.digest))
        if found is None or slot < 0 or self._memory.ring_of(self._buckets.position(slot)) is not ring:
            ring.advance()
            return
        if self._buckets.position(slot) - self._buckets.position(slot) % LINE != position:
            ring.advance()  # another answer to the same question has come since
            return
        uses = self._buckets.uses(slot)
        rings = self._memory.rings
        spare = ring is rings[PROBATION] and rings[MAIN].free >= rings[MAIN].needs(found.length)  # nothing has to go yet
        if (uses or spare) and self._rounds > 0:
            self._rounds -= 1
            at = ring.at(position)
            data = bytes(ring.view[at : at + found.length])
            if ring is rings[PROBATION]:
                self._make_room(rings[MAIN], found.length)
                self._move(slot, MAIN, data, 0)
                self._memory.count(Counter.PROMOTED)
                ring.advance()
                return
            ring.advance()
            if ring.free >= ring.needs(found.length):
                self._move(slot, FILES if ring is rings[FILES] else MAIN, data, uses - 1)
                return
            self._take_out(slot, found)
            return
        self._take_out(slot, found)
        ring.advance()

    def _take_out(self, slot: int, found: record.EntryRecord) -> None:
        self._memory.count(Counter.EVICTED)
        self._memory.count(Counter.EVICTED_BYTES, found.size)
        self._memory.haunt(*self._buckets.locate(found.digest))
        self._forget_slot(slot, found)

    def _move(self, slot: int, number: int, data: bytes, uses: int) -> None:
        ring = self._memory.rings[number]
        position = ring.place(len(data))
        ring.append(position, record.moved(data, position))
        self._buckets.move(slot, position + number + 1)
        self._buckets.set_uses(slot, uses)

    # ---------------------------------------------------------------- slots

    def _at(self, slot: int) -> tuple[EntryRing, record.EntryRecord, int] | None:
        """What stands in a slot: its ring, its record and where that is."""
        place = self._buckets.position(slot) if slot >= 0 else 0
        ring = self._memory.ring_of(place)
        position = place - place % LINE
        found = None if ring is None else ring.read(position)
        return None if ring is None or found is None else (ring, found, ring.at(position))

    def _drop(self, slot: int, kept: int = 0) -> None:
        """Nothing stands there any more. `kept`: a file that another record names."""
        found = self._at(slot)
        if found is None:
            self._buckets.clear(slot)
        else:
            self._forget_slot(slot, found[1], kept)

    def _forget_slot(self, slot: int, found: record.EntryRecord, kept: int = 0) -> None:
        words = self._memory.words
        self._buckets.clear(slot)
        words[Word.STORED] = max(words[Word.STORED] - 1, 0)
        if found.file:
            words[Word.DISK_USED] = max(words[Word.DISK_USED] - found.size, 0)
            if found.file != kept:
                self._gone.append(found.file)
