"""`lbproxy backend drain|enable|weight`: which backends get new requests, and how many."""

from __future__ import annotations

import argparse
import time
from typing import Any

from lbproxy.cli import reach
from lbproxy.cli.adjust import order, tell
from lbproxy.cli.options import DURATION, Verbs, add_reach, add_verb, print_json, say
from lbproxy.config.units import format_duration
from lbproxy.master.requests import MAX_WEIGHT, BackendSet, Status

LOOK_EVERY = 0.25
"""Seconds between two looks at what is left of a drain."""


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb with its three actions."""
    text = "take a backend out, put it back, or change its weight, at once and without a reload"
    parser = verbs.add_parser("backend", help=text, description=text[0].upper() + text[1:] + ".")
    actions = parser.add_subparsers(title="actions", required=True, metavar="drain|enable|weight")
    drains = add_verb(actions, "drain", drain, "no new requests for a backend; those on their way go on")
    _add_name(drains)
    drains.add_argument("--wait", action="store_true", help="wait until no request is left there, and print how many are")
    drains.add_argument(
        "--timeout",
        metavar="TIME",
        type=DURATION,
        default=30.0,
        help="how long --wait waits before it gives up (exit 1); default: 30s",
    )
    _add_name(add_verb(actions, "enable", enable, "new requests for a backend again"))
    weighs = add_verb(actions, "weight", weight, "another share of the requests for a backend")
    _add_name(weighs)
    weighs.add_argument("weight", metavar="WEIGHT", type=_weight, help=f"0 to {MAX_WEIGHT}; 0: none")


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="POOL/HOST:PORT, or HOST:PORT where one pool alone has it; see lbproxy status")
    add_reach(parser)


def _weight(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) <= MAX_WEIGHT:
        return int(text)
    raise argparse.ArgumentTypeError(f'wanted a number from 0 to {MAX_WEIGHT}, got "{text}"')


def enable(arguments: argparse.Namespace) -> int:
    """0: it gets requests again, as soon as it is healthy."""
    return order(arguments, BackendSet(arguments.name, "enable", 0), f"{arguments.name} is enabled")


def weight(arguments: argparse.Namespace) -> int:
    """0: it has that weight."""
    request = BackendSet(arguments.name, "weight", arguments.weight)
    return order(arguments, request, f"{arguments.name} has weight {arguments.weight}")


def drain(arguments: argparse.Namespace) -> int:
    """0: it gets no new requests; with --wait: none is left there either."""
    request = BackendSet(arguments.name, "drain", 0)
    if not arguments.wait:
        return order(arguments, request, f"{arguments.name} is drained: it gets no new requests")
    where = reach.place(arguments)
    answer = reach.ask(where, request).answer
    if not answer["ok"]:
        return tell(arguments, answer, "")
    left = _wait(where, arguments)
    if arguments.json:
        print_json({**answer, "ok": left == 0, "left": left})
    elif left:
        say(f"{left} requests are left after {format_duration(arguments.timeout)}; it stays drained")
    else:
        print(f"{arguments.name} is drained: no request is left there")
    return 1 if left else 0


def _wait(where: reach.Place, arguments: argparse.Namespace) -> int:
    """The requests left when there are none, or when time is over; tells each new number."""
    deadline = time.monotonic() + arguments.timeout
    told = -1
    while True:
        left = _left(reach.ask(where, Status()).answer, arguments.name)
        if left and left != told and not arguments.json:
            print(f"{left} {'request' if left == 1 else 'requests'} left", flush=True)
            told = left
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(LOOK_EVERY)


def _left(answer: dict[str, Any], name: str) -> int:
    """Requests at a backend and waiting for it; one that is gone from the configuration has none that we could see."""
    for pool in answer.get("pools") or []:
        for backend in pool["backends"]:
            if name in (backend["name"], f"{pool['name']}/{backend['name']}"):
                return int(backend["in_flight"]) + int(backend["queued"])
    return 0
