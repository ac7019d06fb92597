"""The master's part in the cache: what operators order, the sweep after a purge, marks of dead workers, figures for metrics.

The memory itself is for workers. Two generations may have two of them for a while: a purge is for both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lbproxy.balance.ledger import Header, Ledger
from lbproxy.cache.feeds import Feeds
from lbproxy.cache.keeper import Keeper, ShownEntry
from lbproxy.cache.layout import FEEDS, Counter
from lbproxy.cache.lock import RecordLock
from lbproxy.cache.marks import Marks
from lbproxy.cache.memory import MemoryParts
from lbproxy.cache.purges import Purge
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.system.cache_memory import CacheMemory, keep
from lbproxy.observe.cache_names import CACHE_GAUGES

EVERY = 1.0
"""Seconds between figures."""
AGAIN = 0.05
"""Seconds until the lock is asked for again that a stopped worker has."""
AT_ONCE = 0.002
"""Seconds of sweeping or searching in one round of the master's loop."""
MOST_TOLD = 100

Told = Callable[[list[ShownEntry]], None]


class _MappedMemory:
    """One memory, as the master has it mapped."""

    def __init__(self, shared: CacheMemory) -> None:
        self.shared = shared
        self.memory = MemoryParts(shared.mapped, shared.disk, [0] * len(Counter))
        self.lock = RecordLock(shared.descriptor)
        self.keeper = Keeper(self.memory, self.lock)
        layout = self.memory.layout
        self.marks = Marks(self.memory.view, layout.marks, layout.mark_sets, self.lock, os.getpid())
        self.feeds = Feeds(self.memory.view, layout.feeds, FEEDS, self.lock, os.getpid())

        self.waits_until = 0.0
        """Somebody has the lock, and the sweep waits for it."""

    def sweeps(self, now: float) -> bool:
        """It has to, and can."""
        return self.keeper.sweeping and now >= self.waits_until

    def sweep(self, now: float) -> None:
        """A part; files that go are removed."""
        gone = self.keeper.sweep()
        if gone is None:
            self.waits_until = now + AGAIN
            return
        for number in gone:
            with suppress(OSError):
                os.unlink(f"{self.shared.folder}/{number:016x}")


class CacheKeeping:
    """What the master does for the memories of all living generations."""

    def __init__(
        self,
        resources: Mapping[int, GenerationResources],
        serving: Callable[[], tuple[int, GenerationResources] | None],
        ledger: Ledger,
    ) -> None:
        """`resources`: of living generations, by number; `serving`: number and resources of what clients meet."""
        self._resources = resources
        self._in_service = serving
        self._ledger = ledger
        self._kept: list[_MappedMemory] = []
        self._searches: list[tuple[Iterator[list[ShownEntry]], list[ShownEntry], Told]] = []
        self._look_at = 0.0
        self._to_keep: tuple[CacheMemory, Path] | None = None
        """What the next start wants of what serves, or served last."""

    def purge(self, what: Purge, text: bytes) -> str:
        """Why not; "" when it is done."""
        self._refresh()
        if not self._kept:
            return "no cache is configured"
        if not all(one.keeper.purge(what, text) for one in self._kept):
            return "too much is being purged: try again in a moment"
        return ""

    def usage(self) -> dict[str, int]:
        """Of the serving generation's; empty where there is none."""
        self._refresh()
        return next((one.memory.usage() for one in self._kept if one.shared is self._serving()), {})

    def search(self, url: bytes, told: Told) -> bool:
        """`told`, sometime, what is stored under the URL. False: there is no cache."""
        self._refresh()
        for one in self._kept:
            if one.shared is self._serving():
                self._searches.append((one.keeper.search(url), [], told))
                return True
        return False

    def died(self, pid: int) -> None:
        """A child is dead: who waits for it goes on."""
        self._refresh()
        now = int(time.monotonic() * 1000)
        for one in self._kept:
            locked = one.lock.take()
            try:
                one.marks.owner_gone(pid, now)
                one.feeds.owner_gone(pid)
            finally:
                if locked:
                    one.lock.give()

    def close_in_child(self) -> None:
        """A worker has its own hold of its own memory; an older one must not live as long as it does."""
        self._kept.clear()
        self._to_keep = None

    def keep(self, running: Mapping[int, object]) -> None:
        """At the end: what is stored is kept for the next start, if that is wanted and nobody who is `running` writes any more."""
        if self._to_keep is not None and not running:
            keep(*self._to_keep)

    def next_deadline(self) -> float:
        """Of the monotonic clock."""
        if self._searches:
            return 0.0
        waits = [one.waits_until for one in self._kept if one.keeper.sweeping]
        return min([*waits, self._look_at]) if self._kept else float("inf")

    def look(self, now: float) -> None:
        """From the master's loop: a part of what is to be done, and figures once in a while."""
        if (serving := self._in_service()) is not None:
            wanted, shared = serving[1].config.cache, serving[1].cache
            self._to_keep = None if shared is None or wanted is None or wanted.keep is None else (shared, wanted.keep)
        if now >= self._look_at:
            self._look_at = now + EVERY
            self._refresh()
            self._show()
        until = now + AT_ONCE
        for one in self._kept:
            while one.sweeps(now) and time.monotonic() < until:
                one.sweep(now)
        while self._searches and time.monotonic() < until:
            parts, found, told = self._searches[0]
            part = next(parts, None)
            if part is not None:
                found += part[: MOST_TOLD - len(found)]
            else:
                self._searches.pop(0)
                told(found)

    def _show(self) -> None:
        usage = next((one.memory.usage() for one in self._kept if one.shared is self._serving()), {})
        cells = self._ledger.cells
        for number, name in enumerate(CACHE_GAUGES):
            cells[Header.CACHE + number] = min(usage.get(name, 0), 2**62)

    def _serving(self) -> CacheMemory | None:
        found = self._in_service()
        return None if found is None else found[1].cache

    def _refresh(self) -> None:
        """Those of the generations that live."""
        there = list(_distinct([self._serving(), *(resources.cache for resources in self._resources.values())]))
        kept = {id(one.shared): one for one in self._kept}
        self._kept = [kept.get(id(shared)) or _MappedMemory(shared) for shared in there]


def _distinct(found: Iterable[CacheMemory | None]) -> Iterable[CacheMemory]:
    return {id(one): one for one in found if one is not None}.values()
