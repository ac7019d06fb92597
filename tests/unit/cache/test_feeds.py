"""lbproxy.cache.feeds: one writes, others read while it comes, and nobody reads what is another one's."""

from __future__ import annotations

import pytest

from lbproxy.cache.feeds import HEADER, KEPT, Feed, Feeds
from lbproxy.cache.layout import Stretch
from tests.unit.cache.world import FreeLock, digest_of

KEY, OTHER = digest_of("key"), digest_of("other")
SIZE = 256


class Two:
    """Two processes over the same two slots."""

    def __init__(self) -> None:
        view = memoryview(bytearray(2 * SIZE))
        self.lock = FreeLock()
        self.one, self.two = (Feeds(view, Stretch(0, len(view)), 2, self.lock, owner) for owner in (1, 2))

    def opened(self, digest: bytes = KEY, size: int = 8, now: int = 1000) -> Feed:
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
    assert (early.meta, early.size, early.read(0)) == (b"meta", 8, b"")
    feed.add(b"abcd")
    late = two.two.find(KEY)
    assert late is not None
    assert (early.read(0), late.read(0), early.read(4)) == (b"abcd", b"abcd", b"")
    feed.add(b"efgh")
    feed.end(True, 1000)
    assert (early.read(4), late.read(2)) == (b"efgh", b"cdefgh")
    assert two.two.find(KEY) is None


def test_what_is_broken_is_worth_nothing() -> None:
    """Also what came before: no answer is put together from two."""
    two = Two()
    feed = two.opened()
    feed.add(b"abcd")
    reader = two.two.find(KEY)
    assert reader is not None
    feed.end(False, 1000)
    assert reader.read(0) is None


def test_more_than_was_said_is_broken() -> None:
    """Nothing is written behind the slot."""
    two = Two()
    feed, other = two.opened(), two.opened(OTHER)
    reader = two.two.find(KEY)
    assert reader is not None
    feed.add(b"x" * 9)
    feed.add(b"x" * SIZE)
    assert reader.read(0) is None
    assert other.read(0) == b""


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
    assert reader.read(0) is None
    assert Two().one.open(KEY, b"meta", SIZE - HEADER - 4, 0) is not None
    assert Two().one.open(KEY, b"meta", SIZE - HEADER - 3, 0) is None
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
    assert reader.read(0) == b"abcd"
    two.two.owner_gone(1)
    assert reader.read(0) is None
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
    assert found is None or found.size <= SIZE
    assert len(feed.read(0) or b"") <= 8
    feed.add(b"x")
