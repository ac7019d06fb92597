"""`lbproxy workers` and `lbproxy log-level`, and how the answer to an order is told."""

from __future__ import annotations

import argparse
from typing import Any

from lbproxy.cli import reach
from lbproxy.cli.options import Verbs, add_reach, add_verb, print_json, say, show
from lbproxy.master.operator.requests import LEVELS, LogLevelRequest, WorkersRequest


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verbs and their options."""
    scales = add_verb(verbs, "workers", workers, "start one worker more, or let one go when it is done")
    scales.add_argument("delta", metavar="+1|-1", choices=("+1", "-1"), help="one more, one less")
    add_reach(scales)
    levels = add_verb(verbs, "log-level", log_level, "log from another level on, in all processes")
    levels.add_argument("level", metavar="LEVEL", choices=LEVELS, help=", ".join(LEVELS))
    add_reach(levels)


def workers(arguments: argparse.Namespace) -> int:
    """0: it is under way."""
    more = arguments.delta == "+1"
    answer = reach.ask(reach.instance(arguments), WorkersRequest(1 if more else -1)).answer
    return tell(arguments, answer, f"one worker {'more' if more else 'less'}: {answer.get('workers', '?')}")


def log_level(arguments: argparse.Namespace) -> int:
    """0: done."""
    answer = reach.ask(reach.instance(arguments), LogLevelRequest(arguments.level)).answer
    return tell(arguments, answer, f"the log level is {arguments.level}")


def tell(arguments: argparse.Namespace, answer: dict[str, Any], done: str) -> int:
    """`done` and the answer's note, or its error; as JSON the answer itself. The exit code."""
    if arguments.json:
        print_json(answer)
    elif answer["ok"]:
        show(f"{done} ({answer['note']})" if answer.get("note") else done)
    else:
        say(*str(answer.get("error", "no reason given")).splitlines())
    return 0 if answer["ok"] else 1
