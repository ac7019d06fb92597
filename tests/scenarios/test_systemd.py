"""What systemd sees of lbproxy: unit files, the notify protocol over a socket of ours, sockets from the real activator."""

from __future__ import annotations

import configparser
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import toml

from lbproxy.config.model import ProcessConfig
from lbproxy.config.units import parse_duration
from tests.conftest import Stage
from tests.support.command import Command
from tests.support.howto import Page
from tests.support.ports import free_port
from tests.support.process import ROOT, run_cli_under
from tests.support.tools import need
from tests.support.waiting import PATIENCE, eventually
from tests.support.wire import Client

CONF = ROOT / "conf"
Message = dict[str, str]


class Manager:
    """systemd's end of the notify protocol."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.heard: list[Message] = []

    def wait(self, variable: str) -> Message:
        """The next message with this assignment, from now on."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self._socket.settimeout(max(0.0, deadline - time.monotonic()))
            try:
                text = self._socket.recv(65536).decode()
            except (TimeoutError, BlockingIOError):
                raise AssertionError(f"no {variable} within {PATIENCE:g} s, only {self.heard}") from None
            message = dict(line.split("=", 1) for line in text.split("\n"))
            self.heard.append(message)
            if variable in message:
                return message

    def hears_nothing(self, seconds: float) -> bool:
        """Whether it is silent for so long, after what is on its way already."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(65536)
        except BlockingIOError:
            self._socket.settimeout(seconds)
        try:
            return not self._socket.recv(65536)
        except TimeoutError:
            return True


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """In the environment of whatever is started; wants to hear from it each second."""
    name = f"lbproxy-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        yield Manager(sock)


def test_it_says_when_it_is_ready_reloads_and_stops(stage: Stage, manager: Manager) -> None:
    """Type=notify: READY when every worker serves; RELOADING, then READY around a reload; STOPPING with the time it takes."""
    proxy = stage.proxy(stage.app().address, workers=2, proxy={"drain_timeout": "7s"})
    assert manager.wait("READY")["STATUS"]
    begun = time.monotonic_ns() // 1000
    proxy.signal(signal.SIGHUP)
    reloading = manager.wait("RELOADING")
    assert reloading["RELOADING"] == "1"
    assert begun <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert manager.wait("READY")["READY"] == "1"
    assert stage.client(proxy).request("GET", "/echo").status == 200
    proxy.signal(signal.SIGTERM)
    stopping = manager.wait("STOPPING")
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) >= 7_000_000
    assert proxy.wait() == 0
    assert not [message for message in manager.heard if "STOPPING" in message][1:], "said once"


def test_ready_is_not_said_before_everything_serves(stage: Stage, manager: Manager) -> None:
    """Who waits for the unit finds it serving."""
    proxy = stage.run(stage.config(stage.app().address, workers=2), ready=False)
    manager.wait("READY")
    assert stage.client(proxy).request("GET", "/status/404").status in (404, 503), "a worker answers"
    assert len(proxy.workers()) == 2


def test_a_reload_that_is_refused_ends_too(stage: Stage, manager: Manager) -> None:
    """READY says that the reload is over; the status, that it changed nothing and why."""
    proxy = stage.proxy(stage.app().address)
    manager.wait("READY")
    proxy.file.write_text("[proxy\n")
    proxy.signal(signal.SIGHUP)
    manager.wait("RELOADING")
    assert str(proxy.file) in manager.wait("READY")["STATUS"]
    assert stage.client(proxy).request("GET", "/echo").status == 200


def test_the_watchdog_hears_from_it_as_long_as_it_turns(stage: Stage, manager: Manager) -> None:
    """And no longer: a master that was stopped says nothing."""
    proxy = stage.proxy(stage.app().address)
    for _ in range(3):
        assert manager.wait("WATCHDOG") == {"WATCHDOG": "1"}
    proxy.signal(signal.SIGSTOP)
    try:
        eventually(lambda: psutil.Process(proxy.pid).status() == psutil.STATUS_STOPPED, "it is stopped")
        assert manager.hears_nothing(1.2)
    finally:
        proxy.signal(signal.SIGCONT)
    assert manager.wait("WATCHDOG")


# ---------------------------------------------------------------- socket activation


def _activated(config: dict[str, Any], directory: Path, *addresses: str) -> Command:
    """lbproxy as systemd-socket-activate starts it: with the first connection to one of the addresses."""
    (directory / "lbproxy.toml").write_text(toml.dumps(config))
    listen = [word for address in addresses for word in ("--listen", address)]
    start = [sys.executable, "-m", "lbproxy", "start", "-c", str(directory / "lbproxy.toml")]
    environment = [f"--setenv={name}" for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ]
    return Command([need("systemd-socket-activate"), *environment, *listen, *start])


def test_the_connection_that_starts_it_is_served(stage: Stage, tmp_path: Path) -> None:
    """It waits in the activator's socket, which the listener of the same address takes over; other listeners are bound."""
    config = stage.config(stage.app().address, workers=2)
    activated, bound = config["listen"][0]["address"], f"127.0.0.1:{free_port()}"
    config["listen"].append({"address": bound})
    with _activated(config, tmp_path, activated) as command:
        command.wait_line("Listening on")
        with Client(int(activated.rpartition(":")[2]), ca=stage.authority.file) as client:
            assert client.request("GET", "/status/404").status in (404, 503)
        command.wait_line('"event": "backend.up"')
        for port, ca in ((activated, stage.authority.file), (bound, None)):
            with Client(int(port.rpartition(":")[2]), ca=ca) as client:
                assert client.request("GET", "/echo").status == 200
        assert command.stop() == 0


def test_a_socket_that_no_listener_wants_is_told_and_not_kept(stage: Stage, tmp_path: Path) -> None:
    """Clients would wait there for nobody."""
    config = stage.config(stage.app().address)
    spare = f"127.0.0.1:{free_port()}"
    with _activated(config, tmp_path, config["listen"][0]["address"], spare) as command:
        command.wait_line("Listening on .*" + spare)
        with Client(int(config["listen"][0]["address"].rpartition(":")[2]), ca=stage.authority.file) as client:
            assert client.request("GET", "/status/404").status in (404, 503)
        command.wait_line(f'"socket.unused".*{spare}')
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(spare.rpartition(":")[2])), 60)


def test_fewer_sockets_than_promised(stage: Stage, tmp_path: Path) -> None:
    """Something in between closed them: the reason is said, though what we opened ourselves has their numbers."""
    file = tmp_path / "lbproxy.toml"
    file.write_text(toml.dumps(stage.config("127.0.0.1:9")))
    under = ("sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=3 exec "$@" 3>&- 4>&- 5>&-', "sh")
    ended = run_cli_under(under, "start", "-c", str(file))
    assert ended.returncode == 1
    said = [line.partition(": wanted")[0] for line in ended.stderr.splitlines()]
    assert said == [f"lbproxy: LISTEN_FDS: descriptor {fd}" for fd in (3, 4, 5)], ended


def test_a_socket_that_takes_both_families_is_refused(stage: Stage, tmp_path: Path) -> None:
    """`ListenStream=443` alone, as many write it: one line that says what to write instead."""
    config = stage.config(stage.app().address)
    port = free_port()
    with _activated(config, tmp_path, str(port)) as command:
        command.wait_line("Listening on")
        with socket.create_connection(("127.0.0.1", port), 60):
            line = command.wait_line("^lbproxy: LISTEN_FDS.*").group()
            assert f"[::]:{port} takes IPv4 too" in line
            assert "BindIPv6Only=ipv6-only" in line
            assert command.wait() == 1


# ---------------------------------------------------------------- unit files


class Unit(configparser.RawConfigParser):
    """A unit file; of an option that is given several times, all values."""

    def __init__(self, file: Path) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#", ";"))
        self.file = file
        self.read_string(file.read_text())

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def service() -> configparser.SectionProxy:
    return Unit(CONF / "lbproxy.service")["Service"]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """systemd-analyze verify: no unknown option, no value it would ignore."""
    analyze = need("systemd-analyze")
    program = shlex.quote(sys.executable)  # must exist for verify
    for name in ("lbproxy.service", "lbproxy.socket"):
        (tmp_path / name).write_text((CONF / name).read_text().replace("/usr/local/bin/lbproxy", program))
    units = [str(tmp_path / name) for name in ("lbproxy.service", "lbproxy.socket")]
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if "lbproxy" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_systemd_takes_what_a_tap_with_an_interface_wants(tmp_path: Path) -> None:
    """As its how-to has it, beside what the unit says: what was allowed still is, and packets are."""
    analyze, unit = need("systemd-analyze"), tmp_path / "lbproxy.service"
    unit.write_text((CONF / unit.name).read_text().replace("/usr/local/bin/lbproxy", shlex.quote(sys.executable)))

    def refused() -> set[str]:
        """Families and rights, of those that are told of."""
        words = [analyze, "security", "--offline=true", "--json=short", str(unit)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        kinds = ("RestrictAddressFamilies", "CapabilityBoundingSet")
        return {each["name"] for each in json.loads(done.stdout) if each["set"] and each["name"].startswith(kinds)}

    before = refused()
    (tmp_path / "lbproxy.service.d").mkdir()
    (tmp_path / "lbproxy.service.d/override.conf").write_text(Page("tap.md").block("ini"))
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "override" in line]) == (0, []), done.stderr
    assert before == refused() | {"RestrictAddressFamilies=~AF_PACKET"}
    assert before > refused()


def test_the_service_outlasts_a_drain(service: configparser.SectionProxy) -> None:
    """SIGKILL must not come before drain_timeout; only the master is asked."""
    assert parse_duration(service["TimeoutStopSec"]) > ProcessConfig().drain_timeout
    assert service["KillMode"] == "mixed"
    assert service["Type"] == "notify"


def test_the_service_is_restarted_after_a_crash_and_not_after_a_refusal(service: configparser.SectionProxy) -> None:
    """Exit code 1 means that trying again is no use."""
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "1"


def test_the_socket_unit_hands_over_what_we_take() -> None:
    """One family a socket, and an address in each ListenStream."""
    unit = Unit(CONF / "lbproxy.socket")
    assert unit["Socket"]["BindIPv6Only"] == "ipv6-only"
    lines = [line.lstrip("#") for line in unit.file.read_text().splitlines()]
    streams = [line.partition("=")[2] for line in lines if line.startswith("ListenStream=")]
    assert streams
    assert all(":" in stream for stream in streams)


def test_supervisord_waits_longer_than_a_drain() -> None:
    """stopwaitsecs, and who is asked."""
    program = Unit(CONF / "supervisord-lbproxy.conf")["program:lbproxy"]
    assert float(program["stopwaitsecs"]) > ProcessConfig().drain_timeout
    assert (program["stopsignal"], program["stopasgroup"]) == ("TERM", "false")
