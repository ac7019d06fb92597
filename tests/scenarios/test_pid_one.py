"""As process 1 of a container: the kernel gives it every orphan to reap, and no signal kills it that it does not handle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import toml

from tests.conftest import Stage
from tests.support.command import Command
from tests.support.tools import need
from tests.support.waiting import PATIENCE, eventually
from tests.support.wire import Client

NAMESPACE = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]

ORPHANS = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:  # a grandchild, whose parent goes at once
            while os.getppid() not in (0, 1):
                time.sleep(0.01)
            os.write(1, b"%d " % os.getppid())
            os._exit(3)
        os._exit(0)
    os.wait()
"""


@pytest.fixture
def unshare() -> list[str]:
    """The command that makes a container, as far as processes go."""
    command = [need("unshare"), *NAMESPACE]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no namespaces for us here: {tried.stderr.strip()}")
    return command


class Container:
    """lbproxy as process 1."""

    def __init__(self, command: Command, port: int) -> None:
        self.command, self.port = command, port

    @property
    def master(self) -> psutil.Process:
        """Process 1, as seen from outside."""
        [init] = psutil.Process(self.command.pid).children()
        return init

    def run(self, program: str) -> str:
        """A Python program inside, as `docker exec` would do it: a child of nobody inside."""
        inside = ["nsenter", "--target", str(self.master.pid), "--user", "--pid", "--mount", "--preserve-credentials"]
        done = subprocess.run([*inside, sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def container(stage: Stage, tmp_path: Path, unshare: list[str]) -> Iterator[Container]:
    """Serving; killed afterwards with everything in it, if it still runs."""
    config: dict[str, Any] = stage.config(stage.app().address, workers=2, proxy={"user": "root"}, log={"access": "off"})
    (tmp_path / "lbproxy.toml").write_text(toml.dumps(config))
    start = [sys.executable, "-m", "lbproxy", "start", "-c", str(tmp_path / "lbproxy.toml")]
    with Command([*unshare, *start]) as command:
        command.wait_line('"event": "ready"')
        yield Container(command, int(config["listen"][0]["address"].rpartition(":")[2]))


def test_it_is_process_1_and_serves(stage: Stage, container: Container) -> None:
    """The same as everywhere, its own pid in its log apart."""
    container.command.wait_line(r'"event": "started".*"pid": 1\b')
    with Client(container.port, ca=stage.authority.file) as client:
        assert client.request("GET", "/echo").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="entering a namespace of processes needs root")
def test_strangers_are_reaped(stage: Stage, container: Container) -> None:
    """Orphans of programs that were started beside it do not stay as zombies, and are not taken for its own children."""
    need("nsenter")
    looks = "somebody looks at files, who is begun when all is ready"
    eventually(lambda: any("lbproxy: files" in " ".join(one.cmdline()) for one in container.master.children()), looks)
    before = {process.pid for process in container.master.children()}
    assert container.run(ORPHANS).split() == ["1"] * 20, "their parent is process 1, which is lbproxy"
    eventually(lambda: {process.pid for process in container.master.children()} == before, "only its own children are left")
    with Client(container.port, ca=stage.authority.file) as client:
        assert client.request("GET", "/echo").status == 200
    assert not [line for line in container.command.lines.all() if "died" in line or "Traceback" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(container: Container, number: signal.Signals) -> None:
    """`docker stop` and Ctrl-C: the kernel drops signals that process 1 does not handle; these it does. Exit code 0."""
    os.kill(container.master.pid, number)
    assert container.command.wait() == 0
