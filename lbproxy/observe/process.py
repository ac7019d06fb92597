"""Facts about this process and this machine, from psutil."""

from __future__ import annotations

import os

import psutil

_self: psutil.Process | None = None
_last = 0


def rss_kib() -> int:
    """Resident memory of this process, KiB; one read of /proc/self/statm (about 30 us).

    What it was last where /proc may not be read any more; 0 where it never could.
    """
    global _last, _self
    try:
        if _self is None or _self.pid != os.getpid():  # forked since
            _self = psutil.Process()
        _last = int(_self.memory_info().rss) // 1024
    except psutil.Error:
        pass
    return _last


def cpu_count() -> int:
    """Cores this process may run on (its affinity mask); cgroup quotas are the master's business."""
    return len(os.sched_getaffinity(0))


def describe(pid: int) -> str:
    """'nginx (pid 71)' for messages to people; 'pid 71' when it cannot be told."""
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
