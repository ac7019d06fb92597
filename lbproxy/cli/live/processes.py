"""Files of /proc about processes that a status answer names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lbproxy.audit.processes import Proc

MOST = 1024
_LONGEST = 65_536


def read(members: Iterable[tuple[str, int]], proc: Path = Path("/proc")) -> list[Proc]:
    """Those that are gone by now (a worker ends whenever it is its time) are left out. `members`: what it is, and its number."""
    found = []
    for what, pid in list(members)[:MOST]:
        folder = proc / str(pid)
        if not folder.exists():
            continue
        found.append(Proc(what, pid, text(folder / "status"), text(folder / "limits"), _owner(folder / "status")))
    return found


def text(path: Path) -> str:
    """What it holds; "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST)
    except OSError:
        return ""


def _owner(path: Path) -> int:
    try:
        return os.stat(path).st_uid
    except OSError:
        return -1
