"""One connection carries many requests: in turn, pipelined, mixed; and ends when and how HTTP says."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.conftest import Stage
from tests.support.app import PATTERN
from tests.support.process import LbProxy


def test_one_after_the_other(stage: Stage) -> None:
    """Different methods, bodies and framings in a row do not get into each other's way."""
    app = stage.app()
    client = stage.client(stage.proxy(app.address, app={"health": {"type": "off"}}))
    before = app.state()["connections"]
    for turn in range(20):
        assert client.request("GET", f"/bytes/{turn * 1000}").body == PATTERN[: turn * 1000]
        assert client.request("POST", "/mirror", body=b"p" * turn).body == b"p" * turn
        assert client.request("HEAD", "/bytes/777").get("content-length") == "777"
        assert client.request("GET", f"/bytes/{turn}?chunked=1").body == PATTERN[:turn]
        assert client.request("GET", "/status/404").status == 404
    assert app.state()["connections"] == before + 2, "the backend's connection was reused (the other: this question)"


def test_pipelined(stage: Stage, proxy: LbProxy) -> None:
    """Fifty requests in one write are answered in their order."""
    client = stage.client(proxy)
    client.send(b"".join(b"GET /echo?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(50)))
    assert [json.loads(client.response().body)["target"] for _ in range(50)] == [f"/echo?n={number}" for number in range(50)]


def test_pipelined_with_bodies(stage: Stage, proxy: LbProxy) -> None:
    """Bodies and heads that share a packet are told apart."""
    client = stage.client(proxy)
    whole = b"".join(
        b"POST /mirror HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (size, b"b" * size)
        + b"POST /mirror HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (size, b"c" * size)
        for size in (1, 10, 5000, 70_000)
    )
    client.send(whole)
    for size in (1, 10, 5000, 70_000):
        assert client.response("POST").body == b"b" * size
        assert client.response("POST").body == b"c" * size


def test_pipelined_after_a_slow_one(stage: Stage, proxy: LbProxy) -> None:
    """What waits behind a slow request is neither lost nor answered first."""
    client = stage.client(proxy)
    client.send(b"GET /slow?s=0.3 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.response().body == b"slow\n"
    assert json.loads(client.response().body)["target"] == "/echo"


@pytest.mark.parametrize("idle", [0.2, 1.2])
def test_a_request_that_came_in_time_is_served_however_late(stage: Stage, idle: float) -> None:
    """The worker was held up when the connection's time ran out: the request was there, and only not read. With the connection's
    greenlet still waiting, and after it is gone."""
    proxy = stage.proxy(stage.app().address, workers=1, timeouts={"keepalive": "2s"})
    client = stage.client(proxy)
    assert client.request("GET", "/echo").status == 200
    began = time.monotonic()
    time.sleep(idle)
    [worker] = proxy.workers()
    os.kill(worker, signal.SIGSTOP)
    client.send(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(began + 2.5 - time.monotonic())
    os.kill(worker, signal.SIGCONT)
    assert client.response().status == 200


def test_connection_close(stage: Stage) -> None:
    """Asked to close, it says so and closes; a pipelined request after that is not served."""
    app = stage.app()
    client = stage.client(stage.proxy(app.address))
    client.send(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\nGET /late HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.response().get("connection") == "close"
    assert client.ended()
    assert app.state()["requests"] == 2, "the first request, and this question"


@pytest.mark.parametrize(("asked", "kept"), [("", False), ("Connection: keep-alive\r\n", True)])
def test_http_1_0(stage: Stage, proxy: LbProxy, asked: str, kept: bool) -> None:
    """HTTP/1.0 closes unless asked not to, and never gets chunks."""
    client = stage.client(proxy)
    client.send(f"GET /bytes/1000 HTTP/1.0\r\nHost: localhost\r\n{asked}\r\n".encode())
    response = client.response()
    assert (response.status, response.body, response.get("transfer-encoding")) == (200, PATTERN[:1000], None)
    if kept:
        assert client.request("GET", "/echo").status == 200
    else:
        assert client.ended()


def test_close_delimited(stage: Stage, proxy: LbProxy) -> None:
    """A backend that ends its body by closing: the client gets it in chunks and keeps its connection."""
    client = stage.client(proxy)
    response = client.request("GET", "/bytes/200000?close=1")
    assert (response.status, response.body) == (200, PATTERN[:200_000])
    if response.framing == "chunked":
        assert client.request("GET", "/echo").status == 200


@pytest.mark.parametrize(("method", "target", "status"), [
    ("HEAD", "/bytes/1000", 200),
    ("HEAD", "/bytes/1000?chunked=1", 200),
    ("HEAD", "/status/404", 404),
    ("GET", "/status/204", 204),
    ("GET", "/status/304", 304),
    ("DELETE", "/status/204", 204),
    ("OPTIONS", "/echo", 200),
])  # fmt: skip
def test_bodiless(stage: Stage, proxy: LbProxy, method: str, target: str, status: int) -> None:
    """Responses without a body do not wait for one, and the next response is not taken for it."""
    client = stage.client(proxy)
    assert client.request(method, target).status == status
    assert client.request("GET", "/bytes/10").body == PATTERN[:10]


def test_early_answer_to_an_upload(stage: Stage, proxy: LbProxy) -> None:
    """A backend that refuses an upload before it is through: the client hears it, and nothing hangs."""
    client = stage.client(proxy)
    client.send_head("POST", "/refuse", length=10_000_000)
    client.send(b"u" * 1000)
    assert client.response("POST").status == 417
