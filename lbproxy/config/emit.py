"""A `Config` back to TOML: what is in effect, every key written out, defaults included.

Keys that have no value (a user not named, no control socket) have no spelling in TOML and are left out, as are keys that mean
nothing beside others (`path` for a health check that is no HTTP). Reading the text gives an equal `Config`, lines and source aside.
"""

from __future__ import annotations

from dataclasses import asdict

import toml

from lbproxy.config.model import Backend, Config, Health, Limits, Listen, Log, Pool, PoolTls, Process, Route
from lbproxy.config.units import format_duration, format_network, format_size

TomlTable = dict[str, object]


def emit(config: Config) -> str:
    """TOML text of the effective configuration. File names are absolute in it, when load made them so."""
    metrics = {} if config.metrics.address is None else {"metrics": {"address": str(config.metrics.address)}}
    return toml.dumps(
        {
            "proxy": _proxy(config.proxy),
            "log": _log(config.log),
            "timeouts": {key: format_duration(seconds) for key, seconds in asdict(config.timeouts).items()},
            "limits": _limits(config.limits),
            **metrics,
            "listen": [_listen(listen) for listen in config.listen],
            **({"route": [_route(route) for route in config.routes]} if config.routes else {}),
            "pool": {pool.name: _pool(pool) for pool in config.pools},
        }
    )


def _given(**keys: object) -> TomlTable:
    """Without what is None."""
    return {key: value for key, value in keys.items() if value is not None}


def _file(path: object) -> str | None:
    return None if path is None else str(path)


def _proxy(proxy: Process) -> TomlTable:
    return _given(
        workers=proxy.workers or "auto",
        user=proxy.user,
        pid_file=_file(proxy.pid_file),
        control=_file(proxy.control),
        drain_timeout=format_duration(proxy.drain_timeout),
        trusted_proxies=[format_network(network) for network in proxy.trusted_proxies],
        worker_memory=format_size(proxy.worker_memory),
        worker_memory_hard=format_size(proxy.worker_memory_hard),
        worker_requests=proxy.worker_requests,
        idle_grace=format_duration(proxy.idle_grace),
    )


def _log(log: Log) -> TomlTable:
    return {"level": log.level, "format": log.format, "access": log.access}


def _limits(limits: Limits) -> TomlTable:
    sizes = ("head", "request_line", "body")
    return {key: format_size(value) if key in sizes else value for key, value in asdict(limits).items()}


def _listen(listen: Listen) -> TomlTable:
    table: TomlTable = {"address": str(listen.address), "redirect_to_https": listen.redirect_to_https}
    if listen.certificates:
        table["certificates"] = [{"cert": str(pair.cert), "key": str(pair.key)} for pair in listen.certificates]
        tls = listen.tls
        table["tls"] = _given(profile=tls.profile, client_ca=_file(tls.client_ca), client_auth=tls.client_auth)
    return table


def _route(route: Route) -> TomlTable:
    return _given(host=route.host, path=route.path, pool=route.pool)


def _pool(pool: Pool) -> TomlTable:
    return _given(
        balance=pool.balance,
        backends=[_backend(backend) for backend in pool.backends],
        tls=None if pool.tls is None else _pool_tls(pool.tls),
        health=_health(pool.health),
    )


def _backend(backend: Backend) -> TomlTable:
    return {"address": str(backend.address), "weight": backend.weight, "max_connections": backend.max_connections}


def _pool_tls(tls: PoolTls) -> TomlTable:
    return _given(ca=_file(tls.ca), server_name=tls.server_name, cert=_file(tls.cert), key=_file(tls.key), verify=tls.verify)


def _health(health: Health) -> TomlTable:
    table: TomlTable = {
        "type": health.type,
        "interval": format_duration(health.interval),
        "timeout": format_duration(health.timeout),
        "rise": health.rise,
        "fall": health.fall,
    }
    if health.type == "http":
        low, high = health.expect
        table |= _given(method=health.method, path=health.path, host=health.host, expect=f"{low}-{high}")
    return table
