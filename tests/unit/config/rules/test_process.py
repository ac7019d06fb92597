"""[proxy], [log], [timeouts], [limits], [metrics]."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from lbproxy.config.model import Address, LimitsConfig, LogConfig, MetricsConfig, ProcessConfig, TimeoutsConfig
from lbproxy.config.rules.process import belongs_in
from tests.unit.config.text import LEAST, complaint, read


def test_every_key() -> None:
    """Each reaches its field."""
    config = read(
        LEAST
        + """
        [proxy]
        workers = 3
        user = "www"
        pid_file = "run/pid"
        control = "/run/control.sock"
        drain_timeout = "0"
        trusted_proxies = ["10.0.0.0/8", "::1"]
        worker_memory = "512MiB"
        worker_memory_hard = "1GiB"
        worker_requests = 1000000
        idle_grace = "0"
        resolvers = ["10.0.0.2", "[::1]:5353"]
        on_unknown_name = "start"
        [log]
        level = "debug"
        format = "json"
        access = "access.log"
        [timeouts]
        handshake = "1s"
        request_head = "2s"
        body_idle = "3s"
        keepalive = "4s"
        connect = "5s"
        response_head = "6s"
        write_stall = "7s"
        tunnel = "8s"
        request = "9s"
        [limits]
        head = "64KiB"
        request_line = "1KiB"
        fields = 50
        body = "1GiB"
        connections_per_worker = 5
        [metrics]
        address = "127.0.0.1:9180"
        """.replace("        ", "")
    )
    networks = (ip_network("10.0.0.0/8"), ip_network("::1"))
    files = (Path("/base/run/pid"), Path("/run/control.sock"))
    servers = (Address("10.0.0.2", 53), Address("::1", 5353))
    names = {"resolvers": servers, "on_unknown_name": "start"}
    assert config.proxy == ProcessConfig(3, "www", *files, 0.0, networks, 2**29, 2**30, 1_000_000, 0.0, **names)  # type: ignore[arg-type]
    assert config.log == LogConfig("debug", "json", "/base/access.log")
    assert config.timeouts == TimeoutsConfig(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
    assert config.limits == LimitsConfig(65536, 1024, 50, 2**30, 5)
    assert config.metrics == MetricsConfig(Address("127.0.0.1", 9180))


def test_defaults_are_the_models() -> None:
    """Nothing written, nothing changed."""
    config = read(LEAST)
    assert (config.proxy, config.log, config.timeouts, config.limits, config.metrics) == (
        ProcessConfig(),
        LogConfig(),
        TimeoutsConfig(),
        LimitsConfig(),
        MetricsConfig(),
    )


def test_a_request_line_is_part_of_a_head() -> None:
    """It cannot be allowed to be longer."""
    found = complaint(LEAST + '[limits]\nhead = "4KiB"')
    assert found.key == "limits.request_line"
    assert found.message == "wanted at most the 4096 bytes of limits.head, got 8192 bytes"


@pytest.mark.parametrize(("keys", "key", "message"), [
    ('worker_memory = "2GiB"\nworker_memory_hard = "1GiB"', "worker_memory_hard",
     "wanted at least the 2GiB of worker_memory, got 1GiB"),
    ('worker_memory = "8MiB"', "worker_memory", 'wanted "0" (no limit) or a size of at least 16MiB, got "8MiB"'),
    ("worker_requests = -1", "worker_requests", "wanted a whole number from 0 to 1000000000000, got the number -1"),
    ('idle_grace = "31s"', "idle_grace", "wanted at most the 30s of drain_timeout, got 31s"),
    ('idle_grace = "2s"\ndrain_timeout = "0"', "idle_grace", "wanted at most the 0 of drain_timeout, got 2s"),
])  # fmt: skip
def test_limits_that_contradict(keys: str, key: str, message: str) -> None:
    """The hard ceiling is above the soft one, a ceiling above what every worker takes, the grace within the drain."""
    found = complaint(LEAST + f"[proxy]\n{keys}\n")
    assert (found.key, found.message) == (f"proxy.{key}", message)


@pytest.mark.parametrize(("keys", "soft", "hard"), [
    ('worker_memory = "1GiB"', 2**30, 0), ('worker_memory_hard = "1GiB"', 0, 2**30),
    ('worker_memory = "1GiB"\nworker_memory_hard = "1GiB"', 2**30, 2**30), ("worker_memory = 0", 0, 0),
])  # fmt: skip
def test_one_ceiling_needs_no_other(keys: str, soft: int, hard: int) -> None:
    """Either may be off."""
    proxy = read(LEAST + f"[proxy]\n{keys}\n").proxy
    assert (proxy.worker_memory, proxy.worker_memory_hard) == (soft, hard)


@pytest.mark.parametrize(("drain", "grace"), [("0", 0.0), ("1s", 1.0), ("2s", 2.0), ("30s", 2.0)])
def test_the_grace_that_nobody_wrote_gives_way(drain: str, grace: float) -> None:
    """A short drain alone is no contradiction."""
    assert read(LEAST + f'[proxy]\ndrain_timeout = "{drain}"\n').proxy.idle_grace == grace


def test_keys_in_the_wrong_section() -> None:
    """A key that exists elsewhere is sent there."""
    assert complaint(LEAST + "[log]\nworkers = 2").hint == "it belongs in [proxy]"
    assert complaint("connections_per_worker = 2" + LEAST).hint == "it belongs in [limits]"
    assert belongs_in("address") == "it belongs in [metrics]"
    assert belongs_in("nothing") == ""


def test_the_nearest_timeouts_win() -> None:
    """Each key by itself: route, pool, [timeouts]."""
    text = LEAST.replace('pool = "app"', 'pool = "app"\ntimeouts = { connect = "1s", request = "0" }') + (
        'timeouts = { connect = "2s", body_idle = "2m", tunnel = "2h", request = "5m" }\n'
        '[timeouts]\ntunnel = "3h"\nwrite_stall = "3s"\n'
    )
    config = read(text)
    found = config.timeouts_of(config.routes[0])
    assert found == TimeoutsConfig(connect=1.0, body_idle=120.0, tunnel=7200.0, request=0.0, write_stall=3.0)
    assert config.longest_tunnel() == 10800.0
    assert config.timeouts.connect == 4.0


def test_some_timeouts_are_over_before_there_is_a_route() -> None:
    """The hint says so."""
    for where in ("pool.app", "route[0]"):
        table = '{ keepalive = "5s" }'
        text = f"{LEAST}timeouts = {table}" if where == "pool.app" else LEAST.replace("[[route]]", f"[[route]]\ntimeouts = {table}")
        found = complaint(text)
        assert found.key == f"{where}.timeouts.keepalive"
        assert "[timeouts]" in found.hint
    assert complaint(f'{LEAST}timeouts = {{ response_head = "0" }}').key == "pool.app.timeouts.response_head"
