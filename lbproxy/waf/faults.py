"""Faults of files of rules, by file and line: what the engine says of them, and what a look at their text finds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lbproxy.config.model import WafConfig
from lbproxy.errors import LbproxyError
from lbproxy.waf.operators import ids
from lbproxy.waf.overridden import overridden
from lbproxy.waf.phases import blind
from lbproxy.waf.rules_text import BASE, MODES

_SAID = re.compile(r"Rules error\. File: (.*?)\. Line: ([0-9]+)\. Column: [0-9]+\.\s*(.*)", re.DOTALL)
_AT_LINE = re.compile(r"(.*?)\.? File: \S* at line: ([0-9]+)", re.DOTALL)
_TWICE = re.compile(r"Rule id: ([0-9]+) is duplicated")
MOST = 300
"""Of what the engine says."""
OWN_IDS = (*(number for _, number in ids(BASE)), 200010)
"""Of rules that stand in front of all files."""


class RuleFault(NamedTuple):
    """What is wrong with a file of rules."""

    file: str
    """"": it is not in such a file, but in the table that names them."""
    line: int
    """0: nobody can say."""
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}" if place else self.what


class BadRules(LbproxyError):
    """The rules cannot be used; the faults say where and why."""

    def __init__(self, faults: Iterable[RuleFault]) -> None:
        self.faults = (*faults,)
        super().__init__("\n".join(map(str, self.faults)))


def bad(what: str) -> BadRules:
    """With one fault that is in no file of rules."""
    return BadRules([RuleFault("", 0, what)])


class RuleIds:
    """Where the rules of a set stand, to say of an id that comes twice where that is: the engine does not."""

    def __init__(self) -> None:
        self._first = dict.fromkeys(OWN_IDS, "lbproxy's own, which reads JSON and XML and tells of bodies that are broken")
        self._again: dict[int, RuleFault] = {}

    def note(self, path: str, text: str) -> None:
        """One more file."""
        for line, number in ids(text):
            first = self._first.setdefault(number, f"{path}:{line}")
            if first != f"{path}:{line}":
                self._again.setdefault(number, RuleFault(path, line, f"the id {number} is taken: that rule is {first}"))

    def fault(self, number: int, path: str) -> RuleFault:
        """Of an id that comes twice, in that file or one that it names."""
        return self._again.get(number) or RuleFault(path, 0, f"the id {number} is taken")


def from_engine(path: str, said: str, known: RuleIds) -> RuleFault:
    """What the engine has said of a file, or of one that this one names."""
    said = said.strip()
    if (twice := _TWICE.search(said)) is not None:
        return known.fault(int(twice[1]), path)
    if (found := _SAID.search(said)) is not None:
        what = " ".join(found[3].split())[:MOST].rstrip(" .")
        return RuleFault(found[1] or path, int(found[2]), what or "the engine refuses what stands here")
    if (found := _AT_LINE.search(said)) is not None:
        return RuleFault(path, int(found[2]), " ".join(found[1].split())[:MOST])
    return RuleFault(path, 0, " ".join(said.split())[:MOST] or "the engine refuses it")


def refused(path: str, text: str, settings: WafConfig) -> Iterator[RuleFault]:
    """What would decide what the route's table does, and rules that could not find anything."""
    for each in overridden(text, MODES[settings.mode]):
        told = f"it is the key {each.key} of [route.waf] that decides this; take it out of the file"
        yield RuleFault(path, each.line, f"{each.what}: {told}")
    for line, variable in blind(text) if settings.responses else ():
        told = "answers are looked at without the body of their request; look at it in phase 2"
        yield RuleFault(path, line, f"{variable} in a rule for answers: {told}")
