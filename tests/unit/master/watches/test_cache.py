"""lbproxy.master.watches.cache: the master's loop sweeps a part at a time, and is not kept busy by whoever holds the lock."""

from __future__ import annotations

import mmap
import os
import signal
import time
from types import SimpleNamespace
from typing import Any, cast

from lbproxy.balance.ledger import WHOLE_SIZE, Ledger
from lbproxy.cache.layout import LEAST_MEMORY
from lbproxy.cache.memory import begin_anew
from lbproxy.cache.purges import Purge
from lbproxy.master.system.cache_memory import CacheMemory
from lbproxy.master.watches.cache import AGAIN, EVERY, CacheKeeping
from tests.unit.cache.test_lock import holder
from tests.unit.cache.world import SECRET


def test_a_stopped_worker_with_the_lock_is_waited_for() -> None:
    """Not by asking all the time, and as soon as it is gone the sweep goes on."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    os.ftruncate(fd, LEAST_MEMORY)
    mapped = mmap.mmap(fd, LEAST_MEMORY)
    begin_anew(mapped, 0, SECRET)
    resources = cast(Any, SimpleNamespace(cache=CacheMemory(fd, mapped, 0, None), config=SimpleNamespace(cache=None)))
    keeping = CacheKeeping({1: resources}, lambda: (1, resources), Ledger(mmap.mmap(-1, WHOLE_SIZE)))
    assert keeping.purge(Purge.ALL, b"") == ""
    assert keeping.next_deadline() == 0.0
    child = holder(fd)
    now = time.monotonic() + 10_000  # a round of the loop has time for all
    try:
        for _ in range(3):
            keeping.look(now)
            assert keeping.next_deadline() == now + AGAIN
            keeping.look(now)
            now = keeping.next_deadline()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    until = now + 1000
    while keeping.usage()["purges_pending"]:
        keeping.look(now)
        now += AGAIN
        assert now < until
    assert keeping.next_deadline() <= now + EVERY
