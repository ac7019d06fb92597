"""SIGTERM lets everybody finish; a second one does not. Nothing is left either way."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.conftest import Stage
from tests.support.load import Load, faults_in
from tests.support.waiting import eventually


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_running_requests_are_answered(stage: Stage, number: signal.Signals) -> None:
    """Requests under way get their whole responses, new connections are refused, exit code 0."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    clients = [stage.client(proxy) for _ in range(20)]
    for client in clients:
        client.send_head("GET", "/hold")
    download = stage.client(proxy)
    download.send_head("GET", "/drip?n=20&s=0.05")
    assert download.head().status == 200
    eventually(lambda: app.held() == 20, "20 held requests")
    proxy.signal(number)
    proxy.wait_event("draining")
    eventually(lambda: _refused(proxy.port()), "new connections are refused")
    app.release()
    for client in clients:
        response = client.response()
        assert (response.status, response.body, response.get("connection")) == (200, b"released\n", "close")
    assert download.rest().count(b"d" * 1024) == 20
    assert proxy.wait() == 0
    assert not proxy.members()


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 60).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_idle_connections_do_not_hold_it(stage: Stage) -> None:
    """Idle keep-alive connections are closed in good time."""
    proxy = stage.proxy(stage.app().address, workers=2, proxy={"drain_timeout": "10m"})
    idle = [stage.client(proxy) for _ in range(10)]
    for client in idle:
        assert client.request("GET", "/echo").status == 200
    assert proxy.stop() == 0


def test_second_is_immediate(stage: Stage) -> None:
    """A second SIGTERM does not wait for requests; the exit code tells."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2, proxy={"drain_timeout": "10m"})
    client = stage.client(proxy)
    client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "a held request")
    proxy.signal(signal.SIGTERM)
    proxy.wait_event("draining")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 2
    eventually(lambda: not proxy.members(), "every process gone")


def test_drain_timeout(stage: Stage) -> None:
    """A request that never ends is ended at drain_timeout: 503 where nothing was answered yet, and a line in the log."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=1, proxy={"drain_timeout": "500ms"})
    client = stage.client(proxy)
    client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "a held request")
    assert proxy.stop() == 0
    assert client.response().status == 503
    [line] = proxy.wait_access(status=503)
    assert line["reason"] == "drain_timeout"


def test_under_load(stage: Stage) -> None:
    """Clients that ask on over keep-alive until they are told to close: every request that was sent is answered."""
    proxy = stage.proxy(stage.app().address, workers=2)
    with Load(proxy.port(), stage.authority.file, connections=16) as load:
        proxy.wait_access(count=300, status=200)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        outcomes = load.stop()
    faults = faults_in(outcomes)
    faults.pop("refused", None)  # who comes after the end finds nobody: that is what stopping means
    faults.pop("handshake", None)  # or was in the queue of connections that nobody accepted any more
    assert not faults, (outcomes, [fault for fault in load.faults if fault.outcome in faults][:5])
