from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus

import gevent
import gevent.socket
import pytest

from lbproxy.balance.ledger import HealthState, Ledger, Scalar, SlotState, admin_cell, scalar_at, state_at
from lbproxy.config import model
from lbproxy.control import metrics_port
from lbproxy.control.metrics_port import PAGES, MetricsAnswer, MetricsPort, ScrapeRequest, may_ask, parse
from lbproxy.observe.metrics import Snapshot
from tests.support.waiting import FOREVER, PATIENCE
from tests.unit.control.backends import handover, new_ledger, pool_of

OFF = model.HealthConfig(type="off")


class Monitor:
    """MetricsPort on a loopback port over a ledger that the test writes."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        self.ledger: Ledger = new_ledger()
        self.pipe, other = socket.socketpair()
        self._other = other
        pools = (pool_of("api", 8001, 8002, health=OFF), pool_of("web", 8003, health=OFF))
        self.served = MetricsPort(handover(*pools, ledger=self.ledger, pipe=other, metrics=listening))
        self.served.start()

    def close(self) -> None:
        self.served.stop()
        self.pipe.close()
        self._other.close()

    def health(self, *states: HealthState) -> None:
        for slot, state in enumerate(states):
            self.ledger.cells[state_at(SlotState.HEALTH, slot)] = state

    def send(self, data: bytes) -> bytes:
        """Everything that comes back until the end."""
        with gevent.Timeout(60), gevent.socket.create_connection(self.address) as sock:
            sock.sendall(data)
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
            return answer

    def get(self, path: str, method: str = "GET", host: str = "127.0.0.1:9180") -> tuple[int, dict[str, str], bytes]:
        head, _, body = self.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        assert int(headers["Content-Length"]) == len(body) or method == "HEAD"
        assert headers["Connection"] == "close"
        return int(line.split()[1]), headers, body


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    """To which no answer is costly, whatever the machine is like."""
    monkeypatch.setattr(metrics_port, "COSTLY", float("inf"))
    monitor = Monitor()
    yield monitor
    monitor.close()


def test_livez(monitor: Monitor) -> None:
    """While the loop runs, whatever the backends do."""
    monitor.health(HealthState.DOWN, HealthState.DOWN, HealthState.DOWN)
    assert monitor.get("/livez")[::2] == (200, b"alive\n")


def test_readyz_names_the_pools_without_a_usable_backend(monitor: Monitor) -> None:
    """Unknown is not ready, one up is enough, down or drained is not."""
    assert monitor.get("/readyz")[::2] == (503, b"pool api has no usable backend\npool web has no usable backend\n")
    monitor.health(HealthState.DOWN, HealthState.UP, HealthState.UP)
    assert monitor.get("/readyz")[::2] == (200, b"ready\n")
    monitor.ledger.cells[state_at(SlotState.ADMIN, 2)] = admin_cell(True, None)
    assert monitor.get("/readyz")[::2] == (503, b"pool web has no usable backend\n")


def test_metrics(monitor: Monitor) -> None:
    """Prometheus' type, the ledger's numbers."""
    monitor.ledger.open_row(0)
    monitor.ledger.cells[scalar_at(0, Scalar.RETRIES)] = 4711
    status, headers, body = monitor.get("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"\nlbproxy_retries_total 4711\n" in body


def test_status_json(monitor: Monitor) -> None:
    """A program's view."""
    monitor.health(HealthState.UP, HealthState.DOWN, HealthState.UP)
    status, headers, body = monitor.get("/status.json?pretty")
    told = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert told["generation"] == 3
    assert [backend["health"] for backend in told["pools"]["api"]["backends"]] == ["up", "down"]


def test_the_page_needs_nothing_from_elsewhere(monitor: Monitor) -> None:
    """HTML, and a policy that forbids everything but its own style."""
    status, headers, body = monitor.get("/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert b"<script" not in body
    assert b'http-equiv="refresh"' in body


def test_head_is_get_without_the_body(monitor: Monitor) -> None:
    """Same length told, nothing sent."""
    for path in PAGES:
        status, headers, body = monitor.get(path, "HEAD")
        assert (status, body) == (monitor.get(path)[0], b"")
        assert int(headers["Content-Length"]) > 0


def test_other_methods_and_paths(monitor: Monitor) -> None:
    """405 with Allow, 404 with what there is."""
    status, headers, _ = monitor.get("/metrics", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    status, _, body = monitor.get("/metrics/")
    assert status == 404
    assert body.decode().split() == list(PAGES)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/2.0\r\n\r\n",
        b"GET http://x/livez HTTP/1.1\r\n\r\n",
        b"get /livez HTTP/1.1\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\n\r\n",
        b"GET /li\x00vez HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nX: " + b"a" * metrics_port.MAX_HEAD,
        b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
    ],
)
def test_rubbish_is_400(monitor: Monitor, rubbish: bytes) -> None:
    """Answered and closed, also when the head never ends."""
    assert monitor.send(rubbish).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_parse_takes_the_path_without_its_query() -> None:
    """Fields do not matter, but for Host."""
    assert parse(b"GET /a?b=c HTTP/1.0\r\nanything\r\n\r\n") == ScrapeRequest("GET", "/a", "")
    assert parse(b"GET /a HTTP/1.1\r\nHOST:\tLB.Example.COM.:80 \r\n\r\n") == ScrapeRequest("GET", "/a", "lb.example.com")


def test_silence_is_cut_by_the_deadline(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte and nothing more: closed without an answer, and others are served meanwhile."""
    monkeypatch.setattr(monitor.served, "_timeout", 0.3)
    with gevent.socket.create_connection(monitor.address) as sock:
        sock.sendall(b"G")
        assert monitor.get("/livez")[0] == 200
        with gevent.Timeout(PATIENCE):
            assert sock.recv(100) == b""


def test_a_client_that_resets_disturbs_nobody(monitor: Monitor) -> None:
    """Its greenlet ends quietly."""
    for _ in range(3):
        with socket.create_connection(monitor.address) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gevent.sleep(0.01)
    assert monitor.get("/livez")[0] == 200


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nHost: loc", b"GET /livez HTTP/1.0\r\n\r\n"])
def test_who_only_holds_a_place_gives_way_at_once(monitor: Monitor, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty-four that say nothing, or never end, or have their answer and stay: the next one is answered before any time is up."""
    monkeypatch.setattr(monitor.served, "_timeout", FOREVER)
    idle = [gevent.socket.create_connection(monitor.address) for _ in range(64)]
    try:
        for sock in idle:
            sock.sendall(said)
        begun = time.monotonic()
        for _ in range(10):
            assert monitor.get("/livez")[0] == 200
        assert time.monotonic() - begun < PATIENCE
        assert len(list(monitor.served._visitors.tasks())) <= model.MetricsConfig().connections
    finally:
        for sock in idle:
            sock.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9180", "[::1]:9180", "10.0.0.7", "localhost", "LOCALHOST.:80", "a.localhost"]
)
def test_addresses_and_localhost_are_answered(monitor: Monitor, host: str) -> None:
    """Nobody else can give such a name to his page."""
    assert monitor.get("/livez", host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "lb1", "x.127.0.0.1"])
def test_a_foreign_host_learns_nothing(monitor: Monitor, host: str) -> None:
    """DNS rebinding: a browser was sent here by a page whose name suddenly means our address."""
    for path in (*PAGES, "/nothing"):
        status, _, body = monitor.get(path, host=host)
        assert (status, body.decode()) == (421, f"{host} is none of [metrics] hosts\n")


def test_configured_names_are_answered() -> None:
    """As routes match hosts: exact, or one label more."""
    names = ("lb1.example.com", "*.internal")
    assert may_ask("lb1.example.com", names)
    assert may_ask("a.internal", names)
    assert not may_ask("a.b.internal", names)
    assert not may_ask("internal", names)
    assert not may_ask("example.com", names)


def test_whoever_asks_without_end_gets_a_tenth_of_the_process(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is costly to make is given again for ten times as long."""
    asked = []

    def slow(now: Snapshot) -> MetricsAnswer:
        asked.append(now)
        begun = time.thread_time()
        while time.thread_time() - begun < 0.05:
            pass
        return MetricsAnswer(HTTPStatus.OK, metrics_port.TEXT, f"{len(asked)}\n")

    monkeypatch.setitem(PAGES, "/metrics", slow)
    monkeypatch.setattr(metrics_port, "COSTLY", 0.005)
    first = monitor.get("/metrics")
    made = monitor.served._made["/metrics"]
    monitor.served._made["/metrics"] = made._replace(until=made.until + 60)  # however busy the machine is
    assert monitor.get("/metrics") == first
    monitor.served._made.clear()
    assert monitor.get("/metrics")[2] == b"2\n"


def test_without_a_socket_there_is_nothing_to_serve() -> None:
    """The caller's mistake."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        inheritance = replace(handover(ledger=new_ledger(), pipe=theirs), metrics_socket=None)
        with pytest.raises(ValueError, match="no metrics socket"):
            MetricsPort(inheritance)
