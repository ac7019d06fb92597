"""[pool.NAME]: what holds between its keys."""

from __future__ import annotations

from dataclasses import replace

from lbproxy.config.model import BackendConfig, HealthConfig, PoolConfig, PoolTlsConfig
from lbproxy.config.read import Context
from lbproxy.config.rules.health import settled
from lbproxy.config.tables import Table


def pool(table: Table, pool: PoolConfig, context: Context) -> PoolConfig:
    """[pool.NAME]"""
    if table.value("backends") in (None, []):
        table.complain("backends" if "backends" in table else "", "the pool has no backends", 'add backends = ["10.0.0.1:8080"]')
    if "hash" in table and pool.balance != "source_hash":
        table.complain("hash", f'means nothing to balance = "{pool.balance}"', 'add balance = "source_hash"')
    if "buffer_file" in table and not (pool.buffer_requests or pool.buffer_responses):
        hint = 'add buffer_requests = "64KiB" or buffer_responses = "64KiB"'
        table.complain("buffer_file", "means nothing where nothing is buffered", hint)
    if pool.proxy_protocol is not None and pool.protocol != "http/1.1":
        message = f'a PROXY header names one client, and requests of all share the connections of protocol = "{pool.protocol}"'
        table.complain("proxy_protocol", message, "take one of the two out: fields such as X-Forwarded-For name a client as well")
    health = settled(table.inside("health"), pool.health, tls="tls" in table)
    _check_unix(table, pool.backends, pool.tls, health)
    return replace(pool, health=health)


def _check_unix(table: Table, backends: tuple[BackendConfig, ...], tls: PoolTlsConfig | None, health: HealthConfig) -> None:
    """What a Unix socket does not have: a name to verify, and ports."""
    first = next((backend.address for backend in backends if backend.address.path), None)
    if first is None:
        return
    if tls is not None and tls.verify and tls.server_name is None:
        message = f"{first} has no name that its certificate could be for"
        table.complain("tls", message, 'add server_name = "app.internal" to tls, or leave tls out: the socket is on this machine')
    if health.port:
        table.report.complain((*table.at("health"), "port"), f"{first} has no port beside it", "put it into a pool of its own")


def backend(table: Table, backend: BackendConfig, context: Context) -> BackendConfig:
    """The long form of a backend."""
    if not backend.backup:
        return backend
    if "tier" in table:
        table.complain("backup", "backup is tier 1, and the tier is given", "leave one of the two out")
    return replace(backend, tier=1, backup=False)


def tls(table: Table, tls: PoolTlsConfig, context: Context) -> PoolTlsConfig:
    """A pool's tls."""
    if tls.min_version == "1.3" and tls.ciphers is not None:
        table.complain("ciphers", "means nothing to TLS 1.3, and nothing older is spoken", "leave it out, or lower min_version")
    for about in ("key_mode", "passphrase"):
        if about in table and "key" not in table:
            table.complain(about, "there is no key that it could be about", 'add cert = "..." and key = "..."')
    if ("cert" in table) != ("key" in table):
        there, missing = ("cert", "key") if "cert" in table else ("key", "cert")
        table.complain(there, f'"{there}" without "{missing}"', f'add {missing} = "..."')
    if tls.max_version is not None and tls.max_version < tls.min_version:
        table.complain("max_version", f"wanted {tls.min_version}, the oldest version, or a newer one, got {tls.max_version}")
    if "crl" in table and not tls.verify:
        table.complain("verify", "a crl is given and verification is off", "leave one of the two out")
    if "ca" in table and not tls.verify:
        table.complain("verify", "a ca is given and verification is off", "leave one of the two out")
    return tls
