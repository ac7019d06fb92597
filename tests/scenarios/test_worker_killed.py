"""A worker that is killed takes only its own connections with it, and is back in no time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.conftest import Stage
from tests.support.load import Load, faults_in
from tests.support.shared import LedgerView
from tests.support.waiting import eventually


def test_others_are_unharmed(stage: Stage) -> None:
    """kill -9 under load: only requests on the dead worker's own connections fail; everybody else is served on."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    victim = proxy.wait_workers(2)[0]
    with Load(proxy.port(), stage.authority.file, connections=24) as load:
        proxy.wait_access(count=500, status=200)
        # No connection is opened or closed in the meantime: every one asks on over keep-alive.
        doomed = {
            one.raddr.port
            for one in psutil.Process(victim).net_connections("tcp")
            if one.laddr.port == proxy.port() and one.raddr and one.status == psutil.CONN_ESTABLISHED
        }
        os.kill(victim, signal.SIGKILL)
        seen = len(proxy.access())
        eventually(lambda: victim not in (pids := proxy.workers()) and len(pids) == 2, "a new worker")
        proxy.wait_access(count=seen + 500, status=200)
        outcomes = load.stop()
    assert 0 < len(doomed) < 24, f"the load was meant to be on both workers, {len(doomed)} on one"
    assert outcomes["ok"] >= 1000
    assert {fault.local_port for fault in load.faults} <= doomed, load.faults
    assert sum(faults_in(outcomes).values()) <= len(doomed), outcomes


def test_it_is_replaced_at_once(stage: Stage) -> None:
    """By one, which serves."""
    proxy = stage.proxy(stage.app().address, workers=2)
    before = set(proxy.wait_workers(2))
    victim = before.pop()
    os.kill(victim, signal.SIGKILL)
    fresh = eventually(lambda: set(proxy.workers()) - before - {victim}, "a new worker")
    assert len(fresh) == 1
    client = stage.client(proxy)
    assert client.request("GET", "/echo").status == 200


def test_its_requests_are_taken_off_the_books(stage: Stage, tmp_path: Path) -> None:
    """Requests that died with a worker do not weigh on their backends for ever."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    pids = proxy.wait_workers(2)
    clients = [stage.client(proxy) for _ in range(40)]
    for client in clients:
        client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 40, "40 held requests")
    with LedgerView(proxy.pid) as view:
        assert sum(view.in_flight(1)) == 40
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: view.in_flight(1) == [0] and view.live() == 0, "the dead workers' requests written off")
        eventually(lambda: app.held() == 0, "the backend saw its connections go")
        proxy.wait_workers(2)
        assert stage.client(proxy).request("GET", "/echo").status == 200
        eventually(lambda: view.in_flight(1) == [0] and not view.verify(), "clean books")
