"""lbproxy.cache.feeds: one writes, others read while it comes, and nobody reads what is another one's."""

from __future__ import annotations

import pytest

from lbproxy.cache.feeds import HEADER, KEPT, MOST_SIZE, Feeds, FeedSlot
from lbproxy.cache.interface import Part
from lbproxy.cache.layout import Stretch
from tests.unit.cache.world import FreeLock, digest_of

KEY, OTHER = digest_of("key"), digest_of("other")
SIZE = 512


def read(feed: FeedSlot, at: int) -> bytes | None:
    """What is there from there on."""
    part = feed.read(at)
    return None if part is None else part.data


class Two:
    """Two processes over the same two slots."""

    def __init__(self) -> None:
        view = memoryview(bytearray(2 * SIZE))
        self.lock = FreeLock()
        self.one, self.two = (Feeds(view, Stretch(0, len(view)), 2, self.lock, owner) for owner in (1, 2))

    def opened(self, digest: bytes = KEY, size: int = 8, now: int = 1000) -> FeedSlot:
        """By the first."""
        feed = self.one.open(digest, b"meta", size, now)
        assert feed is not None
        return feed


def test_bytes_are_read_as_they_come() -> None:
    """From the first one on, whoever comes when; what is over is found no more, and read to its end by those who have it."""
    two = Two()
    assert two.two.find(KEY) is None
    feed = two.opened()
    early = two.two.find(KEY)
    assert early is not None
    assert (early.meta, early.size, read(early, 0)) == (b"meta", 8, b"")
    feed.add(b"abcd")
    late = two.two.find(KEY)
    assert late is not None
    assert (read(early, 0), read(late, 0), read(early, 4)) == (b"abcd", b"abcd", b"")
    feed.add(b"efgh")
    feed.end(True, 1000)
    assert (read(early, 4), read(late, 2)) == (b"efgh", b"cdefgh")
    assert two.two.find(KEY) is None


def test_what_is_broken_is_worth_nothing() -> None:
    """Also what came before: no answer is put together from two."""
    two = Two()
    feed = two.opened()
    feed.add(b"abcd")
    reader = two.two.find(KEY)
    assert reader is not None
    feed.end(False, 1000)
    assert read(reader, 0) is None


def test_more_than_was_said_is_broken() -> None:
    """Nothing is written behind the slot."""
    two = Two()
    feed, other = two.opened(), two.opened(OTHER)
    reader = two.two.find(KEY)
    assert reader is not None
    feed.add(b"x" * 9)
    feed.add(b"x" * SIZE)
    assert read(reader, 0) is None
    assert read(other, 0) == b""


def test_slots_are_few() -> None:
    """Those that are taken stay taken however long their leaders take, and for a moment when they are over; a feed that is too
    large for one, or whose lock cannot be had, is none."""
    two = Two()
    first, _ = two.opened(), two.opened(OTHER)
    assert two.two.open(digest_of("third"), b"", 1, 10**12) is None
    reader = two.two.find(KEY)
    assert reader is not None
    first.add(b"abcdefgh")
    first.end(True, 5000)
    assert two.two.open(digest_of("third"), b"", 1, 4999 + KEPT) is None
    assert two.two.open(digest_of("third"), b"", 1, 5000 + KEPT) is not None
    assert read(reader, 0) is None
    assert Two().one.open(KEY, b"meta", SIZE - HEADER - 4, 0) is not None
    assert Two().one.open(KEY, b"meta", SIZE - HEADER - 3, 0) is None
    assert Two().one.open(KEY, b"meta", -1, 0) is None
    held = Two()
    held.lock.held = True
    assert held.one.open(KEY, b"meta", 8, 0) is None


def test_a_leader_that_is_dead() -> None:
    """Its feeds are broken, and their slots free."""
    two = Two()
    feed = two.opened()
    feed.add(b"abcd")
    reader = two.two.find(KEY)
    assert reader is not None
    two.two.owner_gone(2)
    assert read(reader, 0) == b"abcd"
    two.two.owner_gone(1)
    assert read(reader, 0) is None
    assert two.two.find(KEY) is None
    assert two.one.open(OTHER, b"", 1, 0) is not None
    assert two.one.open(digest_of("third"), b"", 1, 0) is not None


@pytest.mark.parametrize("at", range(0, 2 * SIZE, 5))
def test_what_somebody_else_wrote_there(at: int) -> None:
    """Whatever stands there, nobody reads outside of the slot, and nobody fails."""
    view = memoryview(bytearray(2 * SIZE))
    feeds = Feeds(view, Stretch(0, len(view)), 2, FreeLock(), 1)
    feed = feeds.open(KEY, b"meta", 8, 0)
    assert feed is not None
    view[at : at + 24] = b"\xff" * len(view[at : at + 24])
    found = feeds.find(KEY)
    assert found is None or -1 <= found.size <= MOST_SIZE
    assert found is None or (part := found.read(0)) is None or len(part.data) <= SIZE
    assert len(read(feed, 0) or b"") <= 8
    feed.add(b"x")


def long() -> tuple[FeedSlot, FeedSlot]:
    """A feed whose size nobody knows, and somebody who reads it."""
    view = memoryview(bytearray(80 * 1024))
    one, two = (Feeds(view, Stretch(0, len(view)), 1, FreeLock(), owner) for owner in (1, 2))
    feed = one.open(KEY, b"meta", -1, 0)
    reader = two.find(KEY)
    assert feed is not None
    assert reader is not None
    assert reader.size == -1
    return feed, reader


def test_the_end_is_told_where_no_size_was() -> None:
    """By whoever writes, behind the last byte; before that nobody takes what is there for all of it."""
    feed, reader = long()
    feed.add(b"abcd")
    assert reader.read(2) == Part(b"cd", 4, 0, False)
    feed.add(b"e")
    feed.end(True, 1000)
    assert reader.read(4) == Part(b"e", 5, 0, True)
    assert reader.read(5) == Part(b"", 5, 0, True)
    feed, reader = long()
    feed.add(b"abcd")
    feed.end(False, 1000)
    assert reader.read(0) is None


def test_a_long_body_goes_on_in_a_file() -> None:
    """From where it is told, all of it is there, and nothing in the memory."""
    feed, reader = long()
    feed.add(b"x" * 60_000)
    feed.in_file(7, 90_000)
    assert reader.read(0) == Part(b"", 90_000, 7, False)
    feed.in_file(7, 2**33)
    feed.end(True, 0)
    assert reader.read(90_000) == Part(b"", 2**33, 7, True)


def test_what_goes_into_no_file_and_has_no_room_is_broken() -> None:
    """Nothing is written behind the slot, and nobody is given a part of what follows."""
    feed, reader = long()
    feed.add(b"x" * 80_000)
    assert read(reader, 0) == b"x" * 80_000
    feed.add(b"x" * 3_000)
    feed.in_file(7, 90_000)
    feed.end(True, 0)
    assert reader.read(0) is None


def test_a_file_that_has_more_than_was_said_is_broken() -> None:
    """Whoever was told a length is given no more."""
    two = Two()
    feed = two.opened()
    reader = two.two.find(KEY)
    assert reader is not None
    feed.in_file(7, 9)
    assert reader.read(0) is None
