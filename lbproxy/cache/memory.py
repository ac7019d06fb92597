"""The parts of the cache's memory, over a buffer that every process has mapped: what area.py reads, and writer.py writes."""

from __future__ import annotations

import struct

from lbproxy.cache.buckets import Buckets
from lbproxy.cache.interface import FillTicket
from lbproxy.cache.layout import LINE, MAGIC, Word, layout_of
from lbproxy.cache.purges import PurgeRules
from lbproxy.cache.ring import EntryRing
from lbproxy.cells import Cells

FORMAT = 3
PROBATION, MAIN, FILES = 0, 1, 2
_FACTS = struct.Struct("=4Q")
_GHOST = 2**32 - 1


class MemoryParts:
    """One process's view of it."""

    __slots__ = ("_counters", "_ghosts", "buckets", "disk", "layout", "rings", "rules", "size", "view", "words")

    def __init__(self, buffer: object, disk: int, counters: Cells) -> None:
        """`buffer`: writable, what `begin_anew` made; `disk`: bytes of files, 0 for none; `counters`: a cell for each Counter,
        which this process alone writes. Raises ValueError for what is something else."""
        self.view = view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any object with the buffer protocol
        if not fits(view, disk):
            raise ValueError("not a cache of this form and size")
        self.size = view.nbytes
        self.disk = disk
        self.layout = layout = layout_of(self.size, disk)
        self.words: memoryview[int] = view[: layout.rules.start].cast("Q")
        self._counters = counters
        self._ghosts: memoryview[int] = view[layout.ghosts.start : layout.ghosts.end].cast("I")
        self.rules = PurgeRules(view, self.words, layout.rules)
        self.buckets = Buckets(view, layout.buckets, layout.bucket_count)
        self.rings = (
            EntryRing(view, self.words, layout.probation, Word.PROBATION_HEAD, Word.PROBATION_TAIL),
            EntryRing(view, self.words, layout.main, Word.MAIN_HEAD, Word.MAIN_TAIL),
            EntryRing(view, self.words, layout.files, Word.FILES_HEAD, Word.FILES_TAIL),
        )

    @property
    def secret(self) -> bytes:
        """See Storage."""
        return struct.pack("=2Q", *self.words[Word.SECRET : Word.SECRET + 2])

    def ring_of(self, place: int) -> EntryRing | None:
        """The ring that a slot names; None: it names none."""
        number = place % LINE
        return self.rings[number - 1] if 1 <= number <= len(self.rings) else None

    def count(self, what: int, by: int = 1) -> None:
        """For this process."""
        self._counters[what] += by

    def overtaken(self, ticket: FillTicket, url: bytes, tags: bytes) -> bool:
        """Whether what a fill brings, which began then, was purged or forgotten since; `tags`: digests, joined."""
        last = self.words[Word.SEQUENCE]
        if ticket.sequence < last and self.rules.fit(ticket.sequence, last, url, tags):
            return True
        return self.buckets.forgotten(self.buckets.locate(ticket.digest)[0]) != ticket.forgotten

    def haunts(self, bucket: int, fingerprint: int) -> bool:
        """Whether an answer left probation not long ago without having been asked for."""
        return self._ghosts[self._ghost(bucket, fingerprint)] == fingerprint & _GHOST != 0

    def haunt(self, bucket: int, fingerprint: int) -> None:
        """It has left."""
        self._ghosts[self._ghost(bucket, fingerprint)] = fingerprint & _GHOST

    def _ghost(self, bucket: int, fingerprint: int) -> int:
        return (bucket * 8 + (fingerprint >> 61)) % len(self._ghosts)

    def usage(self) -> dict[str, int]:
        """For operators."""
        used = {
            f"{name}_bytes": min(max(ring.head - ring.tail, 0), ring.size)
            for name, ring in zip(("probation", "main", "files"), self.rings, strict=True)
        }
        return {
            "memory": self.size,
            "disk": self.disk,
            "disk_used": min(self.words[Word.DISK_USED], 2**62),
            "entries": min(self.words[Word.STORED], self.layout.bucket_count * 8),
            "purges_pending": max(self.words[Word.SEQUENCE] - self.words[Word.SWEPT], 0),
            **used,
        }


def fits(buffer: object, disk: int) -> bool:
    """Whether it holds a cache of this form, of its own size and with that much on disk."""
    view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
    return view.nbytes >= _FACTS.size and _FACTS.unpack_from(view) == (MAGIC, view.nbytes, disk, FORMAT)


def forget_processes(buffer: object, disk: int) -> None:
    """No process lives any more that had something under way in it: marks and feeds go."""
    view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
    layout = layout_of(view.nbytes, disk)
    for part in (layout.marks, layout.feeds):
        view[part.start : part.end] = bytes(part.size)


def begin_anew(buffer: object, disk: int, secret: bytes) -> None:
    """Make an empty one of what is all zeros. `secret`: 16 random bytes."""
    view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
    struct.pack_into("=16s", view, Word.SECRET * 8, secret)
    struct.pack_into("=Q", view, Word.NEXT_FILE * 8, 1)
    _FACTS.pack_into(view, 0, MAGIC, view.nbytes, disk, FORMAT)
