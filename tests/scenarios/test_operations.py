"""What an operator does to a running lbproxy: daemon and pid file, log rotation, signals it does not act on, metrics, probes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import toml

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.support.waiting import eventually


def _ask(port: int, target: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_daemon(stage: Stage, tmp_path: Path) -> None:
    """start --daemon returns 0 when it serves; the pid file tells whom to stop, and goes with it."""
    pid_file = tmp_path / "lbproxy.pid"
    config = stage.config(stage.app().address, proxy={"pid_file": str(pid_file)}, log={"access": "off"})
    file = tmp_path / "lbproxy.toml"
    file.write_text(toml.dumps(config))
    started = run_cli("start", "--daemon", "-c", str(file))
    assert started.returncode == 0, started.stderr
    master = psutil.Process(int(pid_file.read_text()))
    family = [master, *master.children(recursive=True)]
    try:
        view = LbProxy(tmp_path, config)
        assert stage.client(view).request("GET", "/echo").status == 200
        again = run_cli("start", "-c", str(file))
        assert again.returncode == 1, "a second one is refused"
        assert str(master.pid) in again.stderr or "in use" in again.stderr
        master.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, 15)
        assert not alive
        assert not pid_file.exists()
    finally:
        for process in family:
            if process.is_running():
                process.kill()


def test_log_rotation(stage: Stage, tmp_path: Path) -> None:
    """mv and SIGUSR1: lines go on in the new file, none is lost."""
    log = tmp_path / "access.log"
    proxy = stage.proxy(stage.app().address, workers=2, log={"access": str(log)})
    clients = [stage.client(proxy) for _ in range(8)]
    for client in clients:
        assert client.request("GET", "/echo?before").status == 200
    old = log.rename(tmp_path / "access.log.1")
    proxy.signal(signal.SIGUSR1)
    eventually(log.exists, "a new access log")
    eventually(
        lambda: [client.request("GET", "/echo?after").status for client in clients] and log.read_text().count("\n") >= 16,
        "lines in the new file",
    )
    assert proxy.stop() == 0
    lines = [json.loads(line) for line in (old.read_text() + log.read_text()).splitlines()]
    assert sum("before" in line["path"] for line in lines) == 8
    assert log.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGCHLD, signal.SIGWINCH, signal.SIGPIPE])
def test_harmless_signals(stage: Stage, number: signal.Signals) -> None:
    """Signals that ask for nothing it can do leave it serving."""
    proxy = stage.proxy(stage.app().address)
    before = proxy.wait_workers(1)
    for _ in range(3):
        proxy.signal(number)
    client = stage.client(proxy)
    for _ in range(10):
        assert client.request("GET", "/echo").status == 200
    assert proxy.workers() == before


def test_stopped_and_continued(stage: Stage) -> None:
    """SIGSTOP of the master for a while (a terminal, a debugger): workers serve on, and nobody is replaced afterwards."""
    proxy = stage.proxy(stage.app().address, workers=2)
    before = sorted(proxy.wait_workers(2))
    proxy.signal(signal.SIGSTOP)
    try:
        client = stage.client(proxy)
        assert client.request("GET", "/slow?s=1").status == 200
    finally:
        proxy.signal(signal.SIGCONT)
    assert stage.client(proxy).request("GET", "/echo").status == 200
    assert sorted(proxy.workers()) == before


def test_metrics(stage: Stage) -> None:
    """/metrics, /livez, /readyz and /status.json tell what happens."""
    port = free_port()
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2, metrics={"address": f"127.0.0.1:{port}"})
    client = stage.client(proxy)
    for _ in range(7):
        assert client.request("GET", "/status/404").status == 404
    client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "a held request")
    assert _ask(port, "/livez")[0] == 200
    assert _ask(port, "/readyz")[0] == 200

    def value(name: str) -> float:
        text = _ask(port, "/metrics")[1]
        return sum(float(match[1]) for match in re.finditer(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    eventually(lambda: value("lbproxy_requests_total") == 7, "seven answered requests")
    assert value("lbproxy_live_requests") == 1
    assert value("lbproxy_connections") >= 1
    assert value("lbproxy_accepting_workers") == 2
    status: dict[str, Any] = json.loads(_ask(port, "/status.json")[1])
    assert app.address in json.dumps(status)
    app.release()
    assert client.response().status == 200
    eventually(lambda: value("lbproxy_live_requests") == 0, "no live requests")
    assert "<html" in _ask(port, "/")[1].lower()
    assert _ask(port, "/nothing")[0] == 404


def test_silent_worker_is_replaced(stage: Stage) -> None:
    """A worker whose loop hangs (here: SIGSTOP) is noticed by its silence and replaced; the others serve meanwhile."""
    proxy = stage.proxy(stage.app().address, workers=2)
    victim, other = proxy.wait_workers(2)
    os.kill(victim, signal.SIGSTOP)
    eventually(lambda: len(pids := proxy.workers()) == 2 and victim not in pids, "a replacement", within=60)
    assert other in proxy.workers()
    client = stage.client(proxy)
    assert client.request("GET", "/echo").status == 200
