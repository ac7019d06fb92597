"""Not one byte of a refused message reaches a backend: the whole corpus against a running lbproxy, with a recorder behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Stage
from tests.corpus.http1.vectors import Vector, vectors
from tests.support.backends import Conversation, Scripted
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.wire import Client, Response

GOOD = b"GET /good HTTP/1.1\r\nHost: localhost\r\n\r\n"
REJECT = vectors("reject")
WHOLE = [vector for vector in REJECT if b"\r\n\r\n" in vector.raw.lstrip(b"\r\n")]
UNFINISHED = [vector for vector in REJECT if vector not in WHOLE]


def recorder(conversation: Conversation) -> None:
    """Answers everything; what it was sent is kept."""
    while True:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def backend() -> Iterator[Scripted]:
    """The recorder."""
    with Scripted(recorder) as backend:
        yield backend


@pytest.fixture
def proxy(stage: Stage, backend: Scripted) -> LbProxy:
    """In front of it, without TLS: a thousand handshakes would prove nothing more."""
    config = stage.config(backend.address, timeouts={"request_head": "1s"}, log={"access": "off"})
    return stage.run({**config, "listen": [{"address": f"127.0.0.1:{free_port()}"}]})


def check(vector: Vector, response: Response) -> None:
    """It is the answer told, and says why."""
    assert response.status == vector.expected["status"], vector.name
    assert response.get("connection") == "close", vector.name
    assert vector.expected["reason"].encode() in response.body, vector.name


def test_alone(proxy: LbProxy, backend: Scripted) -> None:
    """Each on a connection of its own: refused, told why, cut; and silence at the backend."""
    for vector in WHOLE:
        with Client(proxy.port()) as client:
            client.send(vector.raw)
            check(vector, client.response())
            assert client.ended(), vector.name
        assert backend.received() == [], vector.name


def test_behind_a_good_request(proxy: LbProxy, backend: Scripted) -> None:
    """Pipelined: the good one is served, the other one refused, and the backend knows of the good one only."""
    for vector in WHOLE:
        with Client(proxy.port()) as client:
            client.send(GOOD + vector.raw + GOOD)
            assert client.response().body == b"ok", vector.name
            check(vector, client.response())
            assert client.ended(), vector.name
    served = b"".join(backend.received())
    assert served.count(b"\r\n\r\n") == len(WHOLE)
    assert served.count(b"GET /good HTTP/1.1\r\n") == len(WHOLE)
    [only] = {head + b"\r\n\r\n" for head in served.split(b"\r\n\r\n")[:-1]}
    assert only.startswith(b"GET /good HTTP/1.1\r\nHost: localhost\r\n")


def test_unfinished(proxy: LbProxy, backend: Scripted) -> None:
    """Heads that never end: refused at once where they cannot become good, else when their time is up."""
    with ExitStack() as stack:
        clients = [(vector, stack.enter_context(Client(proxy.port()))) for vector in UNFINISHED]
        for vector, client in clients:
            client.send(vector.raw)
        for vector, client in clients:
            assert client.response().status in (vector.expected["status"], 400, 408), vector.name
            assert client.ended(), vector.name
    assert backend.received() == []
