"""All that is looked at of the running lbproxy: its own words, its processes, its listeners."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lbproxy import __version__
from lbproxy.audit import processes as judged_processes
from lbproxy.audit import told
from lbproxy.audit.checks.live import UNSEEN
from lbproxy.audit.finding import Check, Evidence
from lbproxy.cli import reach
from lbproxy.cli.live import listeners, processes
from lbproxy.config.digest import digest
from lbproxy.config.model import Config
from lbproxy.master.operator.requests import StatusRequest
from lbproxy.sandbox.names import WALLS

PROC = Path("/proc")


class LiveLook(NamedTuple):
    """What was found; or why nothing could be."""

    found: tuple[tuple[Check, Evidence], ...] = ()
    pid: int = 0
    """The master's; 0: unknown."""
    fault: str = ""
    """Nothing runs, or it cannot be asked; "": it runs, and was looked at."""


def look(
    config: Config,
    where: argparse.Namespace,
    machine: Callable[[], list[str]] = listeners.addresses_of_this_machine,
    patience: listeners.Patience | None = None,
) -> LiveLook:
    """`config`: as the file has it; `where`: its options -c and --control."""
    try:
        asked = reach.ask(reach.instance(where), StatusRequest())
    except reach.Unreachable as error:
        return LiveLook(fault=str(error))
    if not asked.answer["ok"]:
        return LiveLook(pid=asked.pid, fault=str(asked.answer.get("error", "no reason given")))
    found = [*told.judge(asked.answer, __version__, digest(config), WALLS)]
    if asked.pid and judged_processes.ours(processes.text(PROC / str(asked.pid) / "status")):
        found += judged_processes.judge(processes.read(told.members(asked.answer), PROC))
    else:
        found.append((UNSEEN, Evidence(("proxy", "control"), "its processes are in a container of their own")))
    found += listeners.look(config, machine, patience)
    return LiveLook(tuple(found), asked.pid)
