"""Directives in files of rules that decide what a route's table is to decide: they would win unseen, so they are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SET = re.compile(r"setvar:\s*'?tx\.((?:blocking_)?paranoia_level|(?:in|out)bound_anomaly_score_threshold)=", re.IGNORECASE)
_ENGINE = re.compile(r"ctl:ruleEngine=", re.IGNORECASE)
_INCLUDE = re.compile(r"Include\s+[\"']?([^\"'\s]+)", re.IGNORECASE)
_SWITCH = re.compile(
    r"(SecRuleEngine|SecRequestBodyAccess|SecResponseBodyAccess|SecResponseBodyMimeType)\s+[\"']?(\w+)", re.IGNORECASE
)
_KEYS = {"inbound_anomaly_score_threshold": "threshold", "outbound_anomaly_score_threshold": "response_threshold"}


class Overridden(NamedTuple):
    """A line that decides what the route's table does."""

    line: int
    what: str
    key: str
    """Of the table."""


def directives(text: str) -> Iterator[tuple[int, str]]:
    """Each with the number of its first line: a backslash at the end of a line joins the next one; what begins with # is none."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not parts and (not line or line.startswith("#")):
            continue
        begun = begun if parts else number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield begun, " ".join(parts)
            parts = []
    if parts:
        yield begun, " ".join(parts)


def overridden(text: str, engine: str) -> Iterator[Overridden]:
    """`engine`: what the table's mode makes of SecRuleEngine. A SecRule has a condition: what it decides, for some requests,
    somebody has written on purpose."""
    for line, directive in directives(text):
        if (switch := _SWITCH.match(directive)) is not None:
            name, value = switch.groups()
            if name.lower() == "secruleengine" and value.lower() != engine.lower():
                yield Overridden(line, f"{name} {value}", "mode")
            elif name.lower() == "secrequestbodyaccess" and value.lower() != "on":
                yield Overridden(line, f"{name} {value}", "max_body")
            elif name.lower() == "secresponsebodyaccess":
                yield Overridden(line, f"{name} {value}", "responses")
            elif name.lower() == "secresponsebodymimetype":
                yield Overridden(line, name, "response_types")
        elif directive.lower().startswith("secaction"):
            if _ENGINE.search(directive):
                yield Overridden(line, "ctl:ruleEngine", "mode")
            for name in _SET.findall(directive):
                yield Overridden(line, f"setvar:tx.{name}", _KEYS.get(name.lower(), "paranoia"))


def included(text: str) -> Iterator[str]:
    """Patterns of files that are read where they are named."""
    for _, directive in directives(text):
        if (found := _INCLUDE.match(directive)) is not None:
            yield found[1]
