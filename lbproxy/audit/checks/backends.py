"""Dangers on the way to backends, and of what is sent there twice."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.audit.checks.networks import on_this_machine
from lbproxy.audit.finding import Check, Evidence, Path, Severity
from lbproxy.config.model import Config, PoolConfig

_PROVED = ("connect", "closed")
"""Failures after which nothing is done twice that must be done once."""


def _at(pool: PoolConfig, *path: str) -> Path:
    return ("pool", pool.name, *path)


def _unverified(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.tls is not None and not pool.tls.verify:
            yield Evidence(_at(pool, "tls", "verify"), "false", pool.line)


def _one_pin(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.tls is not None and len(pool.tls.pins) == 1:
            yield Evidence(_at(pool, "tls", "pins"), pool.tls.pins[0], pool.line)


def _plain(config: Config) -> Iterable[Evidence]:
    encrypted = config.passed_to - config.asked  # by the clients themselves
    for pool in config.pools:
        if pool.tls is None and pool.name not in encrypted:
            for index, backend in enumerate(pool.backends):
                if not on_this_machine(backend.address):
                    yield Evidence((*_at(pool, "backends"), index), str(backend.address), backend.line or pool.line)


def _old_tls(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.tls is not None and pool.tls.min_version < "1.2":
            yield Evidence(_at(pool, "tls", "min_version"), pool.tls.min_version, pool.line)


def _tolerant(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.tolerate:
            yield Evidence(_at(pool, "tolerate"), " ".join(pool.tolerate), pool.line)


def _unchecked(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.health.type == "off":
            yield Evidence(_at(pool, "health", "type"), "off", pool.line)


def _twice(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        risky = [word for word in pool.retry_on if word not in _PROVED]
        if risky and pool.retries:
            yield Evidence(_at(pool, "retry_on"), " ".join(risky), pool.line)


def _storm(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        if pool.retries and pool.retry_budget > 50:
            yield Evidence(_at(pool, "retry_budget"), str(pool.retry_budget), pool.line)


CHECKS = (
    Check(
        "backend-unverified",
        Severity.HIGH,
        "Whoever stands on the way to the backends can read and change everything: their certificates are not verified.",
        "Take verify = false out, and name the authority that signs them by ca.",
        _unverified,
    ),
    Check(
        "backend-one-pin",
        Severity.LOW,
        "With the backends' next key nobody is reached, until this file is changed.",
        "Make the next key now, and pin it as well.",
        _one_pin,
    ),
    Check(
        "backend-plain-text",
        Severity.MEDIUM,
        "What was decrypted here goes to another machine in the clear.",
        "Give the pool a table tls, or let it be a network that nobody else has a part in.",
        _plain,
    ),
    Check(
        "backend-old-tls",
        Severity.MEDIUM,
        "Versions of TLS before 1.2 are broken, and a backend may be made to speak one.",
        'Take min_version out; "1.2" is the default.',
        _old_tls,
    ),
    Check(
        "backend-tolerated",
        Severity.LOW,
        "Answers that two parsers could read in two ways are passed on as one of them reads them.",
        "Mend the backend, and take tolerate out.",
        _tolerant,
    ),
    Check(
        "backend-unchecked",
        Severity.LOW,
        "A backend that is down is found out by requests that fail there.",
        'Let health.type be "http", or "tcp".',
        _unchecked,
    ),
    Check(
        "retry-unsafe",
        Severity.MEDIUM,
        "A request is sent again when nobody knows whether it was carried out; it may be carried out twice.",
        'Let retry_on be ["connect", "closed"].',
        _twice,
    ),
    Check(
        "retry-storm",
        Severity.MEDIUM,
        "When backends are slow, further tries may double what they have to do, and hold them down.",
        "Let retry_budget be 20, which is the default.",
        _storm,
    ),
)
