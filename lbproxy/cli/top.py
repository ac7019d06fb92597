"""`lbproxy top`: what happens now, again and again."""

from __future__ import annotations

import argparse
import json
import sys
import time

from lbproxy.cli import reach
from lbproxy.cli.options import DURATION, Verbs, add_reach, add_verb, printable, say
from lbproxy.master.operator.requests import StatusRequest

HOME = "\x1b[H"
REST_OF_LINE = "\x1b[K"
REST_OF_SCREEN = "\x1b[J"
SHORTEST = 0.1
"""Seconds between two looks: each costs the master a few milliseconds."""


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    parser = add_verb(verbs, "top", top, "show what the running lbproxy does, every second, until Ctrl-C")
    parser.add_argument("--interval", metavar="DURATION", type=DURATION, default=1.0, help="between two looks, such as 5s (1s)")
    parser.add_argument("--count", metavar="N", type=int, default=0, help="end after so many looks (never)")
    add_reach(parser)


def top(arguments: argparse.Namespace) -> int:
    """0: ended by Ctrl-C or --count. 1: there is none to look at, or no longer."""
    from lbproxy.cli.rates import screen

    where = reach.instance(arguments)
    interval = max(SHORTEST, arguments.interval)
    before: dict[str, object] = {}
    looked = due = time.monotonic()
    shown = 0
    try:
        while True:
            asked = reach.ask(where, StatusRequest())
            now = {"pid": asked.pid, **asked.answer}
            if not now["ok"]:
                say(*str(now.get("error", "no reason given")).splitlines())
                return 1
            looked, since = time.monotonic(), looked
            if arguments.json:
                print(json.dumps(now), flush=True)
            else:
                _show(list(map(printable, screen(before, now, looked - since))))
            shown += 1
            if shown == arguments.count:
                return 0
            before = now
            due = max(due + interval, looked)
            time.sleep(due - looked)
    except KeyboardInterrupt:
        return 0  # the way to end it


def _show(lines: list[str]) -> None:
    """Over what stood there before on a terminal, below it elsewhere."""
    if sys.stdout.isatty():
        text = HOME + "".join(f"{line}{REST_OF_LINE}\n" for line in lines) + REST_OF_SCREEN
    else:
        text = "\n".join([*lines, "", ""])
    sys.stdout.write(text)
    sys.stdout.flush()
