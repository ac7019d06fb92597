"""A `Config` back to TOML: what is in effect, every key written out, defaults included.

Keys that have no value (a user not named, no control socket) have no spelling in TOML and are left out, as are keys that mean
nothing beside others (`path` for a health check that is no HTTP). Reading the text gives an equal `Config`, lines and source aside.
"""

from __future__ import annotations

from dataclasses import asdict

import toml

from lbproxy.config.environment import Reference, Variables, restore
from lbproxy.config.headers import format_hsts
from lbproxy.config.model import (
    AddressList,
    Backend,
    Certificate,
    ClientLimit,
    Config,
    Connections,
    HeaderRules,
    Headers,
    Health,
    Limits,
    Listen,
    ListenTls,
    Log,
    Metrics,
    NearTimeouts,
    Outlier,
    Pool,
    PoolTls,
    Process,
    Refuse,
    Route,
    RouteFilters,
    SocketAccess,
    Sticky,
    Timeouts,
)
from lbproxy.config.units import format_duration, format_network, format_size

TomlTable = dict[str, object]


def emit(config: Config) -> str:
    """TOML text of the effective configuration. File names are absolute in it, when load made them so; where environment variables
    came in, their names stand."""
    shared = {limit.name: client_limit_table(limit) for limit in config.client_limits}
    metrics = {} if config.metrics == Metrics() else {"metrics": metrics_table(config.metrics)}
    tree = restore(
        {
            "proxy": proxy_table(config.proxy),
            "log": log_table(config.log),
            "timeouts": timeouts_table(config.timeouts),
            "limits": limits_table(config.limits),
            **metrics,
            **({"client_limit": shared} if shared else {}),
            "listen": [_listen(listen) for listen in config.listen],
            **({"route": [_route(route) for route in config.routes]} if config.routes else {}),
            "pool": {pool.name: _pool(pool) for pool in config.pools},
        },
        [Reference(*one) for one in config.written],
        Variables(config.variables),
    )
    return toml.dumps(tree)


def metrics_table(metrics: Metrics) -> TomlTable:
    """[metrics]"""
    return _given(
        address=None if metrics.address is None else str(metrics.address),
        hosts=list(metrics.hosts),
        connections=metrics.connections,
        timeout=format_duration(metrics.timeout),
    )


def _given(**keys: object) -> TomlTable:
    """Without what is None."""
    return {key: value for key, value in keys.items() if value is not None}


def _file(path: object) -> str | None:
    return None if path is None else str(path)


def proxy_table(proxy: Process) -> TomlTable:
    """[proxy]"""
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
        temp_dir=str(proxy.temp_dir),
        resolvers=[str(address) for address in proxy.resolvers],
        on_unknown_name=proxy.on_unknown_name,
        walls=proxy.walls,
        **header_words(proxy.headers),
    )


def log_table(log: Log) -> TomlTable:
    """[log]"""
    return {"level": log.level, "format": log.format, "access": log.access}


def timeouts_table(timeouts: Timeouts) -> TomlTable:
    """[timeouts]"""
    return {key: format_duration(seconds) for key, seconds in asdict(timeouts).items()}


def near_timeouts_table(near: NearTimeouts) -> TomlTable:
    """[pool.NAME.timeouts], [route.timeouts]"""
    return {key: format_duration(seconds) for key, seconds in asdict(near).items() if seconds is not None}


def limits_table(limits: Limits) -> TomlTable:
    """[limits]"""
    sizes = ("head", "request_line", "body", "body_rate")
    return {key: format_size(value) if key in sizes else value for key, value in asdict(limits).items()}


def _listen(listen: Listen) -> TomlTable:
    table: TomlTable = {"address": str(listen.address), **listen_table(listen)}
    if listen.address.path:
        table |= access_table(listen.access)
    table |= listen_filters_table(listen)
    if listen.certificates:
        table["certificates"] = [certificate_table(pair) for pair in listen.certificates]
        table["tls"] = listen_tls_table(listen.tls)
    return table


def certificate_table(pair: Certificate) -> TomlTable:
    """One of a listener's certificates."""
    return {"cert": str(pair.cert), "key": str(pair.key), "key_mode": pair.key_mode}


def listen_table(listen: Listen) -> TomlTable:
    """The single keys of [[listen]], the address aside."""
    return {"redirect_to_https": listen.redirect_port or listen.redirect_to_https, "max_connections": listen.max_connections}


def access_table(access: SocketAccess) -> TomlTable:
    """Who may connect to a listener's Unix socket."""
    return _given(mode=f"{access.mode:04o}", owner=access.owner, group=access.group)


def listen_tls_table(tls: ListenTls) -> TomlTable:
    """A listener's tls."""
    return _given(profile=tls.profile, client_ca=_file(tls.client_ca), client_auth=tls.client_auth)


def header_words(headers: Headers) -> TomlTable:
    """The keys about header fields that are no rules."""
    return _given(
        security_headers=headers.security_headers,
        hsts=None if headers.hsts is None else format_hsts(headers.hsts),
        request_id=headers.request_id,
        trace=headers.trace,
    )


def rules_table(rules: HeaderRules) -> TomlTable:
    """request_headers or response_headers; what is not there changes nothing, and is left out."""
    table: TomlTable = {
        "set": dict(rules.set),
        "add": _several(rules.add),
        "remove": list(rules.remove),
        "keep": list(rules.keep),
        "replace": {name: {"from": old, "to": new} for name, old, new in rules.replace},
    }
    return {key: value for key, value in table.items() if value}


def _several(pairs: tuple[tuple[str, str], ...]) -> TomlTable:
    """A name's values as a list when there are several."""
    table: dict[str, list[str]] = {}
    for name, value in pairs:
        table.setdefault(name, []).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in table.items()}


def _rules(headers: Headers) -> TomlTable:
    tables = {"request_headers": rules_table(headers.request), "response_headers": rules_table(headers.response)}
    return {key: table for key, table in tables.items() if table}


def listen_filters_table(listen: Listen) -> TomlTable:
    """Whom a listener lets in, and how often."""
    limit = listen.per_client
    return addresses_table(listen.addresses) | _given(
        connection_rate=_rate(limit),
        connection_burst=limit.burst or None,
        connections_per_client=limit.concurrency or None,
    )


def addresses_table(addresses: AddressList) -> TomlTable:
    """allow, deny, allow_file, deny_file."""
    return _given(
        allow=[format_network(network) for network in addresses.allow] or None,
        deny=[format_network(network) for network in addresses.deny] or None,
        allow_file=_file(addresses.allow_file),
        deny_file=_file(addresses.deny_file),
    )


def _rate(limit: ClientLimit) -> str | None:
    return None if limit.rate is None else str(limit.rate)


def client_limit_table(limit: ClientLimit) -> TomlTable:
    """rate, burst, concurrency."""
    return _given(rate=_rate(limit), burst=limit.burst or None, concurrency=limit.concurrency or None)


def route_filters_table(filters: RouteFilters) -> TomlTable:
    """What a route refuses, but for its rules."""
    return {
        **addresses_table(filters.addresses),
        **client_limit_table(filters.limit),
        **_given(
            methods=list(filters.methods) or None,
            max_body=None if filters.max_body is None else format_size(filters.max_body),
            client_limits=list(filters.client_limits) or None,
        ),
    }


def refuse_table(refuse: Refuse) -> TomlTable:
    """[[route.refuse]]"""
    return _given(
        name=refuse.name,
        methods=list(refuse.methods) or None,
        path=refuse.path,
        header=refuse.header,
        value=refuse.value,
        without=refuse.without,
    )


def _route(route: Route) -> TomlTable:
    filters = route.filters
    rules = {"refuse": [refuse_table(refuse) for refuse in filters.refuse]} if filters.refuse else {}
    tables = rules | _rules(route.headers) | _given(timeouts=near_timeouts_table(route.timeouts) or None)
    return _given(host=route.host, path=route.path) | route_table(route) | route_filters_table(filters) | tables


def route_table(route: Route) -> TomlTable:
    """[[route]] without what it matches."""
    return {
        "pool": route.pool,
        "encoded_slash": route.encoded_slash,
        "merge_slashes": route.merge_slashes,
        "raw_path": route.raw_path,
        "encoded_backslash": route.encoded_backslash,
        "underscores": route.underscores,
        "client_close": route.client_close,
        **header_words(route.headers),
    }


def _pool(pool: Pool) -> TomlTable:
    return _given(
        **pool_table(pool),
        backends=[backend_table(backend) for backend in pool.backends],
        tls=None if pool.tls is None else pool_tls_table(pool.tls),
        health=health_table(pool.health),
        outlier=outlier_table(pool.outlier),
        connections=connections_table(pool.connections),
        sticky=None if pool.sticky is None else sticky_table(pool.sticky),
        timeouts=near_timeouts_table(pool.timeouts) or None,
        **_rules(pool.headers),
    )


def pool_table(pool: Pool) -> TomlTable:
    """The single keys of a pool."""
    return _given(
        balance=pool.balance,
        hash=str(pool.hash) if pool.balance == "source_hash" else None,
        queue=pool.queue,
        queue_timeout=format_duration(pool.queue_timeout),
        fail_open=pool.fail_open,
        slow_start=format_duration(pool.slow_start),
        idempotency_key=pool.idempotency_key,
        **header_words(pool.headers),
        retries=pool.retries,
        retry_budget=pool.retry_budget,
        retry_on=list(pool.retry_on),
        tolerate=list(pool.tolerate),
        buffer_requests=format_size(pool.buffer_requests),
        buffer_responses=format_size(pool.buffer_responses),
        # Where nothing is buffered the file means nothing, and the reader says so.
        buffer_file=format_size(pool.buffer_file) if pool.buffer_requests or pool.buffer_responses else None,
    )


def outlier_table(outlier: Outlier) -> TomlTable:
    """[pool.NAME.outlier]"""
    times = ("window", "ejection", "longest")
    return {key: format_duration(value) if key in times else value for key, value in asdict(outlier).items()}


def connections_table(connections: Connections) -> TomlTable:
    """[pool.NAME.connections]"""
    times = ("idle_timeout", "max_age")
    return {key: format_duration(value) if key in times else value for key, value in asdict(connections).items()}


def sticky_table(sticky: Sticky) -> TomlTable:
    """A pool's sticky."""
    return {"cookie": sticky.cookie, "same_site": sticky.same_site, "max_age": format_duration(sticky.max_age)}


def backend_table(backend: Backend) -> TomlTable:
    """The long form of one of a pool's backends."""
    address, weight, limit = str(backend.address), backend.weight, backend.max_connections
    return {"address": address, "weight": weight, "max_connections": limit, "tier": backend.tier}


def pool_tls_table(tls: PoolTls) -> TomlTable:
    """A pool's tls."""
    return _given(
        ca=_file(tls.ca),
        server_name=tls.server_name,
        cert=_file(tls.cert),
        key=_file(tls.key),
        key_mode=None if tls.key is None else tls.key_mode,
        verify=tls.verify,
        min_version=tls.min_version,
        ciphers=tls.ciphers,
    )


def health_table(health: Health) -> TomlTable:
    """[pool.NAME.health]"""
    table: TomlTable = {
        "type": health.type,
        "interval": format_duration(health.interval),
        "timeout": format_duration(health.timeout),
        "rise": health.rise,
        "fall": health.fall,
        "fast_interval": format_duration(health.fast_interval),
        "down_interval": format_duration(health.down_interval),
    }
    if health.type == "http":
        low, high = health.expect
        table |= _given(method=health.method, path=health.path, host=health.host, expect=f"{low}-{high}", body=health.body)
        table |= _given(headers=dict(health.headers) or None)
    return table | _given(port=health.port or None)
