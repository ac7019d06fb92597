"""`lbproxy backend drain|enable|weight`: which backends get new requests, and how many."""

from __future__ import annotations

import argparse
import time
from typing import Any

from lbproxy.cli import reach
from lbproxy.cli.adjust import tell
from lbproxy.cli.options import DURATION, Verbs, add_reach, add_verb, print_json, say
from lbproxy.config.units import format_duration
from lbproxy.master.operator.requests import MAX_WEIGHT, BackendRequest, StatusRequest

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
    parser.add_argument(
        "name",
        metavar="NAME",
        help="POOL/HOST:PORT, or HOST:PORT where one pool alone has it; NAME@IP:PORT is one address of a name; see lbproxy status",
    )
    add_reach(parser)


def _weight(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) <= MAX_WEIGHT:
        return int(text)
    raise argparse.ArgumentTypeError(f'wanted a number from 0 to {MAX_WEIGHT}, got "{text}"')


def enable(arguments: argparse.Namespace) -> int:
    """0: it gets requests again, as soon as it is healthy."""
    answer = reach.ask(reach.instance(arguments), BackendRequest(arguments.name, "enable", 0)).answer
    return tell(arguments, answer, f"{_name(answer, arguments)} is enabled")


def weight(arguments: argparse.Namespace) -> int:
    """0: it has that weight."""
    where = reach.instance(arguments)
    answer = reach.ask(where, BackendRequest(arguments.name, "weight", arguments.weight)).answer
    code = tell(arguments, answer, f"{_name(answer, arguments)} has weight {arguments.weight}")
    if code == 0 and not arguments.weight:
        _warn(where, arguments)
    return code


def drain(arguments: argparse.Namespace) -> int:
    """0: it gets no new requests; with --wait: none is left there either."""
    where = reach.instance(arguments)
    answer = reach.ask(where, BackendRequest(arguments.name, "drain", 0)).answer
    if arguments.json and arguments.wait and answer["ok"]:
        left = _wait(where, arguments)
        print_json({**answer, "ok": left == 0, "in_flight": left})
        return 1 if left else 0
    name = _name(answer, arguments)
    code = tell(arguments, answer, f"{name} is drained: it gets no new requests")
    if code == 0:
        _warn(where, arguments)
    if code != 0 or not arguments.wait:
        return code
    if left := _wait(where, arguments):
        say(f"{_requests(left)} left after {format_duration(arguments.timeout)}; it stays drained")
        return 1
    print(f"no request is left at {name}")
    return 0


def _name(answer: dict[str, Any], arguments: argparse.Namespace) -> str:
    """In full, where the answer tells it."""
    return str(answer.get("backend") or arguments.name)


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number} requests"


def _warn(where: reach.Instance, arguments: argparse.Namespace) -> None:
    """Taking out the last one that works is allowed, and told."""
    pool, _ = _find(reach.ask(where, StatusRequest()).answer, arguments.name)
    if pool.get("usable") == 0 and not arguments.json:
        say(f"warning: no usable backend is left in pool {pool['name']}: what is meant for it is answered with 503")


def _wait(where: reach.Instance, arguments: argparse.Namespace) -> int:
    """The requests left when there are none, or when time is over; tells each new number."""
    deadline = time.monotonic() + arguments.timeout
    told = 0
    while True:
        _, found = _find(reach.ask(where, StatusRequest()).answer, arguments.name)
        left = int(found.get("in_flight", 0)) + int(found.get("queued", 0))
        if left and left != told and not arguments.json:
            print(f"{_requests(left)} left", flush=True)
            told = left
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(LOOK_EVERY)


def _find(answer: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pool in a status answer, and what is in flight and queued at a backend of it, at all addresses where it is a name; both
    empty when it is gone."""
    for pool in answer.get("pools") or []:
        called = {name.removeprefix(f"{pool['name']}/")}
        fitting = [backend for backend in pool["backends"] if called & {backend["name"], backend.get("written")}]
        if fitting:
            return pool, {key: sum(int(backend.get(key, 0)) for backend in fitting) for key in ("in_flight", "queued")}
    return {}, {}
