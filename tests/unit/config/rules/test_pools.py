"""[pool.NAME]: backends, re-encryption, health."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.model import Address, BackendConfig, ConnectionsConfig, HealthConfig, PoolConfig, PoolTlsConfig
from tests.unit.config.text import LEAST, complaint, read, refused


def test_everything() -> None:
    """Each key reaches its field."""
    text = """\
[[listen]]
address = ":1"
[[route]]
pool = "app"
[pool.app]
balance = "least_conn"
backends = [
  "10.0.0.1:80",
  { address = "app.internal:81", weight = 0, max_connections = 7 },
]
[pool.app.tls]
ca = "ca.pem"
server_name = "api"
cert = "c.crt"
key = "c.key"
verify = true
key_mode = "any"
min_version = "1.1"
ciphers = "DEFAULT"
[pool.app.health]
type = "http"
interval = "1s"
timeout = "500ms"
rise = 4
fall = 5
method = "HEAD"
path = "/healthz?x=1"
host = "app:81"
expect = "204"
"""
    backends = (BackendConfig(Address("10.0.0.1", 80), line=8), BackendConfig(Address("app.internal", 81), 0, 7, 9))
    tls = PoolTlsConfig(Path("/base/ca.pem"), "api", Path("/base/c.crt"), Path("/base/c.key"), True, "any", "1.1", "DEFAULT")
    health = HealthConfig("http", 1.0, 0.5, 4, 5, "HEAD", "/healthz?x=1", "app:81", (204, 204), 0.5, 2.5)
    assert read(text).pools == (PoolConfig("app", backends, "least_conn", tls, health, 5),)


def test_connections() -> None:
    """How they are kept; zeros where zero means something."""
    (pool,) = read(LEAST).pools
    assert pool.connections == ConnectionsConfig(128, 30.0, 3600.0, 0)
    text = '[pool.app.connections]\nidle = 0\nidle_timeout = "5s"\nmax_age = "0"\nmax_requests = 100\n'
    (pool,) = read(LEAST + text).pools
    assert pool.connections == ConnectionsConfig(0, 5.0, 0.0, 100)
    for wrong in ("idle = -1", 'idle_timeout = "0"', 'max_age = "-1s"', "max_requests = 1.5", "max = 1"):
        assert complaint(f"{LEAST}connections = {{ {wrong} }}").key == f"pool.app.connections.{wrong.partition(' ')[0]}"


def test_defaults() -> None:
    """No TLS unless the table is there, even if empty; health is a TCP check, and one by TLS where requests go by it."""
    (pool,) = read(LEAST).pools
    assert (pool.tls, pool.health, pool.backends[0].weight) == (None, HealthConfig(), 1)
    (pool,) = read(LEAST + "tls = {}").pools
    assert (pool.tls, pool.health) == (PoolTlsConfig(), HealthConfig("tls"))
    (pool,) = read(LEAST + 'tls = {}\nhealth = { type = "tcp" }').pools
    assert pool.health == HealthConfig("tcp")


@pytest.mark.parametrize(("more", "key", "message", "hint"), [
    ('balance = "round-robin"', "pool.app.balance", 'got "round-robin"', 'did you mean "round_robin"?'),
    ('tls = { cert = "c" }', "pool.app.tls.cert", '"cert" without "key"', 'add key = "..."'),
    ('tls = { key = "c" }', "pool.app.tls.key", '"key" without "cert"', 'add cert = "..."'),
    ('tls = { ca = "c", verify = false }', "pool.app.tls.verify", "verification is off", "leave one of the two out"),
    ('tls = { key_mode = "any" }', "pool.app.tls.key_mode", "no key that it could be about", 'add cert = "..." and key = "..."'),
    ('tls = { min_version = "1.3", ciphers = "A" }', "pool.app.tls.ciphers", "to TLS 1.3", "leave it out, or lower min_version"),
    ('tls = { min_version = 1.2 }', "pool.app.tls.min_version", 'wanted "1.0" or "1.1" or "1.2" or "1.3", got the number 1.2', ""),
    ("tls = true", "pool.app.tls", "got true", ""),
    ('health = { path = "/x" }', "pool.app.health.path", 'means nothing to a check of type "tcp"', 'add type = "http"'),
    ('health = { type = "off", expect = "200" }', "pool.app.health.expect", 'type "off"', 'add type = "http"'),
    ('health = { type = "htp", path = "/x" }', "pool.app.health.type", 'got "htp"', 'did you mean "http"?'),
    ('health = { interval = "0" }', "pool.app.health.interval", "at least 1ms", "no limit at all is not offered"),
    ("health = { rise = 0 }", "pool.app.health.rise", "from 1 to 1000", ""),
    ("backend = []", "pool.app.backend", "unknown key", 'did you mean "backends"?'),
])  # fmt: skip
def test_refused(more: str, key: str, message: str, hint: str) -> None:
    """One complaint each, with what to do."""
    found = complaint(LEAST + more)
    assert found.key == key
    assert message in found.message
    assert found.hint == hint


@pytest.mark.parametrize(("backends", "key", "message"), [
    ("", "pool.app", "the pool has no backends"),
    ("backends = []", "pool.app.backends", "the pool has no backends"),
    ('backends = "a:1"', "pool.app.backends", "wanted a list such as"),
    ("backends = [{}]", "pool.app.backends[0]", '"address" is missing'),
    ('backends = [{ address = "a:1", weight = 1001 }]', "pool.app.backends[0].weight", "from 0 to 1000"),
    ('backends = [{ address = "a:1", weight = -1 }]', "pool.app.backends[0].weight", "from 0 to 1000"),
    ('backends = [{ address = "a:1", wait = 1 }]', "pool.app.backends[0].wait", "unknown key"),
    ('backends = ["a:1", "b"]', "pool.app.backends[1]", "wanted an address"),
])  # fmt: skip
def test_backends_refused(backends: str, key: str, message: str) -> None:
    """By item."""
    found = complaint(LEAST.replace('backends = ["10.0.0.1:80"]', backends))
    assert found.key == key
    assert message in found.message


def test_pools_of_the_wrong_shape() -> None:
    """[[pool]], a pool that is no table, a name that cannot stand in a log."""
    front = LEAST[: LEAST.index("[pool.app]")]
    assert "a table for each pool, headed [pool.NAME], got a list" in messages(front + '[[pool]]\nname = "app"')
    assert "wanted a table headed [pool.app], got the number 3" in messages("pool.app = 3\n" + front)
    assert "wanted a pool name" in messages(LEAST + '[pool."a/b"]\nbackends = ["b:1"]')


def messages(text: str) -> str:
    """All of them."""
    return "\n".join(found.message for found in refused(text))


UNIX = '[[listen]]\naddress = ":1"\n[[route]]\npool = "app"\n[pool.app]\nbackends = ["10.0.0.1:80", "unix:/run/app.sock"]\n'


def test_unix_sockets() -> None:
    """As backends among others; also in the long form."""
    assert read(UNIX).pools[0].backends[1].address == Address("unix:/run/app.sock", 0)
    long = UNIX.replace('"unix:/run/app.sock"', '{ address = "unix:/run/app.sock", weight = 2 }')
    assert read(long).pools[0].backends[1].weight == 2


def test_a_unix_socket_has_neither_name_nor_port() -> None:
    """Whose certificate it must show has to be said; another port cannot be checked."""
    assert complaint(f"{UNIX}tls = {{}}").key == "pool.app.tls"
    assert complaint(f"{UNIX}health = {{ port = 81 }}").key == "pool.app.health.port"
    assert read(f'{UNIX}tls = {{ server_name = "app" }}').pools[0].tls
    assert read(f"{UNIX}tls = {{ verify = false }}").pools[0].tls


def test_connections_that_requests_share_name_no_client() -> None:
    """A PROXY header would be of the one who came first."""
    text = LEAST + 'proxy_protocol = "v2"\nprotocol = "h2"\n'
    assert complaint(text).hint.endswith("name a client as well")
    assert read(LEAST + 'proxy_protocol = "v1"\n').pools[0].proxy_protocol == "v1"
