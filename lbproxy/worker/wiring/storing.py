"""The cache's storage as a worker's objects, over the memory that the master has made."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Collection
from typing import NamedTuple

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.cache.area import Area
from lbproxy.cache.interface import Bodies, Storage
from lbproxy.cache.layout import Counter
from lbproxy.cache.lock import RecordLock
from lbproxy.cache.memory import MemoryParts
from lbproxy.cache.watch import CacheWatch
from lbproxy.ipc.handover import Handover
from lbproxy.net.body_files import BodyFiles
from lbproxy.observe.log import Noisy
from lbproxy.observe.process import leave_out_shared
from lbproxy.proxy.caching.outcomes import CELLS, UNSTORED_CELLS, CacheOutcomes

STRONGLY_ORDERED = ("x86_64", "i686", "AMD64")
"""Machines that do not do loads in another order than the program's."""


class Stores(NamedTuple):
    """What a worker keeps answers in."""

    storage: Storage
    bodies: Bodies | None
    """None: large bodies are not stored."""
    outcomes: CacheOutcomes | None = None
    """What is counted of requests."""
    watch: CacheWatch | None = None
    """Over what is stored."""


def make_stores(handover: Handover) -> Stores | None:
    """None where no cache is configured."""
    shared = handover.cache
    if shared is None:
        return None
    start = scalar_at(handover.child, Scalar.CACHE)
    counters = handover.ledger.cells[start : start + len(Counter)]
    memory = MemoryParts(shared.buffer, shared.disk, counters)
    leave_out_shared()
    files = None
    if shared.folder is not None:
        files = BodyFiles(shared.folder, shared.disk, memory.count)
        files.failing = failing(Noisy(rate=1 / 60, burst=1))
    remove = _forget_numbers if files is None else files.remove
    fence = None if platform.machine() in STRONGLY_ORDERED else _Fence()
    area = Area(memory, RecordLock(shared.descriptor), os.getpid(), remove, fence)
    if files is not None:
        files.numbers = area.new_file
        files.named = area.named
        files.sweep()
    return Stores(area, files, _outcomes(handover), CacheWatch(memory, counters, fence))


def failing(noisy: Noisy) -> Callable[[str], None]:
    """Tells the log of a disk that is full, or a folder that is gone, as often as `noisy` lets it."""

    def tell(why: str) -> None:
        noisy.warning("cache.files_failing", why=why, then="such bodies are not stored; answers pass")

    return tell


def _outcomes(handover: Handover) -> CacheOutcomes:
    """Counted in the worker's own row."""
    cells = handover.ledger.cells
    first, why = (scalar_at(handover.child, what) for what in (Scalar.CACHE_STEP, Scalar.CACHE_UNSTORED))
    return CacheOutcomes(cells[first : first + CELLS], cells[why : why + UNSTORED_CELLS])


def _forget_numbers(numbers: Collection[int]) -> None:
    """Nobody has files."""


class _Fence:
    """Orders loads on machines that do not: a lock is given, with all loads before it done, and taken, before any after it."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        self._lock.release()
        self._lock.acquire()
