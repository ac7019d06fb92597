"""Facts about this process and this machine, from psutil."""

from __future__ import annotations

import os

import psutil

_self: psutil.Process | None = None
_last = 0
_without_shared = False


def rss_kib() -> int:
    """Resident memory of this process, KiB; one read of /proc/self/statm (about 30 us). See leave_out_shared.

    What it was last where /proc may not be read any more; 0 where it never could.
    """
    global _last, _self
    try:
        if _self is None or _self.pid != os.getpid():  # forked since
            _self = psutil.Process()
        facts = _self.memory_info()
        _last = int(facts.rss - (facts.shared if _without_shared else 0)) // 1024
    except psutil.Error:
        pass
    return _last


def leave_out_shared() -> None:
    """From now on memory that others have as well does not count: what a worker touches of the cache is not what it takes."""
    global _without_shared
    _without_shared = True


def cpu_count() -> int:
    """Cores this process may run on (its affinity mask); cgroup quotas are the master's business."""
    return len(os.sched_getaffinity(0))


def describe(pid: int) -> str:
    """'nginx (pid 71)' for messages to people; 'pid 71' when it cannot be told."""
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
