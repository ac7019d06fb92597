"""`lbproxy reload`: apply the file, and tell how that went."""

from __future__ import annotations

import argparse
import signal
from typing import Any

from lbproxy.cli import reach
from lbproxy.cli.options import DURATION, Verbs, add_reach, add_verb, print_json, say, show
from lbproxy.master.operator.requests import ReloadRequest

PATIENCE = 120.0
"""Seconds: a generation has 30 for its start, and may have to wait for one that is just being tried."""


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    text = "apply the changed configuration without losing a request; wait, and tell what changed or why not"
    parser = add_verb(verbs, "reload", reload, text)
    add_reach(parser)
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=DURATION,
        default=PATIENCE,
        help='how long to wait for the outcome, e.g. "30s"; default: 2m',
    )


def reload(arguments: argparse.Namespace) -> int:
    """0: the new generation serves. 1: the one before serves on."""
    where = reach.instance(arguments)
    try:
        answer = reach.ask(where, ReloadRequest(), arguments.timeout).answer
    except reach.NobodyThere:
        pid = reach.living_pid(where)
        if not pid:
            raise
        return _by_signal(where, pid)
    if arguments.json:
        print_json(answer)
    elif answer["ok"]:
        show(*success(answer))
    else:
        serving = answer.get("serving")
        say(*str(answer.get("error", "no reason given")).splitlines())
        say(f"nothing was reloaded: {f'generation {serving}' if serving else 'the running configuration'} serves on")
    return 0 if answer["ok"] else 1


def _by_signal(where: reach.Instance, pid: int) -> int:
    reach.signal_master(where, pid, signal.SIGHUP)
    say(f"asked pid {pid} to reload, by SIGHUP: how that goes is told in its log alone")
    if where.control is None:
        say(f"to be told here, have this line in [proxy] of {where.name} when lbproxy starts:", f"    {reach.CONTROL_LINE}")
    else:
        say(f"(it does not listen on {where.control}: it goes by the `control` that it was started with, until a restart)")
    return 0


def success(answer: dict[str, Any]) -> list[str]:
    """What a reload did, for a terminal."""
    pids = answer.get("pids") or []
    lines = [
        f"generation {answer.get('generation', '?')} serves after {answer.get('milliseconds', '?')} ms"
        f" ({'pid' if len(pids) == 1 else 'pids'} {', '.join(map(str, pids))})"
    ]
    changes = answer.get("changes") or []
    lines += [f"  {change}" for change in changes] or ["  nothing changed in the configuration, nor in the files that it names"]
    lines += [f"  ! {setting}" for setting in answer.get("restart") or []]
    lines += [f"warning: {warning}" for warning in answer.get("warnings") or []]
    if note := answer.get("note"):
        lines.append(f"note: {note}")
    return lines
