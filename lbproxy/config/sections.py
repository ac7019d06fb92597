"""The tables that occur once: [proxy], [log], [timeouts], [limits], [metrics]."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from lbproxy.config import values
from lbproxy.config.headers import read_for_all
from lbproxy.config.model import MIB, NEAR_TIMEOUTS, Limits, Log, Metrics, NearTimeouts, Process, Timeouts
from lbproxy.config.tables import Parse, Table
from lbproxy.config.units import format_duration, format_size, parse_network, parse_port_address, parse_resolver

SECTIONS = {"proxy": Process, "log": Log, "timeouts": Timeouts, "limits": Limits, "metrics": Metrics}


LEAST_MEMORY = 16 * MIB
"""A worker that has served nobody yet takes about 30 MiB: below that every worker would be replaced for ever."""


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
        worker_memory=table.take("worker_memory", values.ceiling(LEAST_MEMORY), default.worker_memory),
        worker_memory_hard=table.take("worker_memory_hard", values.ceiling(LEAST_MEMORY), default.worker_memory_hard),
        worker_requests=table.take("worker_requests", values.whole(0, 10**12), default.worker_requests),
        idle_grace=table.take("idle_grace", values.duration(zero=True), default.idle_grace),
        walls=table.take("walls", values.boolean, default.walls),
        headers=read_for_all(table),
        temp_dir=table.take("temp_dir", values.file_below(base), default.temp_dir),
        resolvers=table.each("resolvers", parse_resolver, 'a list of name servers such as ["10.0.0.2", "127.0.0.1:8600"]'),
        on_unknown_name=table.take("on_unknown_name", values.choice("refuse", "start"), default.on_unknown_name),
    )
    if 0 < proxy.worker_memory_hard < proxy.worker_memory:
        soft, hard = format_size(proxy.worker_memory), format_size(proxy.worker_memory_hard)
        message = f"wanted at least the {soft} of worker_memory, got {hard}"
        table.complain("worker_memory_hard", message, "a worker is replaced gently first, and hard only when that was not enough")
    if proxy.idle_grace > proxy.drain_timeout:
        proxy = _within_the_drain(table, proxy)
    table.close(belongs_in)
    return proxy


def _within_the_drain(table: Table, proxy: Process) -> Process:
    """Nothing outlives the drain. Who wrote the grace is told; the default gives way to a short drain_timeout without a word."""
    if "idle_grace" in table:
        grace, drain = format_duration(proxy.idle_grace), format_duration(proxy.drain_timeout)
        table.complain("idle_grace", f"wanted at most the {drain} of drain_timeout, got {grace}", 'raise "drain_timeout"')
    return replace(proxy, idle_grace=proxy.drain_timeout)


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
    default = Timeouts()
    taken = {name: table.take(name, _timeout(name), getattr(default, name)) for name in (field.name for field in fields(Timeouts))}
    table.close(belongs_in)
    return Timeouts(**taken)


def read_near_timeouts(table: Table) -> NearTimeouts:
    """[pool.NAME.timeouts], [route.timeouts]"""
    taken = {name: table.take(name, _timeout(name), None) for name in NEAR_TIMEOUTS}
    table.close(lambda key: "it belongs in [timeouts]: it is over before a request has a route" if hasattr(Timeouts(), key) else "")
    return NearTimeouts(**taken)


def _timeout(name: str) -> Parse[float]:
    """Only the whole of a request may go without a limit: each of its parts has one."""
    return values.duration(zero=name == "request")


def read_limits(table: Table) -> Limits:
    """[limits]"""
    default = Limits()
    limits = Limits(
        head=table.take("head", values.size(1024, MIB), default.head),
        request_line=table.take("request_line", values.size(256, MIB), default.request_line),
        fields=table.take("fields", values.whole(8, 10_000), default.fields),
        body=table.take("body", values.size(0, values.MOST_BYTES), default.body),
        connections_per_worker=table.take("connections_per_worker", values.whole(1, 1_000_000), default.connections_per_worker),
        body_rate=table.take("body_rate", values.size(0, MIB), default.body_rate),
    )
    if limits.request_line > limits.head:
        message = f"wanted at most the {limits.head} bytes of limits.head, got {limits.request_line} bytes"
        table.complain("request_line", message, 'raise "head"')
    table.close(belongs_in)
    return limits


def read_metrics(table: Table) -> Metrics:
    """[metrics]"""
    default = Metrics()
    metrics = Metrics(
        address=table.take("address", parse_port_address, None),
        hosts=table.each("hosts", values.route_host, 'a list of hosts such as ["lb1.example.com"]'),
        connections=table.take("connections", values.whole(2, 1000), default.connections),
        timeout=table.take("timeout", values.duration(60.0), default.timeout),
    )
    table.close(belongs_in)
    return metrics
