"""Options that several verbs have in common."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from lbproxy.config import units

T = TypeVar("T")
Verb = Callable[[argparse.Namespace], int]
Verbs = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def say(*lines: str) -> None:
    """To a person, on stderr."""
    for line in lines:
        print(f"lbproxy: {printable(line)}", file=sys.stderr)


def show(*lines: str) -> None:
    """What was asked for, to a person, on stdout."""
    for line in lines:
        print(printable(line))


def printable(line: str) -> str:
    """With what steers a terminal escaped: words of backends, and of a worker in which somebody else runs, end up in answers."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def print_json(value: object) -> None:
    """To a program, on stdout."""
    print(json.dumps(value, indent=2))


def word(parse: Callable[[str], T], text: str) -> T:
    """A parser of configuration values as argparse wants it."""
    try:
        return parse(text)
    except units.ValueRefused as refused:
        hint = f" ({refused.hint})" if refused.hint else ""
        raise argparse.ArgumentTypeError(f"{refused}{hint}") from refused


BACKEND = partial(word, partial(units.parse_backend_address, default_host="127.0.0.1"))
LISTEN = partial(word, units.parse_port_address)
DURATION = partial(word, units.parse_duration)


def add_verb(verbs: Verbs[argparse.ArgumentParser], name: str, verb: Verb, text: str) -> argparse.ArgumentParser:
    """A verb with its help, a sentence without capital and full stop."""
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(verb=verb)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """-c FILE."""
    text = "the configuration (TOML); check takes - for standard input"
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help=text)


def add_reach(parser: argparse.ArgumentParser) -> None:
    """Which running lbproxy is meant, and how the answer is wanted."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "-c", "--config", metavar="FILE", type=Path, help="the configuration of the running lbproxy, which names its socket"
    )
    which.add_argument("--control", metavar="PATH", type=Path, help="its control socket itself")
    parser.add_argument("--json", action="store_true", help="print the answer as it came, as JSON on stdout")
