"""The questions of workers, and the answers of inspectors: one datagram each."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from typing import NamedTuple

_HEAD = struct.Struct("=IHfdH7I")
LARGEST = 200 * 1024
"""Bytes of a question: what the kernel takes at once for such a socket, as it comes."""
LARGEST_ANSWER = 4096
MOST_RULES = 20
_RULE = re.compile(r'\[id "([0-9]{1,10})"\]')
_VARIABLE = re.compile(r"(?:found within|against variable `)\s*([A-Z_]{1,40}(?::[A-Za-z0-9_.$\[\]-]{1,40})?)")
_ID, _NAME = re.compile(r"[0-9]{1,10}\Z"), re.compile(r"[A-Za-z0-9_.:$\[\]-]{0,81}\Z")
_SCORE = re.compile(r"Total (?:Inbound )?Score: ([0-9]{1,6})")


_LOST = re.compile(rb"lost ([0-9]{1,10})\Z")


class WafQuestion(NamedTuple):
    """A request that is to be looked at, or the answer to one."""

    number: int
    rules: int
    """Which set of rules, by its number."""
    seconds: float
    """That it may take."""
    client: bytes
    method: bytes
    target: bytes
    block: bytes
    """Lines of the head, each with its CRLF in front."""
    body: bytes
    status: int = 0
    """Of the answer, which is looked at in the place of the request then, by rules that may go by the request's head; 0: none."""
    answered: bytes = b""
    """Lines of its head, likewise."""
    text: bytes = b""
    """Its body, as far as it is looked at."""
    until: float = 0.0
    """When nobody waits for the answer any more (time.monotonic, which all processes share); 0: somebody always does."""


class WafVerdict(NamedTuple):
    """What the rules say of one request, or of its answer."""

    number: int
    blocked: bool
    status: int
    score: int
    """0: below the threshold."""
    rules: tuple[tuple[str, str], ...]
    """Ids, and the variable in which each found something; never its value."""


def pack(question: WafQuestion) -> bytes:
    """As it travels."""
    parts = (*question[3:8], *question[9:11])
    head = question.number, question.rules, question.seconds, question.until, question.status
    return _HEAD.pack(*head, *map(len, parts)) + b"".join(parts)


def unpack(data: bytes) -> WafQuestion:
    """Raises ValueError for what is none."""
    if len(data) < _HEAD.size:
        raise ValueError("no question")
    number, rules, seconds, until, status, *lengths = _HEAD.unpack_from(data)
    if _HEAD.size + sum(lengths) != len(data):
        raise ValueError("no question")
    parts, at = [], _HEAD.size
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    client, method, path, block, body, answered, text = parts
    return WafQuestion(number, rules, seconds, client, method, path, block, body, status, answered, text, until)


def found(number: int, blocked: bool, status: int, lines: Iterable[str]) -> WafVerdict:
    """From what the engine has logged. Of that only ids, names of variables and the score are taken: the rest is the request's."""
    rules: dict[str, str] = {}
    score = 0
    for line in lines:
        if (told := _SCORE.search(line)) is not None:
            score = max(score, int(told[1]))
        elif (rule := _RULE.search(line)) is not None and len(rules) < MOST_RULES:
            variable = _VARIABLE.search(line)
            rules.setdefault(rule[1], "" if variable is None else variable[1])
    return WafVerdict(number, blocked, status, score, tuple(rules.items()))


def answer(verdict: WafVerdict) -> bytes:
    """As it travels."""
    return json.dumps(verdict, separators=(",", ":")).encode("ascii")


def lost(number: int) -> bytes:
    """That nobody looks at that question any more: whoever had it was ended by somebody else."""
    return b"lost %d" % number


def lost_number(data: bytes) -> int | None:
    """Of such a message; None: it is none."""
    found = _LOST.match(data)
    return None if found is None else int(found[1])


def heard(data: bytes) -> WafVerdict:
    """An inspector may have been taken over by what it looked at. Raises ValueError."""
    try:
        number, blocked, status, score, rules = json.loads(data)
        told = tuple((str(rule), str(variable)) for rule, variable in rules[:MOST_RULES])
        if not all(_ID.match(rule) and _NAME.match(variable) for rule, variable in told):
            raise ValueError("no verdict")
        return WafVerdict(int(number), bool(blocked), int(status), int(score), told)
    except (TypeError, RecursionError) as error:
        raise ValueError("no verdict") from error
