"""A danger that a check looks for, and a place where it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple

from lbproxy.config.model import Config

Path = tuple[str | int, ...]


class Severity(IntEnum):
    """How bad it is, by what somebody could do with it."""

    INFO = 0
    """Worth knowing; as often as not it is meant."""
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """As people and programs are told."""
        return self.name.lower()




class Evidence(NamedTuple):
    """One place where it is so."""

    path: Path
    """Where the configuration says it, or where it could: ("pool", "api", "tls", "verify")."""
    value: str
    """What it says there."""
    line: int = 0
    """That of the table around it; 0: nobody knows."""
    severity: Severity | None = None
    """None: the check's."""


def key_of(evidence: Evidence) -> str:
    """As complaints have it: "listen[0].tls.profile"."""
    words = ""
    for part in evidence.path:
        words += f"[{part}]" if isinstance(part, int) else f".{part}"
    return words.lstrip(".")


class Check(NamedTuple):
    """One danger, and what looks for it."""

    id: str
    severity: Severity
    danger: str
    """What may happen; a sentence."""
    mend: str
    """What to do; a sentence."""
    find: Callable[[Config], Iterable[Evidence]]


class Finding(NamedTuple):
    """A danger, where it is."""

    check: Check
    evidence: Evidence
    accepted: str = ""
    """Why somebody lives with it; "": nobody has said."""

    @property
    def severity(self) -> Severity:
        """How bad it is here."""
        return self.check.severity if self.evidence.severity is None else self.evidence.severity
