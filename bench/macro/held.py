"""Who holds how many connections: counted from outside, in the same way for every proxy whose workers are processes."""

from __future__ import annotations

import os

from bench.macro import procfs

ESTABLISHED = "01"


def parse_established(text: str, port: int) -> set[int]:
    """Inodes of the sockets in a /proc/net/tcp (proc(5)) whose own port it is, and which are connected."""
    found = set()
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == ESTABLISHED and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(int(fields[9]))
    return found


def per_process(root: int, port: int) -> dict[int, int]:
    """Process id -> connections of clients, of all processes of the proxy that hold any."""
    sockets = {f"socket:[{inode}]" for inode in parse_established((procfs.PROC / "net/tcp").read_text(), port)}
    counts: dict[int, int] = {}
    for process in procfs.family(root, procfs.all_processes()):
        held = sum(target in sockets for target in _open_files(process.pid))
        if held:
            counts[process.pid] = held
    return counts


def _open_files(pid: int) -> list[str]:
    """What its descriptors stand for; those that are closed meanwhile are left out."""
    found = []
    try:
        for entry in (procfs.PROC / str(pid) / "fd").iterdir():
            try:
                found.append(os.readlink(entry))
            except FileNotFoundError:
                pass  # closed since it was listed
    except (FileNotFoundError, ProcessLookupError):
        pass  # the process has ended
    return found


def balance(counts: list[int], workers: int) -> float:
    """The largest share as a multiple of the mean; a worker without any counts. 1.0 is even, `workers` is all in one."""
    return max(counts, default=0) * workers / max(1, sum(counts))
