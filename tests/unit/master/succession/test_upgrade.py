"""What one program of the master leaves to the next; the execve itself is tried in scenarios/test_upgrade.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.balance.ledger import SIZE, Header, Ledger, Scalar, scalar_at
from lbproxy.config.model import Address, BackendConfig, Config, ListenConfig, PoolConfig, ProcessConfig, RouteConfig
from lbproxy.config.model import LogConfig as LogSettings
from lbproxy.errors import StartError
from lbproxy.ipc.messages import Heartbeat, Ready
from lbproxy.ipc.pipe import ChildPipe, MasterPipe, socket_pair
from lbproxy.master.fleet.child import Phase, Role
from lbproxy.master.fleet.events import Prepared, Said, Spawn, Spawned, TellDrain, Terminate
from lbproxy.master.fleet.fleet import Fleet
from lbproxy.master.fleet.generation import GenerationStage
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.prepare import prepare
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.succession import upgrade
from tests.support.ports import free_port

NOBODY = 2**22 - 7
"""A pid that is nobody's here; nothing is ever sent to it."""


def config(folder: Path) -> Config:
    return Config(
        "test.toml",
        (ListenConfig(Address("127.0.0.1", free_port())),),
        (RouteConfig("web"),),
        (PoolConfig("web", (BackendConfig(Address("127.0.0.1", 9)),)),),
        ProcessConfig(workers=1, pid_file=folder / "pid"),
        LogSettings(access="off"),
    )


class Before:
    """A master's program with one worker and control, Ready, that is about to execute another."""

    def __init__(self, folder: Path) -> None:
        self.config = config(folder)
        self.shared, resources = prepare(self.config)
        self.resources = {1: resources}
        self.fleet = Fleet()
        self.running: list[Running] = []
        self.ends: list[ChildPipe] = []
        self.noted: list[signal.Signals] = []
        self._carry_out(self.fleet.handle(Prepared(1, resources.terms), 100.0))
        for running in self.running:
            self._carry_out(self.fleet.handle(Said(running.row, Ready(running.pid)), 100.5))

    def _carry_out(self, actions: list[Any]) -> None:
        for action in actions:
            if isinstance(action, Spawn):
                ours, theirs = socket_pair()
                self.ends.append(ChildPipe(theirs))
                self.running.append(Running(action.row, action.generation, action.role, NOBODY, MasterPipe(ours)))
                self._carry_out(self.fleet.handle(Spawned(action.row, NOBODY), 100.0))

    def execute(self, program: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """As far as the execve, which is refused here; the environment that the next program would have had."""
        seen: dict[str, Any] = {}

        def refuse(path: str, argv: list[str], environment: dict[str, str]) -> None:
            legacy = int(environment[upgrade.VARIABLE])
            seen.update(path=path, argv=argv, environment=environment, legacy=os.pread(legacy, 1 << 20, 0))
            seen["inheritable"] = [one.pipe.fileno() for one in self.running if os.get_inheritable(one.pipe.fileno())]
            seen["blocked"] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            seen["pending"] = signal.sigpending()
            raise OSError(2, "No such file or directory")

        monkeypatch.setattr(os, "execve", refuse)
        commands = upgrade.Commands([program, "check"], [program, "start"])
        kept = {"NOTIFY_SOCKET": "@x"}
        with pytest.raises(OSError, match="No such file"):
            upgrade.execute(commands, self.shared, self.resources, self.fleet, self.running, kept, lambda: self.noted, 101.0)
        return seen

    def close(self) -> None:
        for pipe in (*self.ends, *(running.pipe for running in self.running)):
            pipe.close()
        for resources in self.resources.values():
            resources.close()
        self.shared.close()


@pytest.fixture
def before(tmp_path: Path) -> Iterator[Before]:
    made = Before(tmp_path)
    yield made
    made.close()


def duplicated(told: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The legacy with copies of its descriptors, as an execve would have left them; and the descriptor that holds it."""
    copies = {fd: os.dup(fd) for _, _, fd in told["sockets"]}
    told["sockets"] = [[host, port, copies[fd]] for host, port, fd in told["sockets"]]
    for generation in told["generations"]:
        generation["listeners"] = [[host, port, copies[fd]] for host, port, fd in generation["listeners"]]
    told["running"] = [[*facts, os.dup(fd)] for *facts, fd in told["running"]]
    told["ledger"] = os.dup(told["ledger"])
    told["pid_file"] = [told["pid_file"][0], os.dup(told["pid_file"][1])]
    return told, legacy(json.dumps(told))


def legacy(text: str) -> int:
    """A descriptor as the program before leaves it."""
    memory = os.memfd_create(upgrade.MEMORY)
    os.write(memory, text.encode())
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def test_a_program_that_cannot_be_executed_changes_nothing(before: Before, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = before.execute("/no/such/program", monkeypatch)
    assert seen["argv"] == ["/no/such/program", "start"]
    assert seen["environment"]["NOTIFY_SOCKET"] == "@x"
    assert len(seen["inheritable"]) == 2
    assert {signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD} <= seen["blocked"]
    kept = [sock.fileno() for sock in before.shared.sockets.values()] + [running.pipe.fileno() for running in before.running]
    assert not [fd for fd in kept if os.get_inheritable(fd)]
    assert not {signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_next_program_finds_everything(before: Before, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets, ledger, slots, pid file, generations, children and their pipes."""
    worker = before.running[0]
    before.shared.ledger.cells[scalar_at(worker.row, Scalar.ACCEPTED)] = 77
    before.shared.name_state.addresses["app.test"] = ("10.0.0.1", "fd00::1")
    told, memory = duplicated(json.loads(before.execute(sys.executable, monkeypatch)["legacy"]))
    legacy = upgrade.take_over(before.config, 200.0, {upgrade.VARIABLE: str(memory)})
    assert legacy is not None
    try:
        _same(before, legacy.shared, legacy.resources)
        fleet = legacy.fleet
        assert fleet.serving is not None
        assert (fleet.last, fleet.serving.number, fleet.serving.stage) == (1, 1, GenerationStage.SERVING)
        assert {(child.row, child.role, child.phase, child.pid) for child in fleet.living()} == {
            (running.row, running.role, Phase.SERVING, NOBODY) for running in before.running
        }
        before.ends[0].send(Heartbeat(1, 2, 3, 4))
        heard = next(running for running in legacy.running if running.role is Role.WORKER)
        assert heard.pipe.receive() == [Heartbeat(1, 2, 3, 4)]
        assert [order.row for order in fleet.handle(Terminate("SIGTERM"), 201.0) if isinstance(order, TellDrain)] == [worker.row]
    finally:
        for running in legacy.running:
            running.pipe.close()
        legacy.shared.keep_sockets(())
        legacy.shared.mute()
        os.close(told["pid_file"][1])


def _same(before: Before, shared: MasterResources, resources: dict[int, GenerationResources]) -> None:
    worker = before.running[0]
    assert shared.ledger.cells[scalar_at(worker.row, Scalar.ACCEPTED)] == 77
    assert {address: sock.getsockname()[:2] for address, sock in shared.sockets.items()} == {
        listen.address: (listen.address.host, listen.address.port) for listen in before.config.listen
    }
    assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in shared.sockets.values())
    assert shared.name_state == before.shared.name_state
    assert shared.slot_table.as_dict() == before.shared.slot_table.as_dict()
    assert resources[1].slots == before.resources[1].slots
    assert resources[1].listeners[0].socket is shared.sockets[before.config.listen[0].address]
    assert shared.pid_file is not None
    assert shared.pid_file.path == before.config.proxy.pid_file


def test_a_ledger_of_another_layout_is_left_to_those_who_count_in_it(before: Before, monkeypatch: pytest.MonkeyPatch) -> None:
    told, memory = duplicated(json.loads(before.execute(sys.executable, monkeypatch)["legacy"]))
    before.shared.ledger.cells[Header.MAGIC] += 1
    legacy = upgrade.take_over(before.config, 200.0, {upgrade.VARIABLE: str(memory)})
    assert legacy is not None
    assert isinstance(legacy.shared.ledger, Ledger)
    assert len(legacy.shared.ledger.cells) * 8 == SIZE
    before.shared.ledger.cells[scalar_at(0, Scalar.ACCEPTED)] = 5
    assert legacy.shared.ledger.cells[scalar_at(0, Scalar.ACCEPTED)] == 0
    for running in legacy.running:
        running.pipe.close()
    legacy.shared.keep_sockets(())
    legacy.shared.mute()
    os.close(told["pid_file"][1])


@pytest.mark.parametrize("environment", [{}, *({upgrade.VARIABLE: name} for name in ("", "x", "-1", "0", "1", "999", "3" * 40))])
def test_who_was_left_nothing_starts_afresh(environment: dict[str, str], tmp_path: Path) -> None:
    assert upgrade.take_over(config(tmp_path), 0.0, environment) is None
    assert upgrade.VARIABLE not in environment


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1, "pid": 1}', '{"format": 1, "pid": "?"}'])
def test_a_legacy_that_is_not_for_this_process_means_nothing(text: str, tmp_path: Path) -> None:
    """Anybody may set a variable of the environment before it starts lbproxy."""
    assert upgrade.take_over(config(tmp_path), 0.0, {upgrade.VARIABLE: str(legacy(text))}) is None


def test_signals_that_came_while_the_new_code_was_tried_wait_for_it(before: Before, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or for the old one, when the new one cannot be executed."""
    came: list[int] = []
    disposition = signal.signal(signal.SIGHUP, lambda number, _: came.append(number))
    try:
        before.noted = [signal.SIGHUP]
        assert before.execute("/no/such/program", monkeypatch)["pending"] == {signal.SIGHUP}
        assert came == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, disposition)


def test_a_legacy_of_the_future_is_refused(tmp_path: Path) -> None:
    memory = legacy(json.dumps({"format": 99, "pid": os.getpid()}))
    with pytest.raises(StartError, match="format 99, wanted 1: restart lbproxy"):
        upgrade.take_over(config(tmp_path), 0.0, {upgrade.VARIABLE: str(memory)})


def test_what_is_in_the_way_of_new_code() -> None:
    """A reload, a stop, messages that are not read yet."""
    states: list[dict[str, Any]] = [{"stop": None, "busy": False}, {"stop": None, "busy": True}, {"stop": 1, "busy": False}]
    idle, busy, ending = (cast(Fleet, SimpleNamespace(**state)) for state in states)
    child = cast(Running, SimpleNamespace(pipe=SimpleNamespace(queued=0, pending=True)))
    assert upgrade.hindrance(busy, []) == upgrade.hindrance(ending, []) == "a reload or a stop is under way"
    assert "on their way" in upgrade.hindrance(idle, [child])
    assert upgrade.hindrance(idle, []) == ""
