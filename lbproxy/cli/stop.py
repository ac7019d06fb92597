"""`lbproxy stop`: let everything end that has begun, and wait for it."""

from __future__ import annotations

import argparse
import signal
import time

from lbproxy.cli import reach
from lbproxy.cli.options import Verbs, add_reach, add_verb, print_json, say
from lbproxy.master.operator.requests import StopRequest

SOON = 1.0
"""Seconds without a word to the person who waits."""


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    parser = add_verb(verbs, "stop", stop, "stop the running lbproxy when what it has begun is done, and wait for that")
    add_reach(parser)
    parser.add_argument("--now", action="store_true", help="do not wait for requests on their way: cut them")


def stop(arguments: argparse.Namespace) -> int:
    """0: it is gone."""
    where = reach.instance(arguments)
    began = time.monotonic()
    try:
        pid = _ask(where, arguments.now)
    except reach.NobodyThere:
        pid = reach.living_pid(where)
        if not pid:
            raise
        numbers = (signal.SIGTERM, signal.SIGINT) if arguments.now else (signal.SIGTERM,)
        reach.signal_master(where, pid, *numbers)  # any second one is immediate, and two of a kind could become one on their way
    presence = reach.Presence(pid, where)
    who = f"pid {pid}" if pid else "lbproxy"
    if not presence.wait(SOON) and not arguments.json:
        hurry = "" if arguments.now else " (lbproxy stop --now cuts it)"
        say(f"{who} finishes what it has begun{hurry}")
    presence.wait(float("inf"))
    seconds = time.monotonic() - began
    if arguments.json:
        print_json({"ok": True, "pid": pid, "milliseconds": round(seconds * 1000)})
    else:
        print(f"stopped: {who}, after {seconds:.1f} s")
    return 0


def _ask(where: reach.Instance, now: bool) -> int:
    """The pid of the master, which stops. One that is quicker gone than it answers has understood as well."""
    asked = reach.ask(where, StopRequest(now))
    if not asked.answer["ok"]:
        raise reach.Unreachable(str(asked.answer.get("error", "no reason given")))
    return asked.pid
