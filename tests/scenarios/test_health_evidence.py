"""What traffic tells: a backend that fails at once must not attract it, and comes back when it is well."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import Stage
from tests.support.load import Load, faults_in
from tests.support.shared import assert_books_close
from tests.support.waiting import eventually


class Moody(ThreadingHTTPServer):
    """Answers with `status`."""

    daemon_threads = True
    status = 200

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Moody

    def do_GET(self) -> None:  # the library's name
        body = json.dumps({"name": "moody"}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        pass


@contextmanager
def moody() -> Iterator[Moody]:
    with Moody(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [500, 503])
def test_the_black_hole_magnet(stage: Stage, status: int) -> None:
    """It answers errors faster than the others answer anything: ejected after a few, tried again, and back when it is well."""
    first, second = stage.app("first"), stage.app("second")
    with moody() as magnet:
        backends = [first.address, second.address, magnet.address]
        proxy = stage.proxy(*backends, workers=2, app={"outlier": {"ejection": "500ms"}})
        proxy.wait_up(*backends)
        client = stage.client(proxy)
        seen: Counter[int] = Counter()

        def ask() -> int:
            answer = client.request("GET", "/echo").status
            seen[answer] += 1
            return answer

        for _ in range(30):
            ask()
        magnet.status = status
        eventually(lambda: ask() and bool(proxy.events("backend.ejected")), "it is ejected")
        assert proxy.events("backend.ejected")[0]["backend"] == magnet.address
        assert seen[status] <= 60
        magnet.status = 200
        proxy.wait_event("backend.trial", backend=magnet.address)
        eventually(
            lambda: ask() and len([e for e in proxy.events("backend.up") if e["backend"] == magnet.address]) > 1, "it is back"
        )
        assert_books_close(proxy)


def test_a_stopped_process_is_left_alone(stage: Stage) -> None:
    """Its kernel accepts and nobody answers: clients wait for one time-out at most, see no error, and then nobody goes there."""
    apps = [stage.app(f"app{number}") for number in range(3)]
    addresses = [app.address for app in apps]
    app = {"outlier": {"ejection": "500ms"}, "retry_on": ["connect", "closed", "timeout"]}
    proxy = stage.proxy(*addresses, workers=2, timeouts={"response_head": "500ms"}, app=app)
    proxy.wait_up(*addresses)
    with Load(proxy.port(), stage.authority.file, connections=8) as load:
        proxy.wait_access(count=100, status=200)
        apps[0].send_signal(signal.SIGSTOP)
        try:
            proxy.wait_event("backend.ejected", backend=apps[0].address)
        finally:
            apps[0].send_signal(signal.SIGCONT)
        proxy.wait_event("backend.up", backend=apps[0].address, skip=1)
        outcomes = load.stop()
    assert not faults_in(outcomes), (outcomes, load.faults[:5])
    assert_books_close(proxy)
