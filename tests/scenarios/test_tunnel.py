"""Upgraded connections as raw bytes: what opens a tunnel, what never does, and how bytes and ends travel through it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy
from tests.support.shared import LedgerView
from tests.support.waiting import eventually
from tests.support.wire import Client

ASK = b"GET /raw HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n"
GRANT = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n"
ADMIN = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"
MIB = 1024 * 1024

Start = Callable[[Callable[[Conversation], None]], tuple[LbProxy, Scripted]]


@pytest.fixture(params=[True, False], ids=["tls", "plain"])
def tls(request: pytest.FixtureRequest) -> bool:
    """Whether clients speak TLS."""
    return bool(request.param)


@pytest.fixture
def start(stage: Stage) -> Iterator[Start]:
    """Puts a scripted backend and a proxy in front of it on stage; the second listener is plain."""
    backends: list[Scripted] = []

    def put(script: Callable[[Conversation], None]) -> tuple[LbProxy, Scripted]:
        backend = Scripted(script)
        backend.__enter__()
        backends.append(backend)
        config = stage.config(backend.address)
        config["listen"].append({"address": f"127.0.0.1:{stage.config()['listen'][0]['address'].rpartition(':')[2]}"})
        return stage.run(config), backend

    yield put
    for backend in backends:
        backend.__exit__(None, None, None)


def connect(stage: Stage, proxy: LbProxy, tls: bool) -> Client:
    """A client of either listener."""
    return stage.client(proxy, tls=tls, listener=0 if tls else 1)


def granting(then: Callable[[Conversation], None]) -> Callable[[Conversation], None]:
    """A backend that switches, and goes on with `then`."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(GRANT)
        then(conversation)

    return script


def read_exactly(client: Client, size: int) -> bytes:
    """The next `size` bytes of the tunnel."""
    data = b""
    while len(data) < size:
        data += client.some()
    return data


def test_every_byte_both_ways_at_once(stage: Stage, start: Start, tls: bool) -> None:
    """Eight mebibytes each way. The client reads nothing before it has sent everything: that stops the backend, not the client."""
    there, back = os.urandom(8 * MIB), os.urandom(8 * MIB)
    arrived: list[bytes] = []

    def flood(conversation: Conversation) -> None:
        sender = threading.Thread(target=conversation.send, args=(back,))
        sender.start()
        arrived.append(conversation.read_exactly(len(there)))
        sender.join()

    proxy, _ = start(granting(flood))
    client = connect(stage, proxy, tls)
    client.send(ASK)
    assert client.interim().status == 101
    client.send(there)
    assert client.rest() == back
    assert arrived == [there]
    client.close()
    [line] = proxy.wait_access(status=101)
    assert (line["reason"], line["bytes_in"]) == ("", len(ASK) + len(there))


def test_half_closed(stage: Stage, start: Start) -> None:
    """The client ends its side: the backend sees it, and its answer still arrives; then both have ended."""

    def answer(conversation: Conversation) -> None:
        question = conversation.wait_close()
        conversation.send(b"you said %d bytes" % len(question))

    proxy, _ = start(granting(answer))
    client = connect(stage, proxy, False)
    client.send(ASK)
    assert client.interim().status == 101
    client.send(b"x" * 100_000)
    client.half_close()
    assert client.rest() == b"you said 100000 bytes"
    [line] = proxy.wait_access(status=101)
    assert (line["reason"], line["bytes_in"]) == ("", len(ASK) + 100_000)


def test_the_backends_end_arrives_as_an_end(stage: Stage, start: Start, tls: bool) -> None:
    """close_notify, or FIN: not a cut."""
    proxy, _ = start(granting(lambda conversation: conversation.send(b"bye")))
    client = connect(stage, proxy, tls)
    client.send(ASK)
    assert client.interim().status == 101
    assert client.rest() == b"bye"
    client.close()
    assert proxy.wait_access(status=101)[0]["reason"] == ""


def test_a_reset_is_passed_on(stage: Stage, start: Start, tls: bool) -> None:
    """A client that is killed takes the backend's connection with it."""
    gone = threading.Event()

    def wait(conversation: Conversation) -> None:
        conversation.wait_close()
        gone.set()

    proxy, _ = start(granting(wait))
    client = connect(stage, proxy, tls)
    client.send(ASK)
    assert client.interim().status == 101
    client.reset()
    assert gone.wait(60)
    assert proxy.wait_access(status=101)[0]["reason"] == "tunnel_client_lost"
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(1) == [0] and not view.verify(), "clean books")


def test_silence_ends_it(stage: Stage) -> None:
    """timeouts.tunnel."""

    def wait(conversation: Conversation) -> None:
        conversation.wait_close()

    with Scripted(granting(wait)) as backend:
        proxy = stage.proxy(backend.address, timeouts={"tunnel": "500ms"})
        client = stage.client(proxy)
        client.send(ASK)
        assert client.interim().status == 101
        assert client.rest() == b""
        assert proxy.wait_access(status=101)[0]["reason"] == "tunnel_idle"


# ---------------------------------------------------------------- attacks


@pytest.mark.parametrize("early", [ADMIN, ADMIN * 5000], ids=["one", "more than is read ahead"])
def test_bytes_ahead_of_the_101_reach_the_backend_behind_it(stage: Stage, start: Start, early: bytes) -> None:
    """They are no second request: the backend gets them raw, and only once it has switched."""
    asked, may = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        asked.set()
        may.wait(60)
        conversation.send(GRANT + b"go")
        conversation.send(conversation.read_exactly(len(early)))
        conversation.wait_close()

    proxy, backend = start(script)
    client = connect(stage, proxy, True)
    client.send(ASK + early)
    assert asked.wait(60)
    [before] = backend.received()
    assert b"/admin" not in before
    may.set()
    assert client.interim().status == 101
    assert read_exactly(client, 2 + len(early)) == b"go" + early
    client.close()
    proxy.wait_access(status=101)
    assert len(backend.received()) == 1


def test_bytes_ahead_of_a_refusal_are_no_request(stage: Stage, start: Start) -> None:
    """Whatever is not 101 is the last answer on the connection."""

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_head()
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")

    proxy, backend = start(script)
    client = connect(stage, proxy, True)
    client.send(ASK + ADMIN)
    response = client.response()
    assert (response.body, response.get("connection")) == (b"no", "close")
    assert client.ended()
    assert not [one for one in backend.received() if b"/admin" in one]


FAKES = {
    "h2c": (
        ASK.replace(b"raw/1", b"h2c").replace(b"Upgrade\r\n", b"Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n", 1),
        GRANT,
    ),
    "nothing asked": (ADMIN.replace(b"admin", b"raw"), GRANT),
    "another protocol": (ASK, GRANT.replace(b"raw/1", b"h2c")),
    "a status line alone": (ASK, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "no digest": (
        ASK.replace(b"raw/1", b"websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 777"),
        GRANT.replace(b"raw/1", b"websocket"),
    ),
}


def test_no_tunnel_after_a_fake_101(stage: Stage, start: Start) -> None:
    """Smuggling by h2c or by a 101 that is none: 502, and what the client sends behind it goes through our reading, or nowhere."""
    fakes: list[bytes] = []

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(fakes[-1])
        conversation.wait_close()

    proxy, backend = start(script)
    for name, (ask, fake) in FAKES.items():
        fakes.append(fake)
        client = connect(stage, proxy, True)
        client.send(ask)
        response = client.response()
        assert response.status == 502, name
        if response.get("connection") == "close":
            assert client.ended(), name
        else:
            client.send(ADMIN)
            assert client.response().status == 502, name
    heads = backend.received()
    assert all(one.startswith(b"GET /") and one.count(b"HTTP/1.1\r\n") == 1 for one in heads), "one request a connection"
    assert not any(b"h2c" in one or b"HTTP2-Settings" in one for one in heads)
    assert {line["status"] for line in proxy.wait_access(status=502)} == {502}
