"""Limits hold, and who meets one is told or waits; nobody else notices."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from lbproxy.balance.ledger import PerSlot, cell_at
from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.ports import free_port
from tests.support.shared import LedgerView
from tests.support.waiting import eventually
from tests.support.wire import Truncated


def test_connections_per_worker(stage: Stage) -> None:
    """Above the limit, connections wait in the queue until one ends, and are served then. (Busy ones: see the next.)"""
    app = stage.app()
    proxy = stage.proxy(app.address, limits={"connections_per_worker": 5})
    first = [stage.client(proxy) for _ in range(5)]
    for client in first:
        client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 5, "all of them are at work")
    with socket.create_connection(("127.0.0.1", proxy.port())) as waiting:
        waiting.settimeout(0.5)
        waiting.sendall(b"\x16\x03\x01\x00\x05hello")  # nobody reads this yet: no alert comes
        with pytest.raises(TimeoutError):
            waiting.recv(1)
        first.pop().close()
        waiting.settimeout(60)
        assert waiting.recv(1), "accepted, and told what its nonsense is"
    app.release()
    assert first[0].response().status == 200


@pytest.mark.parametrize("whose", ["worker", "listener"])
def test_idle_connections_give_way(stage: Stage, whose: str) -> None:
    """At the limit the longest idle one is closed for a newcomer, in peace; the others are kept."""
    config = stage.config(stage.app().address)
    if whose == "worker":
        config["limits"] = {"connections_per_worker": 5}
    else:
        config["listen"][0]["max_connections"] = 5
    proxy = stage.run(config)
    first = [stage.client(proxy) for _ in range(5)]
    for client in first:
        assert client.request("GET", "/echo").status == 200
    assert stage.client(proxy).request("GET", "/echo").status == 200
    assert first[0].ended()
    for client in first[1:]:
        assert client.request("GET", "/echo").status == 200


def test_connections_of_a_listener(stage: Stage) -> None:
    """Over four workers: never more than the limit, the others wait in the queue, and each who leaves lets one in; also a worker
    that dies with all it had."""
    app = stage.app()
    config = stage.config(app.address, workers=4)
    config["listen"].append({"address": f"127.0.0.1:{free_port()}", "max_connections": 5})
    proxy = stage.run(config)
    proxy.wait_workers(4)
    clients = [stage.client(proxy, tls=False, listener=1) for _ in range(22)]
    for client in clients:
        client.send_head("GET", "/hold", [("Connection", "close")])
    with LedgerView(proxy.pid) as view:

        def inside() -> list[int]:
            """By worker; slot 0 is the backend's, 1 the other listener's."""
            return [view.ledger.cells[cell_at(row, PerSlot.OPEN, 2)] for row in range(view.ledger.children)]

        for left in range(22, 12, -5):
            eventually(lambda: app.held() == 5, f"five of {left} at the backend")
            assert sum(inside()) == 5
            app.release()
        eventually(lambda: app.held() == 5, "five of twelve")
        assert stage.client(proxy).request("GET", "/echo").status == 200, "the other listener has no limit"
        rows = inside()
        lost = max(rows)
        os.kill(proxy.wait_event("worker.ready", worker=1 + rows.index(lost))["pid"], signal.SIGKILL)
        proxy.wait_event("worker.died")
        eventually(lambda: app.held() == 5 and sum(inside()) == 5, "its places are taken by others")
        while sum(inside()):
            app.release()
        assert view.verify() == []
    statuses = []
    for client in clients:
        with suppress(Truncated, OSError):
            statuses.append(client.response().status)
    assert statuses == [200] * (22 - lost)
    assert proxy.wait_event("accept.full", max_connections=5)["listener"] == config["listen"][1]["address"]


def test_a_reader_that_stops(stage: Stage) -> None:
    """A client that takes nothing for write_stall is cut, and its backend freed."""
    app = stage.app()
    proxy = stage.proxy(app.address, timeouts={"write_stall": "500ms"})
    client = stage.client(proxy)
    client.send_head("GET", f"/bytes/{1 << 28}")
    assert client.head().status == 200
    [line] = proxy.wait_access(count=1)
    assert line["reason"]
    assert line["bytes_out"] < 1 << 28
    eventually(lambda: app.state()["open"] <= 2, "the backend's connection is gone")


def test_a_backend_that_stops(stage: Stage) -> None:
    """A response that stands still for body_idle is cut so that the client can tell."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        conversation.wait_close()

    with Scripted(script) as backend:
        proxy = stage.proxy(backend.address, timeouts={"body_idle": "400ms"})
        client = stage.client(proxy)
        client.send_head("GET", "/")
        with pytest.raises((Truncated, OSError)):
            client.response()
        [line] = proxy.wait_access(status=200)
        assert line["reason"]


def test_connect_time_out(stage: Stage) -> None:
    """A backend that does not even answer the connect: the next one is tried; alone, it is a 504."""
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", free_port()), backlog=0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        for _ in range(4):  # its queue is full now, and the kernel drops further attempts
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        settings: dict[str, Any] = {"timeouts": {"connect": "300ms"}, "app": {"health": {"type": "off"}}}
        alone = stage.proxy(address, **settings)
        assert stage.client(alone).request("GET", "/").status == 504
        together = stage.proxy(address, stage.app().address, **settings)
        client = stage.client(together)
        for _ in range(3):
            assert client.request("GET", "/echo").status == 200


def test_response_head_too_large(stage: Stage) -> None:
    """A backend's head without end is a 502, and does not fill the memory."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            conversation.send(b"X-%d: %b\r\n" % (number, b"x" * 1000))

    with Scripted(script) as backend:
        proxy = stage.proxy(backend.address)
        assert stage.client(proxy).request("POST", "/", body=b"").status == 502


def test_endless_interim_responses(stage: Stage) -> None:
    """A backend that says 1xx for ever is a 502 in the end."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        for _ in range(100_000):
            conversation.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")

    with Scripted(script) as backend:
        proxy = stage.proxy(backend.address)
        client = stage.client(proxy)
        client.send_head("POST", "/", length=0)
        assert client.response("POST").status == 502


def test_max_connections(stage: Stage) -> None:
    """max_connections of a backend is not exceeded over all workers; who comes too late hears 503 and when to come again."""
    app = stage.app()
    config = stage.config(workers=2)
    config["pool"]["app"]["backends"] = [{"address": app.address, "max_connections": 5}]
    proxy = stage.run(config)
    clients = [stage.client(proxy) for _ in range(5)]
    for client in clients:
        client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 5, "five held requests")
    late = stage.client(proxy).request("GET", "/hold")
    assert late.status == 503
    assert late.get("retry-after")
    assert app.held() == 5
    app.release()
    for client in clients:
        assert client.response().status == 200
    assert stage.client(proxy).request("GET", "/echo").status == 200
