"""The processes that strangers talk to, judged by what /proc tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lbproxy.audit.checks.live import MEMORY, PRIVILEGES, ROOT, UNSEEN
from lbproxy.audit.finding import Check, Evidence, Path

_USER: Path = ("proxy", "user")
_WALLS: Path = ("proxy", "walls")


class Proc(NamedTuple):
    """A process, and what was read of it."""

    what: str
    """ "worker 1"."""
    pid: int
    status: str
    """/proc/PID/status; "": it could not be read."""
    limits: str = ""
    """/proc/PID/limits."""
    owner: int = -1
    """The user id that /proc/PID/status belongs to: root's of a process that nobody may look into (proc(5)); -1: unknown."""


def judge(processes: Iterable[Proc]) -> Iterator[tuple[Check, Evidence]]:
    """All there is to find."""
    for process in processes:
        fields = _fields(process.status)
        who = process.what  # without its number, which would make another finding of the same after each restart
        if not fields.get("Uid"):
            yield UNSEEN, Evidence(_USER, f"{who}: nothing can be read about it")
            continue
        yield from _privileges(who, fields)
        yield from _memory(who, process, fields)


def ours(status: str) -> bool:
    """Whether the numbers of processes that it knows are those that we see: it is in no namespace of its own below ours."""
    return len(_fields(status).get("NSpid", "").split()) <= 1


def _fields(status: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in status.splitlines())}


def _privileges(who: str, fields: dict[str, str]) -> Iterator[tuple[Check, Evidence]]:
    """User and group ids: real, effective, saved and of the file system; any of them can be taken back."""
    if "0" in fields["Uid"].split():
        yield ROOT, Evidence(_USER, f"{who} is root")
    elif "0" in fields.get("Gid", "").split() + fields.get("Groups", "").split():
        yield PRIVILEGES, Evidence(_USER, f"{who} is in root's group")
    capabilities = _hexadecimal(fields.get("CapPrm", "")) | _hexadecimal(fields.get("CapEff", ""))
    if capabilities:  # whatever the master was given to bind ports with, or to open interfaces, is its own
        yield PRIVILEGES, Evidence(_USER, f"{who} has capabilities: {capabilities:016x}")
    if fields.get("NoNewPrivs") == "0":
        yield PRIVILEGES, Evidence(_WALLS, f"{who} may gain privileges by programs that it starts")


def _memory(who: str, process: Proc, fields: dict[str, str]) -> Iterator[tuple[Check, Evidence]]:
    effective = [*fields["Uid"].split(), "", ""][1]
    if process.owner >= 0 and effective != "0" and effective == str(process.owner):
        yield MEMORY, Evidence(_WALLS, f"{who} can be looked into by its account")
    for line in process.limits.splitlines():
        words = line.split()
        if line.startswith("Max core file size") and words[-2] != "0":
            yield MEMORY, Evidence(_WALLS, f"{who} may leave a core file: hard limit {words[-2]}")


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
