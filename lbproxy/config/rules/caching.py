"""[route.cache]: what holds between it and the rest."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.model import Config
from lbproxy.config.tables import Report
from lbproxy.errors import Complaint


def together(report: Report, config: Config) -> Iterator[Complaint]:
    """Routes that store answers need a place for them."""
    if config.cache is not None or any(one.key == "cache" or one.key.startswith("cache.") for one in report.complaints):
        return
    for route in config.routes:
        if route.cache is not None:
            yield Complaint(report.source, route.line, "route.cache", "there is no [cache]", 'add [cache] with memory = "64MiB"')
