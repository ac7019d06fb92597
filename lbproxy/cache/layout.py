"""The places of everything in the cache's memory: header, rules of purges, marks, feeds, buckets, three rings.

Whoever writes holds the lock, but for who counts how often an answer was asked for. Whoever reads believes
nothing beyond what it can be: a worker that was killed leaves things half done, and one that was taken over writes what it likes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

MAGIC = 0x6C62636163686531  # "lbcache" and the layout's version
LEAST_MEMORY = 4 * 2**20
PAGE = 4096
LINE = 64
"""Everything begins at a multiple of it."""

RULES = 1024
RULE_SIZE = 32
MARK_SIZE = 64
MARKS_PER_SET = 8
FEEDS = 8
FEED_SHARE = 128
"""A feed takes that part of the memory, from LEAST_FEED to MOST_FEED bytes."""
LEAST_FEED, MOST_FEED = 80 * 1024, 2**20 + 64 * 1024
WAYS = 8
"""Slots of a bucket."""
BUCKET_SIZE = 192
"""8 fingerprints, 8 positions, 8 bytes that count uses, and how often something in it was forgotten; the rest keeps to LINE."""
MEMORY_PER_SLOT = 1024
"""One slot for so much memory; more answers than that are none that memory is worth."""
FILE_RECORD = 512
"""About what a record of an answer takes whose body is in a file."""


class Word(IntEnum):
    """64-bit words of the header."""

    MAGIC = 0
    MEMORY = 1
    DISK = 2
    FORMAT = 3
    PROBATION_HEAD = 8
    PROBATION_TAIL = 9
    MAIN_HEAD = 10
    MAIN_TAIL = 11
    FILES_HEAD = 12
    FILES_TAIL = 13
    SEQUENCE = 16  # of the last rule of a purge
    SWEPT = 17  # rules up to this one have been applied to all that is stored
    NEXT_FILE = 18
    DISK_USED = 19
    STORED = 20  # answers in the table, as far as writers count
    SECRET = 24  # and 25


class Counter(IntEnum):
    """What each process counts for itself, in cells that are handed in."""

    HITS = 0
    MISSES = 1  # nothing is stored there
    PURGED = 2  # what was stored there was purged
    STORED = 3
    NOT_STORED = 4  # memory or files had no room, or the lock could not be had
    OVERTAKEN = 5  # not stored: purged or forgotten meanwhile
    EVICTED = 6
    EVICTED_BYTES = 7
    PROMOTED = 8  # moved from probation to main
    FORGOTTEN = 9
    BYTES = 10  # of bodies out of memory
    FILES_OPENED = 11
    FILES_LOST = 12  # named, and gone
    FILE_FAILURES = 13


class Stretch(NamedTuple):
    """A part of the memory."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + self.size


class Layout(NamedTuple):
    """All of it, of one size."""

    rules: Stretch
    marks: Stretch
    feeds: Stretch
    """FEEDS of them."""
    ghosts: Stretch
    buckets: Stretch
    probation: Stretch
    main: Stretch
    files: Stretch
    mark_sets: int
    bucket_count: int


def layout_of(memory: int, disk: int) -> Layout:
    """`memory`: bytes of the whole; `disk`: of bodies in files, 0 for none."""
    if memory < LEAST_MEMORY:
        raise ValueError(f"wanted at least {LEAST_MEMORY} bytes, came {memory}")
    buckets = memory // MEMORY_PER_SLOT // WAYS
    mark_sets = 16 if memory < 64 * 2**20 else 128
    rules = Stretch(PAGE, RULES * RULE_SIZE)
    marks = Stretch(rules.end, mark_sets * MARKS_PER_SET * MARK_SIZE)
    feed = min(max(memory // FEED_SHARE // LINE * LINE, LEAST_FEED), MOST_FEED)
    feeds = Stretch(marks.end, FEEDS * feed)
    ghosts = Stretch(feeds.end, _lines(buckets * WAYS * 4))
    table = Stretch(ghosts.end, buckets * BUCKET_SIZE)
    left = memory - table.end
    of_files = min(disk // (64 * 1024) * FILE_RECORD, left // 4) if disk else 0
    files = max(_lines(of_files), 256 * 1024) if disk else 0
    probation = max(_lines((left - files) // 10), 256 * 1024)
    main = (left - files - probation) // LINE * LINE
    first = Stretch(table.end, probation)
    second = Stretch(first.end, main)
    return Layout(rules, marks, feeds, ghosts, table, first, second, Stretch(second.end, files), mark_sets, buckets)


def _lines(size: int) -> int:
    return size // LINE * LINE
