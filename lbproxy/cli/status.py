"""`lbproxy status`: how does it do?"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from lbproxy.cli import reach
from lbproxy.cli.options import Verbs, add_reach, add_verb, print_json, say, show
from lbproxy.master.operator.requests import StatusRequest

LOOKS = 20
LOOK_INTERVAL = 0.05


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    parser = add_verb(verbs, "status", status, "show processes, pools and backends of the running lbproxy")
    parser.add_argument("--verify", action="store_true", help="check that the counts of all processes agree; 1 if they do not")
    add_reach(parser)


def status(arguments: argparse.Namespace) -> int:
    """0: there is one, and it answers (and, if asked for, its counts agree)."""
    where = reach.instance(arguments)
    asked = reach.ask(where, StatusRequest())
    if arguments.verify:
        asked = _until_consistent(asked, lambda: reach.ask(where, StatusRequest()))
    answer = {"pid": asked.pid, **asked.answer}
    faults = [str(fault) for fault in answer.get("faults", ())] if arguments.verify else []
    if arguments.json:
        print_json(answer)
    elif answer["ok"]:
        from lbproxy.cli.table import overview

        show(*overview(answer, time.time()))
        if arguments.verify and not faults:
            print("", "the counts of all processes agree", sep="\n")
    else:
        say(*str(answer.get("error", "no reason given")).splitlines())
    if not arguments.json:
        say(*faults)
    return 0 if answer["ok"] and not faults else 1


def _until_consistent(asked: reach.Reply, again: Callable[[], reach.Reply]) -> reach.Reply:
    """A request is counted in two cells, one after the other, so a look may come in between: only what stays is a fault."""
    for _ in range(LOOKS):
        if not asked.answer.get("faults"):
            break
        time.sleep(LOOK_INTERVAL)
        asked = again()
    return asked
