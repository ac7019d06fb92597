"""A ring of records, to which is only appended.

A *position* counts all bytes that were ever appended; what stands at `position` of `size` bytes is `tail <= position < head`.
The tail moves before anything behind it is overwritten, and the head after all before it is written. So whoever copies without a
lock knows afterwards, by looking at the tail again, whether the copy is whole; and whoever is killed in the middle leaves nothing
behind that can be found.
"""

from __future__ import annotations

from lbproxy.cache import record
from lbproxy.cache.layout import LINE, Stretch

LAST = 2**62
"""No position is beyond it."""


class EntryRing:
    """One ring; methods that write are called with the lock held."""

    __slots__ = ("_head", "_tail", "_words", "size", "start", "view")

    def __init__(self, view: memoryview, words: memoryview[int], stretch: Stretch, head: int, tail: int) -> None:
        """`head`, `tail`: the words that hold them."""
        self.view = view
        self._words = words
        self.start = stretch.start
        self.size = stretch.size
        self._head = head
        self._tail = tail

    @property
    def head(self) -> int:
        """Where the next record will stand."""
        return self._words[self._head]

    @property
    def tail(self) -> int:
        """Where the oldest one stands."""
        return self._words[self._tail]

    def holds(self, position: int) -> bool:
        """Whether a record that stands there has not been overwritten."""
        return self._words[self._tail] <= position < self._words[self._head]

    def at(self, position: int) -> int:
        """Where in memory."""
        return self.start + position % self.size

    def contiguous(self, position: int) -> int:
        """Bytes from there to the ring's end."""
        return self.size - position % self.size

    def read(self, position: int) -> record.EntryRecord | None:
        """The answer there; None: there is none."""
        if not self.holds(position) or position % LINE:
            return None
        return record.read(self.view, self.at(position), position, self.contiguous(position))

    def needs(self, length: int) -> int:
        """Bytes that have to be free for a record of that length: what is left at the end is skipped when it is too short."""
        left = self.contiguous(self.head)
        return length if length <= left else left + length

    @property
    def free(self) -> int:
        """Bytes that nothing stands in."""
        return self.size - (self.head - self.tail)

    def mend(self) -> None:
        """Head and tail that cannot be: everything in the ring goes."""
        head, tail = self.head, self.tail
        if not (0 <= head - tail <= self.size and head <= LAST and head % LINE == tail % LINE == 0):
            self.clear()

    def clear(self) -> None:
        """All that it holds is gone; positions go on, so that no old one becomes true again."""
        self._words[self._tail] = self._words[self._head] = max(self.head, self.tail) % LAST // LINE * LINE

    def advance(self) -> None:
        """The oldest record goes."""
        tail = self.tail
        length = record.length_at(self.view, self.at(tail), tail, self.contiguous(tail)) if tail < self.head else 0
        if not length:
            self.clear()
        else:
            self._words[self._tail] = tail + length

    def place(self, length: int) -> int:
        """The position at which a record of that length may be appended now; `needs` bytes are free."""
        head = self.head
        left = self.contiguous(head)
        if length <= left:
            return head
        at = self.at(head)
        self.view[at : at + record.HEADER] = record.padding(head, left)
        self._words[self._head] = head + left
        return head + left

    def append(self, position: int, data: bytes) -> None:
        """`position`: what `place` gave for its length."""
        at = self.at(position)
        self.view[at : at + len(data)] = data
        self._words[self._head] = position + len(data)
