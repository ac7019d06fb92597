"""Every answer of tests/corpus/http1_responses from a real backend through a running lbproxy, read by a strict client."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from tests.conftest import Stage
from tests.corpus.http1_responses.vectors import Vector, vectors
from tests.support.backends import Conversation, Scripted
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.wire import Client, Truncated

ACCEPT, REJECT, CUT = vectors("accept"), vectors("reject"), vectors("cut")
ANSWERS = {f"/{kind}/{vector.name}": vector for kind in ("accept", "reject", "cut") for vector in vectors(kind)}


def script(conversation: Conversation) -> None:
    """The path names the answer."""
    while True:
        path = conversation.read_head().split(b" ")[1].decode()
        if path == "/fine":
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
        elif path.startswith("/endless/"):
            begin, piece = ENDLESS[path.removeprefix("/endless/").replace("%20", " ")]
            conversation.send(begin)
            while True:
                conversation.send(piece)
        else:
            vector = ANSWERS[path]
            conversation.send(vector.raw)
            if vector.expected.get("end") or vector in CUT:
                return


LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "fields": (LINE, b"X: y\r\n" * 100),
    "one field": (LINE + b"X: ", b"y" * 4096),
    "status line": (b"HTTP/1.1 200 ", b"O" * 4096),
    "interim": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "blanks": (b"", b"\r\n" * 1000),
    "extension": (CHUNKED + b"5;", b"a" * 4096),
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 100),
}


@pytest.fixture(scope="module")
def backend() -> Iterator[Scripted]:
    """Answers as it is asked to."""
    with Scripted(script) as backend:
        yield backend


@pytest.fixture
def proxy(stage: Stage, backend: Scripted) -> LbProxy:
    """In front of it, without TLS."""
    config = stage.config(backend.address)
    return stage.run({**config, "listen": [{"address": f"127.0.0.1:{free_port()}"}]})


def ask(client: Client, vector: Vector, kind: str) -> str:
    """Send the request; its method."""
    method: str = vector.expected.get("method", "GET")
    client.send(f"{method} /{kind}/{vector.name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return method


def test_refused(proxy: LbProxy) -> None:
    """Always a 502 of ours; the client's connection goes on, and the next answer is the next request's."""
    with Client(proxy.port()) as client:
        for vector in REJECT:
            response = client.response(ask(client, vector, "reject"))
            assert response.status == 502, vector.name
            assert response.get("proxy-status") is not None, vector.name
            if vector.expected.get("method") != "HEAD":
                assert response.body == b"502 Bad Gateway: %b\n" % vector.expected["reason"].encode(), vector.name
            assert client.request("GET", "/fine").body == b"fine", vector.name


def test_cut(proxy: LbProxy) -> None:
    """No strict client takes it for whole."""
    for vector in CUT:
        with Client(proxy.port()) as client:
            method = ask(client, vector, "cut")
            try:
                assert client.response(method).status == 502, vector.name
            except (Truncated, ConnectionResetError):
                pass  # what it should look like once the head is passed on
        with Client(proxy.port()) as client:
            assert client.request("GET", "/fine").body == b"fine", vector.name
    lines = {line["path"]: line for line in proxy.wait_access(count=len(CUT), path="/fine") and proxy.access()}
    for vector in CUT:
        assert lines[f"/cut/{vector.name}"]["reason"] == vector.expected["reason"]


def test_passed_on(proxy: LbProxy) -> None:
    """A strict client reads what was meant, and then its next answer."""
    with Client(proxy.port()) as client:
        for vector in ACCEPT:
            response = client.response(ask(client, vector, "accept"))
            assert response.status == vector.expected.get("status", 200), vector.name
            assert response.body == vector.expected["payload"].encode(), vector.name
            assert client.request("GET", "/fine").body == b"fine", vector.name


def test_endless(proxy: LbProxy) -> None:
    """A backend that never ends its head, its interim responses, its extension or its trailers is cut, and memory stays flat."""
    [pid] = proxy.wait_workers(1)
    worker = psutil.Process(pid)
    with Client(proxy.port()) as client:
        assert client.request("GET", "/fine").body == b"fine"
    before = worker.memory_info().rss
    for what in ENDLESS:
        with Client(proxy.port()) as client:
            client.send(f"GET /endless/{what.replace(' ', '%20')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            try:
                assert client.response().status == 502, what
            except (Truncated, ConnectionResetError):
                assert what in ("extension", "trailers"), f"{what}: the head was passed on before it broke"
        assert worker.memory_info().rss - before < 4 << 20, what
    with Client(proxy.port()) as client:
        assert client.request("GET", "/fine").body == b"fine"
