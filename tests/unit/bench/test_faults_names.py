"""The name server, asked for real."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.faults import names
from bench.faults.crew import HOSTS, Crew, free_port
from bench.faults.faults import FAULTS
from bench.macro.errors import BenchError
from bench.macro.machine import Cores
from lbproxy.config.model import Address
from lbproxy.names.lookup import lookup
from tests.support.tools import need


def test_hosts() -> None:
    assert names.hosts("app.test", ["127.0.0.1", "127.0.0.3"]) == "127.0.0.1 app.test\n127.0.0.3 app.test\n"
    assert names.hosts("app.test", []) == ""


def test_command(tmp_path: Path) -> None:
    """It reads no file of this machine's, and keeps root only where it is root."""
    command = names.command("dnsmasq", 5353, tmp_path / "names", root=False)
    assert {"--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port=5353", f"--addn-hosts={tmp_path}/names"} < set(command)
    assert set(names.command("dnsmasq", 5353, tmp_path / "names", root=True)) - set(command) == {"--user=root"}


def test_the_answer_changes(tmp_path: Path) -> None:
    """When `point` returns, others get the new one."""
    server = names.NameServer(need("dnsmasq"), free_port(), tmp_path, HOSTS, Cores())
    try:
        asked = [Address("127.0.0.1", int(server.address.rpartition(":")[2]))]
        assert lookup(names.NAME, asked)[:2] == (HOSTS, names.TTL)
        server.point(HOSTS[:1])
        assert lookup(names.NAME, asked).addresses == HOSTS[:1]
    finally:
        server.stop()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BenchError, match=r"dnsmasq exited.*in use"):
        names.NameServer(need("dnsmasq"), taken.getsockname()[1], tmp_path, HOSTS, Cores())


def test_leaving_and_coming_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address goes first, then the backend; the other way round when it returns."""
    need("nginx")
    crew = Crew(tmp_path, Cores(), need("dnsmasq"))
    try:
        assert crew.zone is not None
        asked = [Address("127.0.0.1", int(crew.zone.server.rpartition(":")[2]))]
        assert crew.addresses == tuple(f"{host}:{crew.zone.port}" for host in HOSTS)
        [fault] = [fault for fault in FAULTS if fault.named]
        victim = crew.servers[fault.victim]

        def serves() -> bool:
            try:
                socket.create_connection((victim.host, victim.port), 5).close()
            except (ConnectionRefusedError, ConnectionResetError):  # reset: it was closed in this moment
                return False
            return True

        def grace(_: float) -> None:
            assert lookup(names.NAME, asked).addresses == tuple(host for host in HOSTS if host != victim.host)
            assert serves()

        monkeypatch.setattr("bench.faults.faults.time", SimpleNamespace(sleep=grace))
        fault.begin(crew)
        monkeypatch.undo()
        assert not serves()
        fault.end(crew)
        assert serves()
        assert lookup(names.NAME, asked).addresses == HOSTS
    finally:
        crew.stop()
