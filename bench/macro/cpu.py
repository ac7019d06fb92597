"""CPU time of a whole proxy over a window: master, workers and helpers, also those that were born or died inside it.

Theory of operation. A process that dies takes its schedstat with it, and a proxy that respawns workers must not look cheap for
it. So a thread polls all members and keeps the last value of each. What a dead member used after its last poll is lost to
schedstat, but its parent's cutime/cstime got all of it (in ticks) when it was waited for; the larger of the two counts.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import TracebackType

from bench.macro import procfs

POLL_SECONDS = 0.25  # a scan of /proc costs about 2 ms: below 1 % of the load's core, none of the proxy's

Member = tuple[int, int]  # pid, start time


@dataclass(slots=True)
class Snapshot:
    """One look at the family; all in nanoseconds."""

    used: dict[Member, int] = field(default_factory=dict)
    reaped: int = 0
    """Sum over the living of what their dead children had used."""


def look(root: int) -> Snapshot:
    snapshot = Snapshot()
    for process in procfs.family(root, procfs.all_processes()):
        used = procfs.cpu_ns(process.pid)
        if used is not None:
            snapshot.used[process.pid, process.started] = used
            snapshot.reaped += process.reaped_ns
    return snapshot


def spent(first: Snapshot, last_seen: dict[Member, int], last: Snapshot) -> int:
    """Nanoseconds used between `first` and `last`; `last_seen` holds every member ever polled with its last value."""
    living = sum(used - first.used.get(member, 0) for member, used in last.used.items())
    dead = {member: used for member, used in last_seen.items() if member not in last.used}
    dead_used = max(sum(dead.values()), last.reaped - first.reaped)
    return living + dead_used - sum(first.used.get(member, 0) for member in dead)


class CpuMeter:
    """`with CpuMeter(pid) as meter: ...`, then `meter.ns` is what the family of `pid` used inside the block."""

    def __init__(self, root: int) -> None:
        self.ns = 0
        self._root = root
        self._first = Snapshot()
        self._last_seen: dict[Member, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="cpu-meter", daemon=True)

    def __enter__(self) -> CpuMeter:
        self._first = look(self._root)
        self._last_seen.update(self._first.used)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        last = look(self._root)
        self._stop.set()
        self._thread.join()
        self.ns = spent(self._first, self._last_seen, last)

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._last_seen.update(look(self._root).used)
