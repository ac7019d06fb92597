"""What a backend may have carried out is not sent to it, or to another one, a second time."""

from __future__ import annotations

import os
import signal
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted, gunicorn
from tests.support.waiting import PATIENCE, eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
both_ways = pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])


def to_backends(stage: Stage, encrypted: bool) -> tuple[ssl.SSLContext | None, dict[str, object]]:
    """(the backend's context, the pool's table)."""
    if not encrypted:
        return None, {}
    certificate = stage.authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate["cert"], certificate["key"])
    return context, {"tls": {"ca": str(stage.authority.file)}}


def close_later(conversation: Conversation) -> None:
    """It works for a while, and closes."""
    time.sleep(0.2)
    conversation.close()


@both_ways
@pytest.mark.parametrize("die", [Conversation.close, Conversation.reset, close_later], ids=["close", "reset", "close later"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "fresh"])
def test_a_backend_that_read_the_order(stage: Stage, encrypted: bool, die: Callable[[Conversation], None], kept: bool) -> None:
    """However its connection ends after that: 502, and the order was taken once."""
    orders = []

    def script(conversation: Conversation) -> None:
        while b"POST" not in conversation.read_head():
            conversation.send(OK)
        orders.append(conversation.read_exactly(5))
        die(conversation)

    context, app = to_backends(stage, encrypted)
    with Scripted(script, context) as first, Scripted(script, context) as second:
        proxy = stage.proxy(first.address, second.address, app=app)
        client = stage.client(proxy)
        for _ in range(4 if kept else 0):
            assert client.request("GET", "/").status == 200
        assert client.request("POST", "/", body=b"order").status == 502
        assert orders == [b"order"]
    [line] = proxy.wait_access(status=502)
    assert (line["reason"], line["tries"]) == ("response_closed", 1)


@both_ways
def test_a_backend_that_closed_before(stage: Stage, encrypted: bool) -> None:
    """It closes each connection right after an answer: no order is taken twice, and who comes when that is over is served. An order
    that was on its way meanwhile may be a 502, as nobody can tell then whether it was taken; here it was not."""
    orders: list[bytes] = []
    closed = threading.Semaphore(0)

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        orders.append(conversation.read_exactly(5))
        conversation.send(OK)
        conversation.close()
        closed.release()

    context, app = to_backends(stage, encrypted)
    with Scripted(script, context) as backend:
        client = stage.client(stage.proxy(backend.address, app=app))
        taken, unclosed = [], 0
        for number in range(100):
            body = b"%05d" % number
            response = client.request("POST", "/", body=body)
            assert response.status in {200, 502}
            if response.status == 200:
                taken.append(body)
                unclosed += 1
            if number % 2:
                while unclosed:
                    assert closed.acquire(timeout=PATIENCE)
                    unclosed -= 1
            else:
                assert response.status == 200, "nothing was on its way"
        assert orders == taken


@both_ways
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn_worker_killed(stage: Stage, tmp_path: Path, kind: str, encrypted: bool) -> None:
    """SIGKILL for the worker in the middle of a POST: one row, not two; and afterwards all is well."""
    rows = tmp_path / "rows"
    rows.touch()
    app: dict[str, object] = {"health": {"interval": "200ms"}}
    certificate = None
    if encrypted:
        certificate = stage.authority.issue("127.0.0.1")
        app["tls"] = {"ca": str(stage.authority.file)}
    server = gunicorn(tmp_path, "tests.support.orders:wsgi", kind=kind, certificate=certificate, environment={"ORDERS": str(rows)})
    proxy = stage.proxy(stage.server(server).address, app=app)
    client, other = stage.client(proxy), stage.client(proxy)
    for _ in range(3):
        assert client.request("GET", "/").status == 200
    client.send_head("POST", "/hang", length=5)
    client.send(b"order")
    eventually(rows.read_bytes, "the order is written down")
    os.kill(int(rows.read_bytes().split()[0]), signal.SIGKILL)
    assert client.response().status == 502
    assert len(rows.read_bytes().splitlines()) == 1
    eventually(lambda: other.request("GET", "/").status == 200, "the next worker serves")
    assert other.request("POST", "/", body=b"second").status == 200
    assert [row.split()[1] for row in rows.read_bytes().splitlines()] == [b"order", b"second"]
