"""The way from digests to positions in the rings: buckets of eight slots.

A slot is two words: the digest's second half, and where its record stands (0: nowhere). They are stored one after the other, so
who reads without a lock may see those of two answers; the record says whose it is.
"""

from __future__ import annotations

import struct

from lbproxy.cache.layout import BUCKET_SIZE, WAYS, Stretch

_HALVES = struct.Struct("=QQ")
_EIGHT = struct.Struct("=8Q")
_POSITIONS, _USES, _FORGOTTEN = WAYS, 16 * WAYS, 17  # words, bytes, word of a bucket
BUCKET_WORDS = BUCKET_SIZE // 8
MOST_USES = 3


class Buckets:
    """The table; methods that write are called with the lock held, but for `used`."""

    __slots__ = ("_count", "_start", "_view", "_words", "count")

    def __init__(self, view: memoryview, stretch: Stretch, count: int) -> None:
        self._view = view
        self._words: memoryview[int] = view[stretch.start : stretch.end].cast("Q")
        self._start = stretch.start
        self.count = count

    def locate(self, digest: bytes) -> tuple[int, int]:
        """(bucket, fingerprint)."""
        first, second = _HALVES.unpack(digest)
        return first % self.count, second

    def find(self, bucket: int, fingerprint: int) -> int:
        """The slot; -1: none has that fingerprint."""
        found = _EIGHT.unpack_from(self._view, self._start + bucket * BUCKET_SIZE)
        return bucket * WAYS + found.index(fingerprint) if fingerprint in found else -1

    def position(self, slot: int) -> int:
        """What stands in it; 0: nothing."""
        return self._words[slot // WAYS * BUCKET_WORDS + _POSITIONS + slot % WAYS]

    def fingerprint(self, slot: int) -> int:
        """Of whatever stands in it, or stood."""
        return self._words[slot // WAYS * BUCKET_WORDS + slot % WAYS]

    def set(self, slot: int, fingerprint: int, position: int) -> None:
        """It is another's now; first nobody's, so that no position is found under a wrong name for longer than a look."""
        at = slot // WAYS * BUCKET_WORDS + slot % WAYS
        self._words[at + _POSITIONS] = 0
        self._words[at] = fingerprint
        self._words[at + _POSITIONS] = position

    def move(self, slot: int, position: int) -> None:
        """The same answer stands elsewhere."""
        self._words[slot // WAYS * BUCKET_WORDS + _POSITIONS + slot % WAYS] = position

    def clear(self, slot: int) -> None:
        """It is free."""
        at = slot // WAYS * BUCKET_WORDS + slot % WAYS
        self._words[at + _POSITIONS] = 0
        self._words[at] = 0

    def uses(self, slot: int) -> int:
        """How often it was asked for since it came, or was moved."""
        return self._view[self._start + slot // WAYS * BUCKET_SIZE + _USES + slot % WAYS]

    def where(self, slot: int) -> tuple[int, int, int]:
        """Where of all memory its fingerprint and its position stand, in words, and its uses, in bytes."""
        bucket, way = slot // WAYS * BUCKET_SIZE, slot % WAYS
        word = (self._start + bucket) // 8 + way
        return word, word + _POSITIONS, self._start + bucket + _USES + way

    def used(self, slot: int) -> None:
        """Once more. Two that say so at once are counted as one."""
        at = self._start + slot // WAYS * BUCKET_SIZE + _USES + slot % WAYS
        if self._view[at] < MOST_USES:
            self._view[at] += 1

    def set_uses(self, slot: int, uses: int) -> None:
        """Begin again."""
        self._view[self._start + slot // WAYS * BUCKET_SIZE + _USES + slot % WAYS] = uses

    def forgotten(self, bucket: int) -> int:
        """How often something in the bucket was forgotten."""
        return self._words[bucket * BUCKET_WORDS + _FORGOTTEN]

    def forget(self, bucket: int) -> None:
        """Fills that have begun for anything in the bucket are not stored."""
        at = bucket * BUCKET_WORDS + _FORGOTTEN
        self._words[at] = (self._words[at] + 1) % 2**64

    def positions(self, bucket: int) -> tuple[int, ...]:
        """Of all slots of one bucket."""
        found: tuple[int, ...] = _EIGHT.unpack_from(self._view, self._start + bucket * BUCKET_SIZE + 8 * _POSITIONS)
        return found
