"""What traffic says about backends, and what becomes of requests that fail: the keys outlier, fail_open, slow_start, retries,
retry_budget, retry_on, idempotency_key and tolerate of [pool.NAME]."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config import values
from lbproxy.config.model import Outlier, Pool
from lbproxy.config.tables import Table
from lbproxy.config.vocabulary import TOLERABLE
from lbproxy.errors import FAILURES


class Evidence(NamedTuple):
    outlier: Outlier
    fail_open: int
    slow_start: float
    idempotency_key: bool
    retries: int
    retry_budget: int
    retry_on: tuple[str, ...]
    tolerate: tuple[str, ...]


def read_evidence(table: Table) -> Evidence:
    """From a pool's table."""
    default = Pool("", ())
    retry_on = table.each("retry_on", values.choice(*FAILURES), 'a list such as ["connect", "closed"]')
    return Evidence(
        _outlier(table.table("outlier", "a table such as { consecutive = 5 }")),
        table.take("fail_open", values.whole(0, 100), default.fail_open),
        table.take("slow_start", values.duration(3600.0, zero=True), default.slow_start),
        table.take("idempotency_key", values.boolean, default.idempotency_key),
        table.take("retries", values.whole(0, 10), default.retries),
        table.take("retry_budget", values.whole(0, 100), default.retry_budget),
        retry_on if "retry_on" in table else default.retry_on,
        table.each("tolerate", values.choice(*TOLERABLE), 'a list such as ["bare_lf"]'),
    )


def _outlier(table: Table) -> Outlier:
    default = Outlier()
    outlier = Outlier(
        enabled=table.take("enabled", values.boolean, default.enabled),
        consecutive=table.take("consecutive", values.whole(0, 1_000_000), default.consecutive),
        rate=table.take("rate", values.whole(0, 100), default.rate),
        requests=table.take("requests", values.whole(1, 1_000_000), default.requests),
        window=table.take("window", values.duration(3600.0), default.window),
        ejection=table.take("ejection", values.duration(86400.0), default.ejection),
        longest=table.take("longest", values.duration(86400.0), default.longest),
        share=table.take("share", values.whole(1, 100), default.share),
    )
    table.close()
    return outlier
