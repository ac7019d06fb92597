"""Configurations out of a small vocabulary: two of them have much in common, as before and after an edit."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from hypothesis import strategies as st

from lbproxy.config import model
from lbproxy.config.model import Address, Config

CERTIFICATES = [model.CertificateConfig(Path(f"/{name}.crt"), Path(f"/{name}.key")) for name in "ab"]
LISTEN_TLS = [
    model.ListenTlsConfig(),
    model.ListenTlsConfig("modern"),
    model.ListenTlsConfig("modern", Path("/ca.pem"), "required"),
]
POOL_TLS = [
    None,
    model.PoolTlsConfig(),
    model.PoolTlsConfig(verify=False),
    model.PoolTlsConfig(Path("/ca.pem"), "api", Path("/a.crt"), Path("/a.key")),
    model.PoolTlsConfig(None, "api", Path("/b.crt"), Path("/a.key")),
    model.PoolTlsConfig(None, "api", Path("/b.crt"), Path("/a.key"), key_mode="any", min_version="1.1", ciphers="DEFAULT"),
]
HEALTH = [
    model.HealthConfig(),
    model.HealthConfig("off", 5.0),
    model.HealthConfig("http"),
    model.HealthConfig("http", 5.0, 1.0, 1, 1, "HEAD", "/up", "api", (200, 200)),
]
ROUTES = [
    model.RouteConfig("p", host, path)
    for host, path in [("a", "/x"), ("a", "/y"), ("a", "/z"), ("b", "/"), ("*.b", "/"), (None, "/")]
]
NETWORKS = [ip_network("10.0.0.0/8"), ip_network("::1")]
PROCESSES = [
    model.ProcessConfig(),
    model.ProcessConfig(user="www", walls=False),
    model.ProcessConfig(workers=2, pid_file=Path("/a.pid"), control=Path("/c.sock")),
    model.ProcessConfig(
        workers=2, drain_timeout=1.5, worker_memory=2**29, worker_memory_hard=2**30, worker_requests=5, idle_grace=0.5
    ),
    model.ProcessConfig(resolvers=(model.Address("10.0.0.2", 53), model.Address("::1", 5353)), on_unknown_name="start"),
]

HEADERS = [
    model.HeadersConfig(),
    model.HeadersConfig(model.HeaderRulesConfig(set=(("X-Team", "blue"),), remove=("X-Debug",)), security_headers="basic"),
    model.HeadersConfig(
        model.HeaderRulesConfig(set=(("X-Team", "red"),)), model.HeaderRulesConfig(add=(("Link", "<a>"), ("Link", "<b>"))), "off"
    ),
    model.HeadersConfig(
        response=model.HeaderRulesConfig(keep=("Server",)), hsts=model.Hsts(60, True), request_id="make", trace="pass"
    ),
]


@st.composite
def _listen(draw: st.DrawFn, address: Address) -> model.ListenConfig:
    certificates = draw(st.lists(st.sampled_from(CERTIFICATES), max_size=2, unique=True))
    if not certificates:
        return model.ListenConfig(address, redirect_to_https=draw(st.booleans()))
    return model.ListenConfig(address, tuple(certificates), draw(st.sampled_from(LISTEN_TLS)))


@st.composite
def _pool(draw: st.DrawFn, name: str) -> model.PoolConfig:
    ports = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True))
    backends = tuple(model.BackendConfig(Address("::1" if port == 1 else "host", port), draw(st.integers(0, 1))) for port in ports)
    tls, health, headers = draw(st.sampled_from(POOL_TLS)), draw(st.sampled_from(HEALTH)), draw(st.sampled_from(HEADERS))
    return model.PoolConfig(name, backends, tls=tls, health=health, headers=headers)


@st.composite
def alike(draw: st.DrawFn) -> Config:
    """One of them; lines are 0."""
    names = draw(st.lists(st.sampled_from("pqr"), min_size=1, unique=True))
    routes = draw(st.lists(st.sampled_from(ROUTES), min_size=1, unique=True))
    ports = draw(st.lists(st.integers(1, 3), min_size=1, unique=True))
    trusted = draw(st.lists(st.sampled_from(NETWORKS), max_size=3))
    return Config(
        "",
        tuple(draw(_listen(Address("::", port))) for port in ports),
        tuple(
            model.RouteConfig(draw(st.sampled_from(names)), route.host, route.path, headers=draw(st.sampled_from(HEADERS)))
            for route in routes
        ),
        tuple(draw(_pool(name)) for name in names),
        replace(draw(st.sampled_from(PROCESSES)), trusted_proxies=tuple(trusted)),
        draw(st.sampled_from([model.LogConfig(), model.LogConfig("debug", "json", "/a.log")])),
        draw(st.sampled_from([model.TimeoutsConfig(), model.TimeoutsConfig(keepalive=0.25, tunnel=90.0)])),
        draw(st.sampled_from([model.LimitsConfig(), model.LimitsConfig(body=2**20, fields=50)])),
        draw(
            st.sampled_from(
                [
                    model.MetricsConfig(),
                    model.MetricsConfig(Address("::", 9)),
                    model.MetricsConfig(Address("::", 9), ("a",), 9, 2.0),
                ]
            )
        ),
    )
