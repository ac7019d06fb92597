"""The certificates that are served, as plain values: for `status`, `lbproxy cert` and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lbproxy.config.acme_names import file_of
from lbproxy.config.model import CertificateConfig
from lbproxy.ipc.messages import AcmeName
from lbproxy.master.operator.requests import Answer
from lbproxy.master.resources.generation import Listening
from lbproxy.tls.contexts import Credentials, HeldPair

MOST_IN_STATUS = 20
MOST_TOLD = 50
LONGEST = 200
"""Characters of a file's name in a message."""
DAY = 86_400


def listed(listeners: Iterable[Listening], refused: Mapping[CertificateConfig, str], now: float) -> list[Answer]:
    """All of them, those that end first come first."""
    found = [
        _facts(str(one.listen.address), one.shown, number, held, refused, now)
        for one in listeners
        if one.shown is not None
        for number, held in enumerate(one.shown.held)
    ]
    return sorted(found, key=lambda each: str(each["not_after"]))


def asked_for(name: str, listeners: Iterable[Listening], refused: Mapping[CertificateConfig, str], now: float) -> list[Answer]:
    """What each listener shows to who asks for a name, with the chain."""
    found = []
    for one in listeners:
        if one.shown is None:
            continue
        arranged = one.shown.arranged
        together = arranged.named(name) or arranged.by_address.get(name)
        by_default = together is None
        if by_default and one.listen.tls.unknown_name == "refuse":
            continue
        for number in arranged.default if together is None else together:
            held = one.shown.held[number]
            facts = _facts(str(one.listen.address), one.shown, number, held, refused, now)
            with held.pem.store.shown(held.pem.cert) as content:
                found.append({**facts, "by_default": by_default, "chain": bytes(content).decode("ascii", "replace")})
    return found


def acme(names: Mapping[str, AcmeName]) -> list[Answer]:
    """Of the names that certificates are obtained for: those that fail or wait come first."""
    order = sorted(names.values(), key=lambda one: (not one.failures, bool(one.authority), one.name))
    return [{**one._asdict(), "self_signed": not one.authority} for one in order]


def with_acme(found: Iterable[Answer], names: Mapping[str, AcmeName]) -> list[Answer]:
    """The same, with what ACME says of those that it obtains."""
    by_file = {file_of(name): one for name, one in names.items()}
    told = []
    for each in found:
        one = by_file.get(Path(str(each["file"])).name) if each["file"] == each["key"] else None
        told.append(each if one is None else {**each, "acme": one._asdict()})
    return told


def dates(listeners: Iterable[Listening]) -> str:
    """For a CertificateDates message: those that end first."""
    ends = sorted(
        (int(held.candidate.end.timestamp()), str(one.listen.address), str(held.pem.files.cert)[-LONGEST:], _name(held))
        for one in listeners
        if one.shown is not None
        for held in one.shown.held
        if held.candidate.end.year < datetime.max.year
    )
    return json.dumps([[listener, file, name, end] for end, listener, file, name in ends[:MOST_TOLD]])


def _facts(
    listener: str, shown: Credentials, number: int, held: HeldPair, refused: Mapping[CertificateConfig, str], now: float
) -> Answer:
    one = held.candidate
    return {
        "listener": listener,
        "file": str(held.pem.files.cert),
        "key": str(held.pem.files.key),
        "names": [*one.names.dns, *one.names.ips],
        "kind": one.kind,
        "not_before": f"{one.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{one.end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "days_left": round((one.end - datetime.fromtimestamp(now, UTC)).total_seconds() / DAY, 1),
        "default": number in shown.arranged.default,
        "refused": refused.get(held.pem.files, ""),
    }


def _name(held: HeldPair) -> str:
    return next(iter((*held.candidate.names.dns, *held.candidate.names.ips)), "")[:LONGEST]
