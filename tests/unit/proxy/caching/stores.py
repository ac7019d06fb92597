"""A storage in a dictionary, and files in memory: what interface.py promises, without sharing."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from lbproxy.cache.feeds import Feeds
from lbproxy.cache.interface import APART, CacheError, Collapsing, Entry, Feeding, New, Reading, Ticket, Turn, Writing
from lbproxy.cache.layout import Stretch
from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.observe.cache_names import CACHE_RESULTS, CACHE_UNSTORED
from lbproxy.proxy.caching.outcomes import CELLS, UNSTORED_CELLS, Outcome, Outcomes
from lbproxy.proxy.caching.shelf import Shelf
from lbproxy.proxy.steps.cache import Cache
from tests.unit.cache.world import FreeLock
from tests.unit.http.heads import values
from tests.unit.proxy.fake_stream import EOF, FakeStream
from tests.unit.proxy.world import World, get

WALL = 1_700_000_000.0


class FakeMarks:
    """See interface.Collapsing."""

    def __init__(self) -> None:
        self.held: dict[bytes, int] = {}
        self.apart: dict[bytes, int] = {}
        self.waited: set[bytes] = set()

    def take(self, digest: bytes, now: int, patience: int) -> Turn:
        turn = self.look(digest, now)
        if turn is Turn.LEAD:
            self.held[digest] = now + patience
        return turn

    def look(self, digest: bytes, now: int) -> Turn:
        if self.apart.get(digest, 0) > now:
            return Turn.ALONE
        until = self.held.get(digest)
        if until is None:
            return Turn.LEAD
        return Turn.WAIT if until > now else Turn.ALONE

    def renew(self, digest: bytes, now: int, patience: int) -> bool:
        if digest not in self.held:
            return False
        self.held[digest] = now + patience
        return True

    def wait(self, digest: bytes) -> None:
        if digest in self.held:
            self.waited.add(digest)

    def awaited(self, digest: bytes) -> bool:
        return digest in self.waited

    def done(self, digest: bytes) -> None:
        self.held.pop(digest, None)
        self.waited.discard(digest)

    def failed(self, digest: bytes, now: int) -> None:
        self.done(digest)
        self.apart[digest] = now + APART


class FakeStorage:
    """See interface.Storage."""

    secret = b"0123456789abcdef"

    def __init__(self) -> None:
        self.marks: Collapsing = FakeMarks()
        feeds = memoryview(bytearray(4 * 4096))
        self.feeds: Feeding = Feeds(feeds, Stretch(0, len(feeds)), 4, FreeLock(), 1)
        self.entries: dict[bytes, tuple[Entry, New]] = {}
        self.forgotten: dict[bytes, int] = {}
        self.sequence = 0

    def get(self, digest: bytes) -> Entry | None:
        found = self.entries.get(digest)
        return None if found is None else found[0]

    def begin(self, digest: bytes) -> Ticket:
        return Ticket(digest, self.sequence, 0)

    def put(self, digest: bytes, new: New, ticket: Ticket) -> bool:
        if self.forgotten.get(ticket.digest, -1) >= ticket.sequence:
            return False
        size = len(new.body) if new.size < 0 else new.size
        self.entries[digest] = (Entry(new.meta, new.body, size, new.file), new)
        return True

    def renew(self, digest: bytes, meta: bytes, ticket: Ticket) -> bool:
        if digest not in self.entries or self.forgotten.get(ticket.digest, -1) >= ticket.sequence:
            return False
        entry, new = self.entries[digest]
        self.entries[digest] = (entry._replace(meta=meta), new)
        return True

    def forget(self, digest: bytes) -> bool:
        self.forgotten[digest] = self.sequence
        self.sequence += 1
        return self.entries.pop(digest, None) is not None


class _Reading(Reading):
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, at: int, size: int) -> bytes:
        if at + size > len(self.data):
            raise CacheError("short")
        return self.data[at : at + size]

    def close(self) -> None:
        pass


class FakeBodies:
    """See interface.Bodies."""

    most = 2**30

    def __init__(self) -> None:
        self.files: dict[int, bytes] = {}
        self.open_ones = 0
        self.full = False

    def create(self) -> Writing:
        if self.full:
            raise CacheError("the disk is full")
        self.open_ones += 1
        return FakeWriting(self)

    def open(self, number: int) -> Reading | None:
        data = self.files.get(number)
        return None if data is None else _Reading(data)


class FakeWriting(Writing):
    def __init__(self, bodies: FakeBodies) -> None:
        self.bodies = bodies
        self.data = b""
        self.size = 0

    def write(self, data: bytes) -> None:
        if self.bodies.full:
            raise CacheError("the disk is full")
        self.data += data

    def finish(self) -> int:
        self.bodies.open_ones -= 1
        number = len(self.bodies.files) + 1
        self.bodies.files[number] = self.data
        return number

    def abandon(self) -> None:
        self.bodies.open_ones -= 1


class Caching:
    """A world whose route has a cache."""

    def __init__(
        self, settings: model.Cache | None = None, personal: bool = False, beside: Caching | None = None, **world: Any
    ) -> None:
        """`beside`: another worker, with the same storage."""
        self.world = World(1, **world)
        self.storage: FakeStorage = FakeStorage() if beside is None else beside.storage
        self.bodies: FakeBodies = FakeBodies() if beside is None else beside.bodies
        self.cells, self.unstored = [0] * CELLS, [0] * UNSTORED_CELLS
        self.shelf = Shelf(self.storage, self.bodies, self._chance, Outcomes(self.cells, self.unstored))
        self.drawn = 0
        [(_, destination)] = self.world.routed
        wall: Callable[[], float] = lambda: WALL + self.world.now - 1000.0  # noqa: E731
        self.cache = Cache(settings or model.Cache(), self.shelf, ("/", "app"), personal, wall, 2**30, destination)
        destination.steps = (*(destination.steps or ()), self.cache)

    def counted(self) -> dict[str, int]:
        """What became of requests, and why answers were not stored."""
        results = zip(CACHE_RESULTS, self.cells, strict=False)
        return {name: count for name, count in (*results, *zip(CACHE_UNSTORED, self.unstored, strict=True)) if count}

    def served(self) -> int:
        """Bytes of bodies out of the cache."""
        return self.cells[Outcome.SERVED_BYTES]

    def _chance(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")


FRESH = "Cache-Control: max-age=60"


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
