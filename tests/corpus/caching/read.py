"""Reads the cases: plain files named after a standard, a section of it above each group ("## 5.2.2.1 max-age"), a case a line.

A case is a word and its columns, between bars; empty columns say nothing. Fields stand behind a method or a status, with " // "
between them. {+60} is the date a minute from NOW, {-60} the one a minute before it. What the words mean is in
tests/unit/http/caching/test_cases.py.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

NOW = 1_700_000_000
"""Seconds since 1970 at which all of it takes place."""


class Case(NamedTuple):
    section: str
    """Of the standard, such as "rfc9111 4.2.1"."""
    line: int
    word: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.section}:{self.line}"


def cases(*words: str) -> list[Case]:
    """Those of the words."""
    return [case for case in everything() if case.word in words]


def everything() -> list[Case]:
    found = []
    for path in sorted(Path(__file__).parent.glob("*.txt")):
        section = path.stem
        for number, line in enumerate(path.read_text("ascii").splitlines(), 1):
            if line.startswith("## "):
                section = f"{path.stem} {line.split()[1]}"
            elif line and not line.startswith("#"):
                word, *columns = (column.strip() for column in re.split(r"\s\|(?=\s|$)", line))
                found.append(Case(section, number, word, tuple(_dated(column) for column in columns)))
    return found


def _dated(column: str) -> str:
    return re.sub(r"\{([+-]?\d+)\}", lambda match: formatdate(NOW + int(match[1]), usegmt=True), column)
