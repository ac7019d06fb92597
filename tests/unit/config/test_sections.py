"""[proxy], [log], [timeouts], [limits], [metrics]."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from lbproxy.config.model import Address, Limits, Log, Metrics, Process, Timeouts
from lbproxy.config.sections import belongs_in
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
    assert config.proxy == Process(3, "www", Path("/base/run/pid"), Path("/run/control.sock"), 0.0, networks)
    assert config.log == Log("debug", "json", "/base/access.log")
    assert config.timeouts == Timeouts(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    assert config.limits == Limits(65536, 1024, 50, 2**30, 5)
    assert config.metrics == Metrics(Address("127.0.0.1", 9180))


def test_defaults_are_the_models() -> None:
    """Nothing written, nothing changed."""
    config = read(LEAST)
    assert (config.proxy, config.log, config.timeouts, config.limits, config.metrics) == (
        Process(),
        Log(),
        Timeouts(),
        Limits(),
        Metrics(),
    )


def test_a_request_line_is_part_of_a_head() -> None:
    """It cannot be allowed to be longer."""
    found = complaint(LEAST + '[limits]\nhead = "4KiB"')
    assert found.key == "limits.request_line"
    assert found.message == "wanted at most the 4096 bytes of limits.head, got 8192 bytes"


def test_keys_in_the_wrong_section() -> None:
    """A key that exists elsewhere is sent there."""
    assert complaint(LEAST + "[log]\nworkers = 2").hint == "it belongs in [proxy]"
    assert complaint("connections_per_worker = 2" + LEAST).hint == "it belongs in [limits]"
    assert belongs_in("address") == "it belongs in [metrics]"
    assert belongs_in("nothing") == ""
