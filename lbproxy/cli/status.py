"""`lbproxy status`: how does it do?"""

from __future__ import annotations

import argparse
import time

from lbproxy.cli import reach
from lbproxy.cli.options import Verbs, add_reach, add_verb, print_json, say
from lbproxy.master.requests import Status


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    parser = add_verb(verbs, "status", status, "show processes, pools and backends of the running lbproxy")
    add_reach(parser)


def status(arguments: argparse.Namespace) -> int:
    """0: there is one, and it answers."""
    asked = reach.ask(reach.place(arguments), Status())
    answer = {"pid": asked.pid, **asked.answer}
    if arguments.json:
        print_json(answer)
    elif answer["ok"]:
        from lbproxy.cli.table import overview

        print(*overview(answer, time.time()), sep="\n")
    else:
        say(*str(answer.get("error", "no reason given")).splitlines())
    return 0 if answer["ok"] else 1
