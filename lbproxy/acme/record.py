"""The record of one name: what was obtained for it, when it is renewed, what went wrong. Pure; a file each, shared by machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

VERSION = 1
LONGEST_WHY = 500


class IssuedCertificate(NamedTuple):
    """A certificate of an authority's, as it stands in its file; times are seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class NameRecord:
    """What is known of a name."""

    authority: str = ""
    """Whose certificate it has, by the directory's address."""
    renew_at: float = 0.0
    ari_at: float = 0.0
    """When the authority is asked for its window again; 0: at once."""
    failures: int = 0
    """In a row."""
    retry_at: float = 0.0
    why: str = ""
    """The last failure; "": none since the last success."""
    order: str = ""
    """The address of an order that is under way."""
    order_at: str = ""
    """The authority that has it."""

    def failed(self, why: str, retry_at: float, *, lost: bool = False) -> NameRecord:
        """One failure more. `lost`: nobody was there to answer, and what was ordered may be had later."""
        told = "".join(char if char.isprintable() else " " for char in why)[:LONGEST_WHY]
        return replace(self, failures=self.failures + 1, retry_at=retry_at, why=told) if lost else replace(
            self, failures=self.failures + 1, retry_at=retry_at, why=told, order="", order_at=""
        )

    def obtained(self, authority: str, renew_at: float) -> NameRecord:
        """A certificate is there."""
        return NameRecord(authority, renew_at)

    def due(self, held: IssuedCertificate | None) -> float:
        """When a certificate is to be ordered; in the past: now."""
        return self.retry_at if held is None else max(self.renew_at, self.retry_at)


FIELDS = {each.name: each.type for each in fields(NameRecord)}
TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "float": (int, float), "int": (int,)}


def written(record: NameRecord) -> bytes:
    """As it stands in its file."""
    return json.dumps({"version": VERSION, **asdict(record)}).encode("ascii")


def read(content: bytes) -> NameRecord:
    """What a file says; a fresh record where it says nothing that we understand, which costs no more than an order."""
    try:
        told: Any = json.loads(content)
    except (ValueError, RecursionError):
        return NameRecord()
    if not isinstance(told, dict) or told.get("version") != VERSION:
        return NameRecord()
    known: dict[str, Any] = {name: told.get(name) for name in FIELDS}
    good = all(isinstance(value, TYPES[str(FIELDS[name])]) and not isinstance(value, bool) for name, value in known.items())
    if not good or not all(abs(value) < 1e12 for value in known.values() if isinstance(value, int | float)):
        return NameRecord()
    return NameRecord(**known)
