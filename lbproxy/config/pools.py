"""The backends' side: [pool.NAME] with its backends, re-encryption and health checks."""

from __future__ import annotations

from pathlib import Path

from lbproxy.config import values
from lbproxy.config.balancing import read_balancing
from lbproxy.config.buffering import read_buffering
from lbproxy.config.checks import read_health
from lbproxy.config.evidence import read_evidence
from lbproxy.config.headers import read_headers
from lbproxy.config.model import Address, Backend, Connections, Health, Pool, PoolTls
from lbproxy.config.sections import belongs_in, read_near_timeouts
from lbproxy.config.tables import Table
from lbproxy.config.units import parse_backend_address


def read_pools(table: Table, base: Path) -> tuple[Pool, ...]:
    """All of [pool.NAME]."""
    pools = []
    for name, value in table.tables().items():
        table.report.parse(table.at(name), name, values.pool_name)
        pools.append(_pool(name, table.child(table.at(name), value, f"a table headed [pool.{name}]"), base))
    return tuple(pools)


def _pool(name: str, table: Table, base: Path) -> Pool:
    balancing = read_balancing(table)
    evidence = read_evidence(table)
    buffering = read_buffering(table)
    backends = _backends(table)
    tls = _pool_tls(table.table("tls", 'a table such as { ca = "ca.pem" } or {}'), base)
    health = read_health(table.table("health", 'a table such as { type = "http", path = "/healthz" }'), tls="tls" in table)
    _check_unix(table, backends, tls if "tls" in table else None, health)
    headers = read_headers(table)
    connections = _connections(table.table("connections", 'a table such as { idle = 128, idle_timeout = "30s" }'))
    timeouts = read_near_timeouts(table.table("timeouts", 'a table such as { response_head = "5m" }'))
    table.close(belongs_in)
    tls_if_any = tls if "tls" in table else None
    line = table.report.lines.of(table.path)
    return Pool(
        name,
        backends,
        tls=tls_if_any,
        health=health,
        line=line,
        connections=connections,
        headers=headers,
        timeouts=timeouts,
        **buffering._asdict(),
        **balancing._asdict(),
        **evidence._asdict(),
    )


def _backends(table: Table) -> tuple[Backend, ...]:
    items = table.items("backends", 'a list such as ["10.0.0.1:8080", "10.0.0.2:8080"]')
    if not items and table.value("backends") in (None, []):
        table.complain("backends" if "backends" in table else "", "the pool has no backends", 'add backends = ["10.0.0.1:8080"]')
    read = [_backend(table, item.path, item.value) for item in items]
    return tuple(backend for backend in read if backend is not None)


def _check_unix(table: Table, backends: tuple[Backend, ...], tls: PoolTls | None, health: Health) -> None:
    """What a Unix socket does not have: a name to verify, and ports."""
    first = next((backend.address for backend in backends if backend.address.path), None)
    if first is None:
        return
    if tls is not None and tls.verify and tls.server_name is None:
        message = f"{first} has no name that its certificate could be for"
        table.complain("tls", message, 'add server_name = "app.internal" to tls, or leave tls out: the socket is on this machine')
    if health.port:
        table.report.complain((*table.at("health"), "port"), f"{first} has no port beside it", "put it into a pool of its own")


def _backend(pool: Table, path: tuple[str | int, ...], value: object) -> Backend | None:
    line = pool.report.lines.of(path)
    if not isinstance(value, dict):
        address = pool.report.parse(path, value, parse_backend_address)
        return None if address is None else Backend(address, line=line)
    table = pool.child(path, value, "a backend")
    address = table.need("address", parse_backend_address, 'add address = "10.0.0.1:8080"')
    default = Backend(Address("", 0))
    weight = table.take("weight", values.whole(0, 1000), default.weight)
    max_connections = table.take("max_connections", values.whole(0, 1_000_000), default.max_connections)
    backup = table.take("backup", values.boolean, False)
    tier = table.take("tier", values.whole(0, 9), 1 if backup else default.tier)
    if backup and "tier" in table:
        table.complain("backup", "backup is tier 1, and the tier is given", "leave one of the two out")
    table.close()
    return None if address is None else Backend(address, weight, max_connections, line, tier)


def _connections(table: Table) -> Connections:
    default = Connections()
    connections = Connections(
        idle=table.take("idle", values.whole(0, 100_000), default.idle),
        idle_timeout=table.take("idle_timeout", values.duration(86400.0), default.idle_timeout),
        max_age=table.take("max_age", values.duration(zero=True), default.max_age),
        max_requests=table.take("max_requests", values.whole(0, 10**12), default.max_requests),
    )
    table.close()
    return connections


def _pool_tls(table: Table, base: Path) -> PoolTls:
    default = PoolTls()
    file = values.file_below(base)
    tls = PoolTls(
        ca=table.take("ca", file, default.ca),
        server_name=table.take("server_name", values.server_name, default.server_name),
        cert=table.take("cert", file, default.cert),
        key=table.take("key", file, default.key),
        verify=table.take("verify", values.boolean, default.verify),
        key_mode=table.take("key_mode", values.KEY_MODE, default.key_mode),
        min_version=table.take("min_version", values.choice("1.0", "1.1", "1.2", "1.3"), default.min_version),
        ciphers=table.take("ciphers", values.text, default.ciphers),
    )
    if tls.min_version == "1.3" and tls.ciphers is not None:
        table.complain("ciphers", "means nothing to TLS 1.3, and nothing older is spoken", "leave it out, or lower min_version")
    if "key_mode" in table and "key" not in table:
        table.complain("key_mode", "there is no key that it could be about", 'add cert = "..." and key = "..."')
    if ("cert" in table) != ("key" in table):
        there, missing = ("cert", "key") if "cert" in table else ("key", "cert")
        table.complain(there, f'"{there}" without "{missing}"', f'add {missing} = "..."')
    if "ca" in table and not tls.verify:
        table.complain("verify", "a ca is given and verification is off", "leave one of the two out")
    table.close()
    return tls
