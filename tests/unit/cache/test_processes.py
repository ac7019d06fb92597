"""Many processes read and write one memory, and are killed while they do."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time

from lbproxy.cache.area import Area
from lbproxy.cache.interface import New
from lbproxy.cache.layout import LEAST_MEMORY, Counter
from lbproxy.cache.lock import RecordLock
from lbproxy.cache.memory import MemoryParts, begin_anew
from tests.unit.cache.world import SECRET, digest_of

KEYS = 300
READS = 30_000
KILLS = 25


def content(key: int, version: int) -> tuple[bytes, bytes]:
    """Meta and body that tell what they belong to, all through."""
    return b"%d:%d" % (key, version), b"%08d%08d" % (key, version) * (version % 500)


def area_of(fd: int) -> Area:
    """This process's."""
    memory = MemoryParts(mmap.mmap(fd, LEAST_MEMORY), 0, [0] * len(Counter))
    return Area(memory, RecordLock(fd), os.getpid(), lambda numbers: None)


def write_for_ever(fd: int) -> None:
    """Until somebody kills us."""
    chance = random.Random(os.getpid())
    area = area_of(fd)
    while True:
        key, version = chance.randrange(KEYS), chance.randrange(10**8)
        digest = digest_of(str(key))
        area.put(digest, New(content(key, version)[0], b"http://a/%d" % key, (), content(key, version)[1]), area.begin(digest))


def writer(fd: int) -> int:
    """Its process id."""
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(fd)
        finally:
            os._exit(1)
    return child


def test_no_read_is_wrong_whoever_is_killed() -> None:
    """Answers are whole, or not there; and the lock of a killed writer is free at once."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    os.ftruncate(fd, LEAST_MEMORY)
    begin_anew(mmap.mmap(fd, LEAST_MEMORY), 0, SECRET)
    area, found, kills = area_of(fd), 0, 0
    writers = [writer(fd) for _ in range(2)]
    try:
        until = time.monotonic() + 60
        while (found < READS or kills < KILLS) and time.monotonic() < until:
            for key in range(KEYS):
                entry = area.get(digest_of(str(key)))
                if entry is not None:
                    version = int(entry.meta.partition(b":")[2])
                    assert (entry.meta, entry.body) == content(key, version)
                    found += 1
            if kills < KILLS and found > kills * READS // KILLS:
                dead = writers.pop(0)
                os.kill(dead, signal.SIGKILL)
                os.waitpid(dead, 0)
                kills += 1
                writers.append(writer(fd))
    finally:
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert found >= READS
    assert kills == KILLS
    digest = digest_of("last")
    assert area.put(digest, New(b"m", b"http://a/last"), area.begin(digest))
    assert area.get(digest) is not None
    os.close(fd)
