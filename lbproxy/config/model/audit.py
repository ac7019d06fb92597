"""The table [audit]: what somebody has decided to live with, for `lbproxy audit`. Nothing that runs goes by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from lbproxy.config.key import key, required, tables
from lbproxy.config.kinds import VARIABLE, Kind, choice, text_within
from lbproxy.config.units import ValueRefused, show
from lbproxy.config.vocabulary import AUDIT_CHECKS, SEVERITIES


def _day(value: object) -> date:
    """As TOML has days, or as text."""
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
    except ValueError:
        raise ValueRefused(f'wanted a day such as "2027-12-31", got {show(value)}') from None


_DAY = Kind(
    "day",
    _day,
    {"anyOf": [{"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, VARIABLE]},
    examples=("2027-12-31", "2028-01-01"),
    write=str,
)
_REASON = text_within(500)


@dataclass(frozen=True, slots=True)
class AcceptedConfig:
    """An [[audit.accept]]: a danger that somebody lives with, and why."""

    id: str = field(metadata=required(choice(*AUDIT_CHECKS), "the id of the finding", 'add id = "backend-plain-text"'))
    reason: str = field(metadata=required(_REASON, "why, for whoever reads the report", 'add reason = "our own network"'))
    at: str | None = key(
        text_within(200),
        None,
        'only where the finding is about this key, or one inside it: "pool.api". Default: everywhere',
        called="key",
        example="pool.app",
    )
    until: date | None = key(_DAY, None, "the last day that it counts. Default: for good", example="2027-12-31")


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """What `lbproxy audit` goes by."""

    fail_on: str = key(
        choice(*SEVERITIES, "never"),
        "medium",
        "lbproxy audit exits 1 for findings that are at least as bad and that nobody has accepted; --fail-on wins",
        example="high",
    )
    accept: tuple[AcceptedConfig, ...] = tables(
        AcceptedConfig,
        "a danger that somebody lives with: it is told with its reason, and counts for nothing",
        "a table headed [[audit.accept]]",
        wanted="a list of tables, each headed [[audit.accept]]",
    )
