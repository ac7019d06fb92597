"""[proxy] and [limits]: what holds between their keys; where keys belong that stand elsewhere."""

from __future__ import annotations

from dataclasses import replace

from lbproxy.config.key import shape_of
from lbproxy.config.model import Config, LimitsConfig, ProcessConfig, TimeoutsConfig
from lbproxy.config.read import Context
from lbproxy.config.tables import Table
from lbproxy.config.units import format_duration, format_size

_ONCE = {item.name: what.shape for item, what in shape_of(Config).tables() if what.how == "table"}
"""The tables that occur once."""


def belongs_in(key: str) -> str:
    """The hint for a key that stands in the wrong table, or ""."""
    homes = [name for name, shape in _ONCE.items() if key in shape.names()]
    return f"it belongs in [{homes[0]}]" if len(homes) == 1 else ""


def proxy(table: Table, proxy: ProcessConfig, context: Context) -> ProcessConfig:
    """[proxy]"""
    if 0 < proxy.worker_memory_hard < proxy.worker_memory:
        soft, hard = format_size(proxy.worker_memory), format_size(proxy.worker_memory_hard)
        message = f"wanted at least the {soft} of worker_memory, got {hard}"
        table.complain("worker_memory_hard", message, "a worker is replaced gently first, and hard only when that was not enough")
    return _within_the_drain(table, proxy) if proxy.idle_grace > proxy.drain_timeout else proxy


def _within_the_drain(table: Table, proxy: ProcessConfig) -> ProcessConfig:
    """Nothing outlives the drain. Who wrote the grace is told; the default gives way to a short drain_timeout without a word."""
    if "idle_grace" in table:
        grace, drain = format_duration(proxy.idle_grace), format_duration(proxy.drain_timeout)
        table.complain("idle_grace", f"wanted at most the {drain} of drain_timeout, got {grace}", 'raise "drain_timeout"')
    return replace(proxy, idle_grace=proxy.drain_timeout)


def limits(table: Table, limits: LimitsConfig, context: Context) -> LimitsConfig:
    """[limits]"""
    if limits.request_line > limits.head:
        message = f"wanted at most the {limits.head} bytes of limits.head, got {limits.request_line} bytes"
        table.complain("request_line", message, 'raise "head"')
    return limits


def over_before(key: str) -> str:
    """The hint for a key that stands among the timeouts of a pool or a route."""
    return "it belongs in [timeouts]: it is over before a request has a route" if key in shape_of(TimeoutsConfig).names() else ""
