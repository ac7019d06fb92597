"""What the kernel tells about processes: CPU time, kinship, memory. Parsers take text, readers take ids.

CPU comes from /proc/PID/task/TID/schedstat (Documentation/scheduler/sched-stats.rst: "time spent on the cpu, in nanoseconds"), not
from the 10 ms ticks of /proc/PID/stat, which would blur a run of one second by 1 %, and which are sampled on kernels without full
CPU accounting: a process that always sleeps when the tick fires escapes them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that matter here (proc(5))."""

    pid: int
    parent: int
    session: int
    started: int
    """Ticks since boot; (pid, started) names a process for good, a pid alone may be used again."""
    reaped_ns: int
    """CPU time of the children it has waited for, and of theirs (cutime + cstime)."""


def parse_stat(text: str) -> Stat:
    """Field 2 is the command in brackets and may itself hold blanks and brackets: everything is counted from its last one."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    # fields[0] is field 3 of proc(5)
    return Stat(
        pid=int(pid),
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        reaped_ns=(int(fields[13]) + int(fields[14])) * TICK_NS,
    )


def parse_schedstat(text: str) -> int:
    """Nanoseconds on a CPU, the first of "oncpu waiting timeslices"."""
    fields = text.split()
    if len(fields) != 3:
        raise ValueError(f"schedstat: wanted three numbers, got {text!r}")
    return int(fields[0])


def parse_pss(text: str) -> int:
    """Bytes of proportional set size in a smaps_rollup."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("smaps_rollup: no Pss line")


def all_processes() -> list[Stat]:
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found.append(parse_stat((entry / "stat").read_text(errors="replace")))
            except (FileNotFoundError, ProcessLookupError):
                pass  # ended between the listing and the reading
    return found


def family(root: int, processes: list[Stat]) -> list[Stat]:
    """`root`, everything descended from it, and everything in the session that it leads.

    The session finds children whose parent died; the descent finds children that opened a session of their own.
    """
    members = {root}
    grown = True
    while grown:
        more = {p.pid for p in processes if p.pid not in members and (p.parent in members or p.session == root)}
        members |= more
        grown = bool(more)
    return [p for p in processes if p.pid in members]


def cpu_ns(pid: int) -> int | None:
    """Nanoseconds on a CPU of all living threads of a process; None when it is gone."""
    try:
        return sum(parse_schedstat((task / "schedstat").read_text()) for task in (PROC / str(pid) / "task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return None


def pss(root: int) -> int:
    """Proportional set size of a whole proxy in bytes: shared pages counted once, split among those who share them."""
    total = 0
    for process in family(root, all_processes()):
        try:
            total += parse_pss((PROC / str(process.pid) / "smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile, and its memory with it
    return total


def steal_and_total() -> tuple[int, int]:
    """Ticks that the hypervisor took from this machine, and ticks in all, since boot (first line of /proc/stat)."""
    ticks = [int(x) for x in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[7], sum(ticks)
