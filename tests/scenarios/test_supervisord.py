"""Under supervisord, the real one, with the program section of conf/: start, reload by signal, stop, crash."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest
import toml

from tests.conftest import Stage
from tests.support.command import Command
from tests.support.load import Load, faults_in
from tests.support.process import ROOT, session_members
from tests.support.waiting import PATIENCE, eventually
from tests.support.wire import Client

SUPERVISORD = """
[unix_http_server]
file = {socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{socket}
[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {directory}/supervisord.pid
childlogdir = {directory}
[include]
files = {program}
"""


class Supervised:
    """supervisord with lbproxy as conf/supervisord-lbproxy.conf has it, only in other places. As a context: running inside."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self.directory = directory
        self._sockets = Path(tempfile.mkdtemp(prefix="sv"))  # tmp_path may be longer than a Unix socket's name may be
        self.port = int(config["listen"][0]["address"].rpartition(":")[2])
        (directory / "lbproxy.toml").write_text(toml.dumps(config))
        program = (ROOT / "conf" / "supervisord-lbproxy.conf").read_text()
        for place, ours in (
            ("/usr/local/bin/lbproxy", f"{sys.executable} -m lbproxy"),
            ("/etc/lbproxy", str(directory)),
            ("/var/log/lbproxy", str(directory)),
        ):
            assert place in program
            program = program.replace(place, ours)
        (directory / "program.conf").write_text(program)
        self._file = directory / "supervisord.conf"
        self._file.write_text(
            SUPERVISORD.format(socket=self._sockets / "s", directory=directory, program=directory / "program.conf")
        )
        self._daemon: Command | None = None

    @property
    def daemon(self) -> Command:
        assert self._daemon is not None, "not started"
        return self._daemon

    def __enter__(self) -> Self:
        self._daemon = Command([sys.executable, "-m", "supervisor.supervisord", "-c", str(self._file)])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note("\n".join([*self.daemon.lines.all(), (self.directory / "events.log").read_text()]))
        self.daemon.__exit__(kind, error, trace)
        shutil.rmtree(self._sockets)

    def ctl(self, *words: str) -> subprocess.Popen[str]:
        """supervisorctl, started."""
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self._file), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)

    def told(self, *words: str) -> str:
        """What supervisorctl says."""
        return self.ctl(*words).communicate(timeout=PATIENCE)[0].strip()

    def wait_state(self, state: str) -> None:
        eventually(lambda: state in self.told("status", "lbproxy"), f"lbproxy is {state}")

    def events(self, name: str) -> list[dict[str, Any]]:
        """lbproxy's events of that name, of all its lives."""
        file = self.directory / "events.log"
        decoded = [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")] if file.exists() else []
        return [event for event in decoded if event["event"] == name]

    def wait_events(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        return eventually(lambda: found if len(found := self.events(name)) >= count else [], f"{count} events {name}")

    def family(self, title: str) -> set[int]:
        """The living processes whose title has this in it."""
        found = set()
        for process in session_members(self.daemon.pid):
            try:
                if any(title in word for word in process.cmdline()):
                    found.add(process.pid)
            except psutil.NoSuchProcess:
                continue
        return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where everything of one supervisord is."""
    folder = tmp_path / "supervised"
    folder.mkdir()
    return folder


def test_stop_lets_a_running_request_finish(stage: Stage, directory: Path) -> None:
    """supervisorctl stop: what runs is answered, exit code 0, state STOPPED, nothing left; and start serves again."""
    app = stage.app()
    with Supervised(directory, stage.config(app.address, workers=2)) as supervised:
        supervised.wait_events("ready")
        with Client(supervised.port, ca=stage.authority.file) as client:
            client.send_head("GET", "/hold")
            eventually(lambda: app.held() == 1, "a held request")
            stopping = supervised.ctl("stop", "lbproxy")
            supervised.wait_events("draining")
            app.release()
            response = client.response()
            assert (response.status, response.body) == (200, b"released\n")
        assert stopping.communicate(timeout=PATIENCE)[0] == "lbproxy: stopped\n"
        supervised.daemon.wait_line(r"stopped: lbproxy \(exit status 0\)")
        supervised.wait_state("STOPPED")
        assert not supervised.family("lbproxy:")
        assert supervised.told("start", "lbproxy") == "lbproxy: started"
        supervised.wait_events("ready", count=2)  # the other only says that it still lives
        with Client(supervised.port, ca=stage.authority.file) as client:
            assert client.request("GET", "/echo").status == 200


def test_a_killed_master_is_replaced_while_its_workers_finish(stage: Stage, directory: Path) -> None:
    """kill -9 of the master: the next one gets the port although the old workers still serve, and their requests end well."""
    app = stage.app()
    with Supervised(directory, stage.config(app.address, workers=2)) as supervised:
        supervised.wait_events("ready")
        supervised.wait_state("RUNNING")
        orphans = supervised.family("lbproxy: worker")
        assert len(orphans) == 2
        with Client(supervised.port, ca=stage.authority.file) as held:
            held.send_head("GET", "/hold")
            eventually(lambda: app.held() == 1, "a held request")
            master = int(supervised.told("pid", "lbproxy"))
            os.kill(master, signal.SIGKILL)
            supervised.wait_events("ready", count=2)
            with Client(supervised.port, ca=stage.authority.file) as client:
                assert client.request("GET", "/echo").status == 200
            assert app.held() == 1, "the old worker still waits for the answer"
            app.release()
            response = held.response()
            assert (response.status, response.body) == (200, b"released\n")
        eventually(lambda: not orphans & supervised.family("lbproxy: worker"), "the old workers gone")
        supervised.wait_state("RUNNING")
        assert int(supervised.told("pid", "lbproxy")) != master
        assert len(supervised.family("lbproxy: worker")) == 2


def test_a_port_that_is_still_held_is_waited_for(stage: Stage, directory: Path) -> None:
    """Starting fails with exit code 1, "do not restart", while something holds the port: supervisord has to go on trying."""
    config = stage.config(stage.app().address, workers=1)
    supervised = Supervised(directory, config)
    with socket.create_server(("127.0.0.1", supervised.port)) as holder, supervised:
        supervised.daemon.wait_line(r"exited: lbproxy \(exit status 1; not expected\)")
        assert "the port is in use by" in (directory / "events.log").read_text()
        holder.close()
        supervised.wait_events("ready")
        with Client(supervised.port, ca=stage.authority.file) as client:
            assert client.request("GET", "/echo").status == 200


def test_hang_up_loses_nothing(stage: Stage, directory: Path) -> None:
    """supervisorctl signal HUP under load: a new generation with the new backend, the same master, and no request fails."""
    old, new = stage.app("old"), stage.app("new")
    config = stage.config(old.address, workers=2)
    with Supervised(directory, config) as supervised:
        supervised.wait_events("ready")
        master = supervised.told("pid", "lbproxy")
        with Load(supervised.port, stage.authority.file, connections=4, pause=0.01) as load:
            eventually(lambda: old.state()["requests"] > 20, "requests at the old backend")
            config["pool"]["app"]["backends"] = [new.address]
            (directory / "lbproxy.toml").write_text(toml.dumps(config))
            assert supervised.told("signal", "HUP", "lbproxy") == "lbproxy: signalled"
            [reloaded] = supervised.wait_events("reloaded")
            assert reloaded["generation"] == 2
            assert len([event for event in supervised.wait_events("worker.left", count=2) if event["generation"] == 1]) == 2
            eventually(lambda: new.state()["requests"] > 20, "requests at the new backend")
            outcomes = load.stop()
        assert outcomes["ok"]
        assert not faults_in(outcomes), load.faults
        assert supervised.told("pid", "lbproxy") == master


def test_whoever_reads_the_events_is_stopped(stage: Stage, directory: Path) -> None:
    """supervisord stops reading: requests, reloads and replacements go on as if nothing were; then what was lost is told."""
    control = directory / "control"
    config = stage.config(stage.app().address, workers=2, proxy={"control": str(control)})
    with Supervised(directory, config) as supervised:
        supervised.wait_events("ready")
        os.kill(supervised.daemon.pid, signal.SIGSTOP)
        try:
            orders = 0
            while orders < 4000:  # each an event of 200 bytes: three times what the pipe and the master's memory of it hold
                assert asked(control, {"command": "log-level", "level": "info"})["ok"]
                orders += 1
            [first, second] = supervised.family("lbproxy: worker")
            for _ in range(30):  # events of the workers
                socket.create_connection(("127.0.0.1", supervised.port)).close()
                with Client(supervised.port, ca=stage.authority.file) as client:
                    assert client.request("GET", "/echo").status == 200
            os.kill(first, signal.SIGKILL)
            eventually(lambda: len(supervised.family("lbproxy: worker") - {first, second}) == 1, "a successor")
            told = asked(control, {"command": "reload"})
            assert told["ok"], told
            assert told["generation"] == 2
            with Client(supervised.port, ca=stage.authority.file) as client:
                assert client.request("GET", "/echo").status == 200
        finally:
            os.kill(supervised.daemon.pid, signal.SIGCONT)
        dropped = supervised.wait_events("log.dropped")
        seen = len(supervised.events("control.asked"))
        assert 0 < seen < orders
        lost = sum(event["lines"] for event in dropped if event["role"] == "master")
        assert orders - seen <= lost <= orders - seen + 100, "every event was written or counted"
        supervised.ctl("signal", "HUP", "lbproxy").communicate(timeout=PATIENCE)
        supervised.wait_events("reloaded")


def asked(path: Path, request: dict[str, str]) -> dict[str, Any]:
    """A question to the master itself, its answer within ten seconds."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(path))
        sock.sendall(json.dumps(request).encode() + b"\n")
        with sock.makefile("rb") as answer:
            told: dict[str, Any] = json.loads(answer.readline())
            return told
