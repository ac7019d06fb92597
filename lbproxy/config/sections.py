"""The tables that occur once: [proxy], [log], [timeouts], [limits], [metrics]."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from lbproxy.config import values
from lbproxy.config.model import MIB, Limits, Log, Metrics, Process, Timeouts
from lbproxy.config.tables import Table
from lbproxy.config.units import parse_listen_address, parse_network

SECTIONS = {"proxy": Process, "log": Log, "timeouts": Timeouts, "limits": Limits, "metrics": Metrics}


def belongs_in(key: str) -> str:
    """The hint for a key that stands in the wrong table, or ""."""
    homes = [name for name, section in SECTIONS.items() if key in {field.name for field in fields(section)}]
    return f"it belongs in [{homes[0]}]" if len(homes) == 1 else ""


def read_proxy(table: Table, base: Path) -> Process:
    """[proxy]"""
    default = Process()
    optional_file = values.file_below(base)
    proxy = Process(
        workers=table.take("workers", values.workers, default.workers),
        user=table.take("user", values.text, default.user),
        pid_file=table.take("pid_file", optional_file, default.pid_file),
        control=table.take("control", optional_file, default.control),
        drain_timeout=table.take("drain_timeout", values.duration(zero=True), default.drain_timeout),
        trusted_proxies=table.each("trusted_proxies", parse_network, 'a list of networks such as ["10.0.0.0/8"]'),
    )
    table.close(belongs_in)
    return proxy


def read_log(table: Table, base: Path) -> Log:
    """[log]"""
    default = Log()
    log = Log(
        level=table.take("level", values.choice("debug", "info", "warning", "error"), default.level),
        format=table.take("format", values.choice("auto", "console", "json"), default.format),
        access=table.take("access", values.access_log(base), default.access),
    )
    table.close(belongs_in)
    return log


def read_timeouts(table: Table) -> Timeouts:
    """[timeouts]"""
    taken = {field.name: table.take(field.name, values.duration(), getattr(Timeouts(), field.name)) for field in fields(Timeouts)}
    table.close(belongs_in)
    return Timeouts(**taken)


def read_limits(table: Table) -> Limits:
    """[limits]"""
    default = Limits()
    limits = Limits(
        head=table.take("head", values.size(1024, MIB), default.head),
        request_line=table.take("request_line", values.size(256, MIB), default.request_line),
        fields=table.take("fields", values.whole(8, 10_000), default.fields),
        body=table.take("body", values.size(0, 2**62), default.body),
        connections_per_worker=table.take("connections_per_worker", values.whole(1, 1_000_000), default.connections_per_worker),
    )
    if limits.request_line > limits.head:
        message = f"wanted at most the {limits.head} bytes of limits.head, got {limits.request_line} bytes"
        table.complain("request_line", message, 'raise "head"')
    table.close(belongs_in)
    return limits


def read_metrics(table: Table) -> Metrics:
    """[metrics]"""
    metrics = Metrics(address=table.take("address", parse_listen_address, None))
    table.close(belongs_in)
    return metrics
