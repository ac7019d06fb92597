"""A storage in ordinary memory, and files that are none: what interface.py promises, without sharing."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection
from email.utils import formatdate
from typing import Any

from lbproxy.cache.area import Area
from lbproxy.cache.interface import CacheError, Reading, StoredEntry, Writing
from lbproxy.cache.record import length_at
from lbproxy.cache.watch import CacheWatch
from lbproxy.coders import maker
from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.observe.cache_names import CACHE_RESULTS, CACHE_UNSTORED
from lbproxy.proxy.caching.hand import MOST_AT_HAND, Hand
from lbproxy.proxy.caching.outcomes import CELLS, UNSTORED_CELLS, CacheOutcome, CacheOutcomes
from lbproxy.proxy.caching.shelf import CacheShelf
from lbproxy.proxy.steps.cache import Cache
from lbproxy.proxy.steps.compress import Allowance, Compression
from lbproxy.remembered import Budget
from tests.unit.cache.world import World as Place
from tests.unit.http.heads import values
from tests.unit.proxy.fake_stream import EOF, FakeStream
from tests.unit.proxy.world import World, get

WALL = 1_700_000_000.0


class Stored(Area):
    """A storage in ordinary memory, and what is in it."""

    def __init__(self, bodies: FakeBodies) -> None:
        self.place = place = Place(disk=2**31)
        super().__init__(place.memory, place.lock, 1, bodies.remove)
        self.watch = CacheWatch(place.memory, place.counters)
        self.looks = 0

    def get(self, digest: bytes, counted: bool = True) -> StoredEntry | None:
        """Looks are counted."""
        self.looks += 1
        return super().get(digest, counted)

    @property
    def entries(self) -> dict[bytes, StoredEntry]:
        """By digest."""
        memory, found = self.place.memory, {}
        for ring in memory.rings:
            at = ring.tail
            while at < ring.head:
                record = ring.read(at)
                if record is not None and (entry := self.get(record.digest)) is not None:
                    found[record.digest] = entry
                at += length_at(ring.view, ring.at(at), at, ring.contiguous(at))
        return found


class _Reading(Reading):
    """What others write is seen; it is read on when the file is gone."""

    def __init__(self, data: bytearray) -> None:
        self.data = data

    def read(self, at: int, size: int) -> bytes:
        if at + size > len(self.data):
            raise CacheError("short")
        return bytes(self.data[at : at + size])

    def close(self) -> None:
        pass


class FakeBodies:
    """See interface.Bodies."""

    most = 2**30

    def remove(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self.files.pop(number, None)

    def __init__(self) -> None:
        self.files: dict[int, bytearray] = {}
        self.open_ones = self.created = 0
        self.full = False

    def create(self) -> Writing:
        if self.full:
            raise CacheError("the disk is full")
        self.open_ones += 1
        return FakeWriting(self)

    def at_once(self, number: int, size: int) -> bytes | None:
        data = self.files.get(number)
        return None if data is None or len(data) != size else bytes(data)

    def open(self, number: int, size: int = -1) -> Reading | None:
        data = self.files.get(number)
        return None if data is None or size not in (-1, len(data)) else _Reading(data)


class FakeWriting(Writing):
    def __init__(self, bodies: FakeBodies) -> None:
        self.bodies = bodies
        self.data = b""
        self.size = 0
        bodies.created += 1
        self.number = bodies.created

    def show(self) -> None:
        if self.bodies.full:
            raise CacheError("the disk is full")
        self.bodies.files.setdefault(self.number, bytearray())[:] = self.data

    def write(self, data: bytes) -> None:
        if self.bodies.full:
            raise CacheError("the disk is full")
        self.data += data

    def finish(self) -> int:
        self.show()
        self.bodies.open_ones -= 1
        return self.number

    def abandon(self) -> None:
        self.bodies.open_ones -= 1
        self.bodies.remove((self.number,))


class Caching:
    """A world whose route has a cache."""

    def __init__(
        self, settings: model.CacheConfig | None = None, personal: bool = False, beside: Caching | None = None,
        compress: model.CompressConfig | None = None, allowed: int = 100, **world: Any,
    ) -> None:  # fmt: skip
        """`beside`: another worker, with the same storage; `compress`: what the route does with answers, so many at a time."""
        self.world = World(1, **world)
        self.bodies: FakeBodies = FakeBodies() if beside is None else beside.bodies
        self.storage: Stored = Stored(self.bodies) if beside is None else beside.storage
        self.cells, self.unstored = (memoryview(array("q", [0] * cells)) for cells in (CELLS, UNSTORED_CELLS))
        self.shelf = CacheShelf(self.storage, self.bodies, self._chance, CacheOutcomes(self.cells, self.unstored))
        self.drawn = 0
        [(_, destination)] = self.world.routed
        wall: Callable[[], float] = lambda: WALL + self.world.now - 1000.0  # noqa: E731
        self.hand = Hand(self.storage.watch, Budget(MOST_AT_HAND))
        self.compression: Compression | None = None
        if compress is not None:
            allowance = Allowance(allowed, 0.5, self.world.clock, self.world.ledger, 0)
            self.compression = Compression(compress, {coding: maker(coding) for coding in compress.codings}, allowance)
        self.cache = Cache(
            settings or model.CacheConfig(),
            self.shelf,
            ("/", "app"),
            personal,
            wall,
            2**30,
            destination,
            self.hand,
            self.compression,
        )
        destination.steps = (*(destination.steps or ()), self.cache)

    def counted(self) -> dict[str, int]:
        """What became of requests, and why answers were not stored."""
        results = zip(CACHE_RESULTS, self.cells, strict=False)
        return {name: count for name, count in (*results, *zip(CACHE_UNSTORED, self.unstored, strict=True)) if count}

    def served(self) -> int:
        """Bytes of bodies out of the cache."""
        return self.cells[CacheOutcome.SERVED_BYTES]

    def _chance(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")


FRESH = "Cache-Control: max-age=60"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + FRESH.encode() + END
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def unchunked(body: bytes) -> bytes:
    """A whole body."""
    found = bytearray()
    while body != LAST:
        size, _, body = body.partition(b"\r\n")
        found += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return bytes(found)


def date(off: float = 0) -> str:
    return "Date: " + formatdate(WALL + off, usegmt=True)


def taken(client: FakeStream) -> tuple[bytes, bytes]:
    head, _, body = client.take().partition(END)
    return head + END, body


def status(head: bytes) -> str:
    """Cache-Status."""
    [said] = values(head, "cache-status")
    return said.decode()


def fill(caching: Caching, answer: bytes, asked: bytes | None = None) -> bytes:
    """One request that a backend answers; the head that its client gets."""
    client = caching.world.connect()
    client.feed(asked or get("/a"))
    caching.world.upstream.feed(answer)
    head, _ = taken(client)
    client.feed(EOF)
    return head


def herd(caching: Caching, number: int = 5, path: str = "/a") -> list[FakeStream]:
    clients = [caching.world.connect() for _ in range(number)]
    for client in clients:
        client.feed(get(path))
    return clients


def gone(caching: Caching, clients: list[FakeStream]) -> None:
    for client in clients:
        client.feed(EOF)
    caching.world.at_rest()


def answered(caching: Caching, answer: bytes, aside: FakeStream | None) -> int:
    """How many requests were under way at once, all of which have got `answer` then."""
    asked = [each for each in caching.world.upstreams if each is not aside and each.is_open() and b"GET /a" in each.take()]
    for each in asked:
        each.feed(answer)
    caching.world.settle()
    return len(asked)
