"""A cache in ordinary memory, for tests."""

from __future__ import annotations

from array import array
from collections.abc import Collection
from hashlib import blake2b

from lbproxy.cache.area import Area
from lbproxy.cache.interface import New
from lbproxy.cache.layout import LEAST_MEMORY, Counter
from lbproxy.cache.memory import MemoryParts, begin_anew

SECRET = bytes(range(16))


class FreeLock:
    """Nobody else writes; or, `held`, somebody always does."""

    def __init__(self) -> None:
        self.held = False
        self.mine = False

    def take(self) -> bool:
        """See Lock."""
        assert not self.mine, "taken twice"
        self.mine = not self.held
        return self.mine

    def give(self) -> None:
        """See Lock."""
        assert self.mine
        self.mine = False


class World:
    """A memory, an area over it, and the files that went."""

    def __init__(self, memory: int = LEAST_MEMORY, disk: int = 0) -> None:
        self.buffer = bytearray(memory)
        begin_anew(self.buffer, disk, SECRET)
        self.lock = FreeLock()
        self.counters = memoryview(array("q", [0] * len(Counter)))
        self.memory = MemoryParts(self.buffer, disk, self.counters)
        self.gone: list[int] = []
        self.area = Area(self.memory, self.lock, 1, self._on_gone)

    def _on_gone(self, numbers: Collection[int]) -> None:
        assert not self.lock.mine, "files are removed when others may write again"
        self.gone += numbers

    def store(self, name: str, body: bytes = b"body", *, url: str = "", tags: tuple[bytes, ...] = (), meta: bytes = b"m") -> bool:
        """Put it under the name's digest."""
        digest = digest_of(name)
        new = New(meta, (url or f"http://a/{name}").encode(), tags, body)
        return bool(self.area.put(digest, new, self.area.begin(digest)))

    def store_file(self, name: str, number: int, size: int) -> bool:
        """The same of a body in a file."""
        digest = digest_of(name)
        new = New(b"m", f"http://a/{name}".encode(), (), b"", size, number)
        return bool(self.area.put(digest, new, self.area.begin(digest)))

    def body(self, name: str) -> bytes | None:
        """What is found under it."""
        found = self.area.get(digest_of(name))
        return None if found is None else found.body


def digest_of(name: str) -> bytes:
    """A key's digest."""
    return blake2b(name.encode(), digest_size=16, key=SECRET).digest()
