"""Answers of listeners to whoever connects, judged; and the questions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from lbproxy.audit.checks.live import CERTIFICATE, HSTS, OLD_TLS, PLAIN
from lbproxy.audit.checks.networks import on_this_machine
from lbproxy.audit.finding import Check, Evidence, Severity
from lbproxy.config.model import Config, ListenConfig

MOST_QUESTIONS = 20
"""For one listener."""
SOON = timedelta(days=14)
SHARE = 5
"""Of a short life a fifth is soon enough: who renews after two thirds has done so long before."""
STANDS_FOR_STAR = "audit"
_LEAST = {"modern": "1.3", "intermediate": "1.2", "old": "1.0"}
_VERSIONS = ("1.0", "1.1", "1.2")

Judged = Iterator[tuple[Check, Evidence]]


class AuditQuestion(NamedTuple):
    """Where a request of the audit goes."""

    host: str
    """As a client says it; "": a route is for every host."""
    path: str


class Leaf(NamedTuple):
    """A certificate as it was shown."""

    names: tuple[str, ...]
    start: datetime
    end: datetime


class AuditHead(NamedTuple):
    """The beginning of an answer."""

    status: int
    fields: tuple[tuple[str, str], ...]
    """Names in lower case."""


def questions(config: Config, listen: ListenConfig) -> list[AuditQuestion]:
    """One for each host and path of routes; those that are passed on undecrypted are a backend's affair."""
    passed = {name for name, _ in listen.passthrough}
    found = [AuditQuestion((route.host or "").replace("*", STANDS_FOR_STAR, 1), route.path or "/") for route in config.routes]
    return [each for each in dict.fromkeys(found) if each.host not in passed]


def versions_below(listen: ListenConfig) -> tuple[str, ...]:
    """Those that it should not speak: broken ones, and what its configuration has ruled out."""
    least = listen.tls.min_version or _LEAST.get(listen.tls.profile, "1.2")
    return tuple(version for version in _VERSIONS if version < max(least, "1.2"))


def https_is_meant(config: Config, listen: ListenConfig) -> bool:
    """A plain listener beside one that speaks TLS; one that others on this machine alone reach stands behind something."""
    if not listen.plain or listen.redirect_to_https is not False:
        return listen.plain
    return not on_this_machine(listen.address) and any(other.secure for other in config.listen)


def judge_version(index: int, version: str) -> Judged:
    """It was spoken."""
    yield OLD_TLS, Evidence(("listen", index, "tls"), f"TLS {version} is spoken")


def judge_leaf(index: int, host: str, leaf: Leaf, now: datetime) -> Judged:
    """For whoever asked for that host."""
    place, shown = ("listen", index, "certificates"), f"what is shown for {host or 'no name'}"
    if now > leaf.end:
        yield CERTIFICATE, Evidence(place, f"{shown} expired on {leaf.end:%Y-%m-%d %H:%M} UTC", 0, Severity.HIGH)
    elif now < leaf.start:
        yield CERTIFICATE, Evidence(place, f"{shown} is not valid before {leaf.start:%Y-%m-%d %H:%M} UTC", 0, Severity.HIGH)
    elif ends_soon(leaf.start, leaf.end, now):
        yield CERTIFICATE, Evidence(place, f"{shown} ends on {leaf.end:%Y-%m-%d %H:%M} UTC")
    if host and not any(covers(name, host) for name in leaf.names):
        names = ", ".join(leaf.names[:3]) or "nobody"
        yield CERTIFICATE, Evidence(place, f"{shown} is for {names}")


def ends_soon(start: datetime, end: datetime, now: datetime) -> bool:
    """What is good, and somebody should have renewed by now."""
    return start <= now <= end and end - now < min(SOON, (end - start) / SHARE)


def covers(name: str, host: str) -> bool:
    """As RFC 9525 section 6.3 has it: a star stands for one whole label, the first."""
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:] and not host.startswith(".")
    return name == host


def judge_secure(index: int, question: AuditQuestion, head: AuditHead) -> Judged:
    """Errors are no pages that a browser comes back to."""
    if 200 <= head.status < 400 and not any(name == "strict-transport-security" for name, _ in head.fields):
        yield HSTS, Evidence(("listen", index), f"{question.host}{question.path}: {head.status} without it")


def judge_plain(index: int, question: AuditQuestion, head: AuditHead) -> Judged:
    """Content, and not a way to HTTPS."""
    if 200 <= head.status < 300:
        yield PLAIN, Evidence(("listen", index, "address"), f"{question.host}{question.path}: {head.status}")


def parse_head(data: bytes) -> AuditHead | None:
    """Of an answer of HTTP/1; None: it is none."""
    first, *lines = data.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isascii() or not rest[:3].isdigit():
        return None
    pairs = (line.partition(":") for line in lines if ":" in line)
    return AuditHead(int(rest[:3]), tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))
