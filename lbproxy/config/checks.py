"""[pool.NAME.health]: how backends are checked."""

from __future__ import annotations

from lbproxy.config import values
from lbproxy.config.headers import pairs, probe_name, probe_value
from lbproxy.config.model import Health
from lbproxy.config.tables import Table

_ONLY_HTTP = ("method", "path", "host", "expect", "body", "headers")
_TYPES = ("tcp", "tls", "http", "off")

LONGEST_BODY = 1024
"""Characters of a wanted body; more is a file that somebody pasted."""


def read_health(table: Table, *, tls: bool) -> Health:
    """`tls`: the pool re-encrypts, and so does its check unless told otherwise: where a handshake fails, every request does. The
    intervals that are not given follow the one that is, in the proportion of the defaults."""
    default = Health(type="tls" if tls else "tcp")
    kind = table.take("type", values.choice(*_TYPES), default.type)
    interval = table.take("interval", values.duration(), default.interval)
    health = Health(
        type=kind,
        interval=interval,
        timeout=table.take("timeout", values.duration(), default.timeout),
        rise=table.take("rise", values.whole(1, 1000), default.rise),
        fall=table.take("fall", values.whole(1, 1000), default.fall),
        method=table.take("method", values.choice("GET", "HEAD", "OPTIONS"), default.method),
        path=table.take("path", values.url_path, default.path),
        host=table.take("host", values.host_field, default.host),
        expect=table.take("expect", values.status_range, default.expect),
        fast_interval=table.take("fast_interval", values.duration(), fast_interval(interval)),
        down_interval=table.take("down_interval", values.duration(), down_interval(interval)),
        body=table.take("body", values.text_within(LONGEST_BODY), default.body),
        port=table.take("port", values.whole(1, 65535), default.port),
        headers=pairs(table, "headers", probe_name, probe_value),
    )
    if kind != "http" and table.value("type") in (None, *_TYPES):
        for key in _ONLY_HTTP:
            if key in table:
                table.complain(key, f'means nothing to a check of type "{kind}"', 'add type = "http"')
    if kind == "tls" and not tls:
        table.complain("type", "the pool does not speak TLS to its backends", "add tls = {} to the pool, or check by tcp or http")
    if health.method == "HEAD" and health.body is not None:
        table.complain("body", "the answer to HEAD has no body", 'leave out method = "HEAD"')
    table.close()
    return health


def fast_interval(interval: float) -> float:
    """Seconds between checks while a verdict is changing: half, and never more than a second."""
    default = Health()
    return min(round(interval * default.fast_interval / default.interval, 3) or interval, default.fast_interval)


def down_interval(interval: float) -> float:
    """Seconds between checks of a backend that is down: more, but not above five seconds unless all intervals are."""
    default = Health()
    return max(interval, min(round(interval * default.down_interval / default.interval, 3), default.down_interval))
