"""The seam between a cache's policy and its storage.

Answers are found by a *digest* of 16 bytes, made with `Storage.secret`, so that nobody outside can choose where an answer comes to
lie. An answer is *meta* (bytes that only the policy understands: its head, its times) and a body, in memory or, over IN_MEMORY
bytes, in a file that never changes. Nothing here waits for anybody, but for what `Bodies` and what it opens do.

Times are milliseconds of the monotonic clock, which all processes of a machine have in common. Nothing here ages: whether an answer
is still fresh is in its meta, and one that is not wanted any more is pushed out by others. What is in the meta may outlive every
process (`keep`), but not the uptime: a memory that was kept is discarded after a reboot, since nobody could tell how old it is
without believing a clock that is set at the start of a machine.

**Purging.** A fill begins with `begin`, before the backend is asked, and ends with `put`. What was purged in between, by the
answer's URL, a prefix of it or one of its tags, or forgotten by its key, is not stored: the answer may be from before whatever the
purge is for.

**Variants.** `put` knows nothing of Vary. A policy that keeps variants below a primary digest puts a number of its own, drawn anew
for each primary answer, into the digests of the variants: then `forget` of the primary one makes all of them unreachable for good.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from lbproxy.errors import LbproxyError

IN_MEMORY = 64 * 1024
"""Bytes of body that are kept in memory; what is more goes into a file."""
DIGEST = 16
MOST_META = 60 * 1024
MOST_URL = 32 * 1024
MOST_TAGS = 64
APART = 120_000
"""Milliseconds for which a key is not collapsed after its leader has failed, stalled or died."""


class CacheError(LbproxyError):
    """A file could not be written or read."""


class StoredEntry(NamedTuple):
    """A stored answer, copied out of what is shared; whoever has it may keep it."""

    meta: bytes
    body: bytes
    """b"" where it is in a file."""
    size: int
    """Of the body."""
    file: int
    """The file's number (Bodies.open); 0: the body is here."""
    place: int = 0
    """Where its record stands; 0: nobody says. As long as that is in its slot this is what is stored (watch.py)."""
    sequence: int = 0
    """Of the last rule of a purge that it was held against."""


class FillTicket(NamedTuple):
    """The moment at which a fill began."""

    digest: bytes
    """Of what `forget` is told: the primary one."""
    sequence: int
    forgotten: int


class New(NamedTuple):
    """What is to be stored."""

    meta: bytes
    url: bytes
    """For `purge` by URL and prefix: scheme "://" host target, as the client wrote the target; host small, without the scheme's own
    port."""
    tags: tuple[bytes, ...] = ()
    """Of Cache-Tag, Surrogate-Key."""
    body: bytes = b""
    size: int = -1
    """Of a body in a file; -1: it is `body`."""
    file: int = 0
    """The number of a file that Bodies has finished."""


class Put(Enum):
    """What became of an answer that was to be stored; true when it is."""

    STORED = 0
    OVERTAKEN = 1
    """It was purged or forgotten on its way: what comes next may be stored."""
    REFUSED = 2
    """There is no room for anything like it."""
    BUSY = 3
    """The lock could not be had, which says nothing of the answer."""

    def __bool__(self) -> bool:
        return self is Put.STORED


class Turn(IntEnum):
    """What a request for something that is not stored does."""

    LEAD = 0
    """It asks the backend for all who come now, and says `done` or `failed`."""
    WAIT = 1
    """Somebody else asks."""
    ALONE = 2
    """It asks for itself: the key is not to be collapsed now, or there is no place to note that somebody asks."""
    BUSY = 3
    """The lock could not be had: in a moment it can."""


class Collapsing(Protocol):
    """Marks: who asks a backend for what, over all workers. Small and bounded; those of dead workers go (Storage.owner_gone)."""

    def take(self, digest: bytes, now: int, patience: int) -> Turn:
        """Ask for the right to ask. The leader has it for `patience` ms from now, and from each `renew`."""

    def look(self, digest: bytes, now: int) -> Turn:
        """For who waits, without a lock: LEAD: the mark is gone: see what is stored, and `take` again; WAIT; ALONE: the leader has
        failed, stalled or died, or found that the answer is for itself alone."""

    def renew(self, digest: bytes, now: int, patience: int) -> bool:
        """The leader is getting on. False: the mark was taken away from it."""

    def wait(self, digest: bytes) -> None:
        """Somebody in this process waits for what the leader gets, who is in another one."""

    def awaited(self, digest: bytes) -> bool:
        """For the leader: whether somebody in another process waits."""

    def done(self, digest: bytes) -> None:
        """The answer is stored, or there was none that anybody waits for."""

    def failed(self, digest: bytes, now: int) -> None:
        """Those who wait go on, each for itself, and nobody waits for this key for APART ms."""


class Part(NamedTuple):
    """How far a body on its way is, as somebody sees it who has a part of it."""

    data: bytes
    """What follows that part, which may be nothing yet."""
    there: int
    """Bytes of the body that are there."""
    file: int
    """All of them are in this file (Bodies.open), and none is in `data`; 0: they are not."""
    over: bool
    """That is all of it."""


class Feed(Protocol):
    """One answer on its way, in memory that all workers share: its leader writes it, others read it while it comes."""

    meta: bytes
    size: int
    """Of the whole body; -1: nobody knows yet."""

    def add(self, data: bytes) -> None:
        """By the leader: more of the body."""

    def in_file(self, number: int, there: int) -> None:
        """By the leader: the body is in that file from now on, of which so many bytes are there."""

    def end(self, whole: bool, now: int) -> None:
        """By the leader, once: it is over; `whole`: what was said is all of it."""

    def read(self, at: int) -> Part | None:
        """What there is for somebody who has `at` bytes. None: nothing more will come, and what came is worth nothing."""


class Feeding(Protocol):
    """Feeds: few, of bounded size, and nobody holds a lock while one is written or read. Those of dead workers end
    (`owner_gone`)."""

    def open(self, digest: bytes, meta: bytes, size: int, now: int) -> Feed | None:
        """A feed for others to find, whose body has `size` bytes; -1: nobody knows. None: there is no room; they wait until it is
        stored."""

    def find(self, digest: bytes) -> Feed | None:
        """One that is on its way; None: there is none."""


class Storage(Protocol):
    """The memory that all workers share."""

    @property
    def feeds(self) -> Feeding:
        """Answers on their way."""

    @property
    def marks(self) -> Collapsing:
        """Who asks a backend for what."""

    @property
    def secret(self) -> bytes:
        """16 bytes, the key of all digests; the same as long as anything is stored under them."""

    def get(self, digest: bytes, counted: bool = True) -> StoredEntry | None:
        """What is stored there, and was not purged. No lock. `counted`: as a hit or a miss; else that is for `looked_up`."""

    def looked_up(self, found: StoredEntry | None) -> None:
        """A request has looked for an answer, in as many steps as that took: what it has found."""

    def begin(self, digest: bytes) -> FillTicket:
        """A fill begins. `digest`: the primary one of its key. No lock."""

    def overtaken(self, ticket: FillTicket, url: bytes, tags: Collection[bytes]) -> bool:
        """Whether what a fill brings was purged or forgotten since it began. No lock."""

    def put(self, digest: bytes, new: New, ticket: FillTicket, again: bool = False) -> Put:
        """Store it, in place of what is there. Where it is not stored, a file is gone as well; unless it is BUSY, and whoever asks
        comes `again` with the same."""

    def renew(self, digest: bytes, meta: bytes, ticket: FillTicket) -> Put:
        """Another meta for what is stored, body and all else as they are (a 304). REFUSED: there is nothing any more, or no
        room."""

    def forget(self, digest: bytes) -> bool:
        """What is stored there goes, fills that have begun are not stored. Whether there was anything."""


class Reading(Protocol):
    """A body in a file, as one who sends it holds it. It can be read to its end whatever becomes of the entry."""

    def read(self, at: int, size: int) -> bytes:
        """A piece; may wait for the disk. Raises CacheError, also where there is less than that."""

    def close(self) -> None:
        """It is not read any more."""


class Writing(Protocol):
    """A body on its way into a file."""

    size: int
    number: int
    """Of the file."""

    def write(self, data: bytes) -> None:
        """At the end; may wait for the disk. Raises CacheError (the disk is full): nothing is stored then."""

    def show(self) -> None:
        """All that was written can be read by whoever opens the file now. Raises CacheError."""

    def finish(self) -> int:
        """It is whole: its number, for New.file. The file goes again if `put` refuses it. Raises CacheError."""

    def abandon(self) -> None:
        """Nobody wants it. Harmless after `finish`."""


class Bodies(Protocol):
    """The files of large bodies."""

    most: int
    """Bytes of the largest body."""

    def create(self) -> Writing:
        """A new one; may wait for the disk. Raises CacheError."""

    def at_once(self, number: int, size: int) -> bytes | None:
        """All `size` bytes of one that is open and in memory. None: it is to be opened, and perhaps waited for."""

    def remove(self, numbers: Collection[int]) -> None:
        """Nobody names them any more; those who read them read on."""

    def open(self, number: int, size: int = -1) -> Reading | None:
        """One that is named by an entry, with a body of so many bytes; -1: one that is being written. May wait for the disk. None:
        it is gone, or not what was written, which is a miss."""


class Lock(Protocol):
    """Between those who write. Whoever is killed with it has it no longer."""

    def take(self) -> bool:
        """False: it could not be had in the time that writing is worth waiting for."""

    def give(self) -> None:
        """Somebody else may write."""
