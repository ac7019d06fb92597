"""A child that is executed: what it is told, and that it gets nothing else."""

from __future__ import annotations

import json
import os
import pickle
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lbproxy
from lbproxy import __version__
from lbproxy.balance.ledger import Header
from lbproxy.config.model import Address, BackendConfig, Config, HealthConfig, PoolConfig, PoolTlsConfig
from lbproxy.errors import StartError
from lbproxy.ipc.handover import ChildMain
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Spawn
from lbproxy.master.processes import anew
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.prepare import prepare
from lbproxy.master.resources.shared import MasterResources
from tests.support.certificates import Authority

ORDER = Spawn(3, Role.CONTROL, -1, 190)


class Executed(Exception):
    """Instead of execve."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command, self.environment = command, environment


def unused() -> Callable[[Config, str], ChildMain]:
    raise AssertionError


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> None:
    def execve(path: str, command: list[str], environment: dict[str, str]) -> None:
        assert path == command[0]
        raise Executed(command, environment)

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(anew, "keep", lambda descriptors: None)


def with_pools(authority: Authority) -> Config:
    """Three that speak TLS and show a certificate: two of them also to check health."""
    pair = authority.issue("client.test")
    tls = PoolTlsConfig(authority.file, None, Path(pair["cert"]), Path(pair["key"]))
    kinds = {"http": HealthConfig(type="http"), "tls": HealthConfig(type="tls"), "tcp": HealthConfig(type="tcp")}
    pools = tuple(
        PoolConfig(name, (BackendConfig(Address("127.0.0.1", 9)),), health=health, tls=tls) for name, health in kinds.items()
    )
    return Config("x.toml", (), (), pools)


def told(shared: MasterResources, resources: GenerationResources, pipe: socket.socket) -> tuple[list[str], dict[str, str]]:
    with pytest.raises(Executed) as caught:
        anew.execute(anew.Program([sys.executable, "x"], unused), ORDER, shared, resources, pipe)
    return caught.value.command, caught.value.environment


@pytest.mark.usefixtures("executed")
def test_a_handover_arrives(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ledger, the same backends; of keys those that its own checks need."""
    monkeypatch.setenv("TOKEN", "secret")
    config = with_pools(authority)
    shared, resources = prepare(config)
    ours, theirs = socket.socketpair()
    command, environment = told(shared, resources, theirs)
    assert "TOKEN" not in environment
    bequest = anew.receive(int(command[-1]))
    assert bequest.order == ORDER
    assert bequest.config == config
    assert sorted(bequest.pools) == ["http", "tls"]
    handover = anew.handover(bequest, theirs)
    assert handover.backends == resources.backends
    assert sorted(handover.pool_contexts) == ["http", "tls"]
    assert (handover.child, handover.worker, handover.generation) == (190, -1, 3)
    shared.ledger.cells[Header.GENERATION] = 77
    assert handover.ledger.cells[Header.GENERATION] == 77
    ours.close()
    theirs.close()
    resources.close()


def test_what_another_version_left_is_refused() -> None:
    """A program may be replaced on disk while the old one runs."""
    memory = os.memfd_create("x")
    os.write(memory, json.dumps({"format": anew.FORMAT, "version": "0.0.1"}).encode() + b"\n" + pickle.dumps(0))
    os.lseek(memory, 0, os.SEEK_SET)
    with pytest.raises(StartError, match=rf"the master is lbproxy 0\.0\.1, on disk is {__version__}: restart it, or send"):
        anew.receive(memory)


def test_a_program_is_found_where_we_are() -> None:
    command = anew.program("lbproxy.cli.control", unused).command
    assert command[:3] == [sys.executable, "-P", "-c"]
    assert str(Path(lbproxy.__file__).parent.parent) in command[3]


@pytest.mark.parametrize("left", ["", "raise ImportError('half of it')", "("])
def test_a_program_that_was_taken_away_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    """Gone from disk, or half replaced: what brings control back, and no traceback."""
    if left:
        (tmp_path / "gone.py").write_text(left)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    ended = subprocess.run([*anew.program("gone", unused).command, "0"], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    said = r"lbproxy: what is on disk cannot be loaded any more \(.*\): control comes back with SIGUSR2, or a restart\n"
    assert re.fullmatch(said, ended.stderr)


def test_only_what_is_named_stays_open() -> None:
    """Also of what somebody before us left open for whoever comes."""
    pid = os.fork()
    if pid == 0:
        try:
            kept, dropped = os.dup(0), os.dup(0)
            os.set_inheritable(dropped, True)
            anew.keep({kept})
            open_now = {int(name) for name in os.listdir("/proc/self/fd")}
            good = kept in open_now and dropped not in open_now and os.get_inheritable(kept) and {0, 1, 2} <= open_now
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
