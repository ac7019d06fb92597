"""[pool.NAME.health]: what holds between its keys, and beside the pool's own."""

from __future__ import annotations

from dataclasses import replace

from lbproxy.config.model import HealthConfig
from lbproxy.config.model.health import TYPES
from lbproxy.config.tables import Table

_ONLY_HTTP = ("method", "path", "host", "expect", "body", "headers")


def settled(table: Table, health: HealthConfig, *, tls: bool) -> HealthConfig:
    """`tls`: the pool re-encrypts, and so does its check unless told otherwise: where a handshake fails, every request does. The
    intervals that are not given follow the one that is, in the proportion of the defaults."""
    if tls and "type" not in table:
        health = replace(health, type="tls")
    if "fast_interval" not in table:
        health = replace(health, fast_interval=fast_interval(health.interval))
    if "down_interval" not in table:
        health = replace(health, down_interval=down_interval(health.interval))
    if health.type != "http" and table.value("type") in (None, *TYPES):
        for key in _ONLY_HTTP:
            if key in table:
                table.complain(key, f'means nothing to a check of type "{health.type}"', 'add type = "http"')
    if health.type != "grpc" and table.value("type") in (None, *TYPES) and "service" in table:
        table.complain("service", f'means nothing to a check of type "{health.type}"', 'add type = "grpc"')
    if health.type == "tls" and not tls:
        table.complain("type", "the pool does not speak TLS to its backends", "add tls = {} to the pool, or check by tcp or http")
    if health.method == "HEAD" and health.body is not None:
        table.complain("body", "the answer to HEAD has no body", 'leave out method = "HEAD"')
    return health


def fast_interval(interval: float) -> float:
    """Seconds between checks while a verdict is changing: half, and never more than a second."""
    default = HealthConfig()
    return min(round(interval * default.fast_interval / default.interval, 3) or interval, default.fast_interval)


def down_interval(interval: float) -> float:
    """Seconds between checks of a backend that is down: more, but not above five seconds unless all intervals are."""
    default = HealthConfig()
    return max(interval, min(round(interval * default.down_interval / default.interval, 3), default.down_interval))
