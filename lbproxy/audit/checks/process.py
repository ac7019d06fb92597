"""Dangers of the processes themselves, of what they show, and of limits that were lifted."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.audit.checks.networks import listens_to_everybody, on_this_machine
from lbproxy.audit.finding import Check, Evidence, Severity
from lbproxy.config.atoms import KIB, MIB
from lbproxy.config.model import Config

_LONG = {"handshake": 60.0, "request_head": 60.0, "body_idle": 600.0, "keepalive": 600.0, "write_stall": 600.0}

_LONGEST_FIELD = 64 * KIB
"""Bytes as they are sent: libnghttp2 takes a longer one for broken compression."""


def _no_walls(config: Config) -> Iterable[Evidence]:
    if not config.proxy.walls:
        yield Evidence(("proxy", "walls"), "false")


def _root(config: Config) -> Iterable[Evidence]:
    if config.proxy.user == "root":
        yield Evidence(("proxy", "user"), "root")


def _shown(config: Config) -> Iterable[Evidence]:
    address = config.metrics.address
    if address is not None and not on_this_machine(address):
        everybody = listens_to_everybody(address)
        yield Evidence(("metrics", "address"), str(address), 0, Severity.HIGH if everybody else None)


def _large_heads(config: Config) -> Iterable[Evidence]:
    limits = config.limits
    if limits.head > 256 * KIB:
        yield Evidence(("limits", "head"), f"{limits.head} bytes")
    if limits.fields > 1000:
        yield Evidence(("limits", "fields"), str(limits.fields))
    if limits.streams > 1000:
        yield Evidence(("limits", "streams"), str(limits.streams))


def _long_fields(config: Config) -> Iterable[Evidence]:
    if config.limits.head > _LONGEST_FIELD and any("h2" in listen.speaks for listen in config.listen):
        yield Evidence(("limits", "head"), f"{config.limits.head} bytes")


def _patient(config: Config) -> Iterable[Evidence]:
    for name, most in _LONG.items():
        seconds = getattr(config.timeouts, name)
        if seconds > most:
            yield Evidence(("timeouts", name), f"{seconds:g} s")


def _buffers(config: Config) -> Iterable[Evidence]:
    for pool in config.pools:
        for key in ("buffer_requests", "buffer_responses"):
            size = getattr(pool, key)
            if size > 16 * MIB:
                yield Evidence(("pool", pool.name, key), f"{size} bytes", pool.line)


def _any_body(config: Config) -> Iterable[Evidence]:
    if not config.limits.body and any(route.pools and route.filters.max_body is None for route in config.routes):
        yield Evidence(("limits", "body"), "no limit")


CHECKS = (
    Check(
        "walls-off",
        Severity.HIGH,
        "Whoever takes over a worker has the whole kernel: processes, files and sockets that no worker needs.",
        "Take walls = false out.",
        _no_walls,
    ),
    Check(
        "user-root",
        Severity.CRITICAL,
        "Workers, which read what strangers send, run as root.",
        "Let user be an account that owns nothing, or leave it out.",
        _root,
    ),
    Check(
        "metrics-public",
        Severity.MEDIUM,
        "Other machines can read names and states of backends, and how much there is to do; nobody is asked for a password.",
        "Let metrics.address be on 127.0.0.1, or give those who may read it a route with an allow.",
        _shown,
    ),
    Check(
        "limits-lifted",
        Severity.MEDIUM,
        "A client that sends little makes workers hold much, thousands of times.",
        "Leave the key out: the default is enough for browsers and applications.",
        _large_heads,
    ),
    Check(
        "long-fields",
        Severity.INFO,
        "Over HTTP/2 no field may be longer than 64 KiB, whatever limits.head says: one that is ends its client's connection.",
        'Say head = "64KiB", or protocols = ["http/1.1"] on a listener for those that need more.',
        _long_fields,
    ),
    Check(
        "timeouts-long",
        Severity.LOW,
        "Clients that say nothing keep connections that others need.",
        "Leave the key out, or give a pool or route a time-out of its own.",
        _patient,
    ),
    Check(
        "buffers-large",
        Severity.MEDIUM,
        "Each body may take that much of a worker's memory at once.",
        "Let it be some KiB: what is longer goes into a file.",
        _buffers,
    ),
    Check(
        "body-unlimited",
        Severity.INFO,
        "Requests may be of any size; what a backend does with a large one is its own affair.",
        'Add body = "64MiB" to [limits], and max_body to routes of uploads.',
        _any_body,
    ),
)
