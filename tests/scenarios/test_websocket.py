"""WebSockets through the proxy: a real client, a real backend, TLS in front; every kind of message, many at once, and every end."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import Iterator

import psutil
import pytest
from websockets.asyncio.client import connect as connect_later
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.conftest import Stage
from tests.support import threaded_tls
from tests.support.backends import Server, websocket_server
from tests.support.certificates import Authority
from tests.support.process import LbProxy
from tests.support.shared import LedgerView
from tests.support.waiting import PATIENCE, eventually

MIB = 1024 * 1024


@pytest.fixture
def server(stage: Stage) -> Iterator[Server]:
    """The backend."""
    with websocket_server(stage.directory) as backend:
        yield backend


@pytest.fixture
def proxy(stage: Stage, server: Server) -> LbProxy:
    """In front of it."""
    return stage.proxy(server.address)


def trusting(authority: Authority) -> ssl.SSLContext:
    """What a client needs to believe the proxy."""
    return threaded_tls.context(authority.file)


def dial(stage: Stage, proxy: LbProxy, path: str = "/", compression: str | None = None) -> ClientConnection:
    """A client; used as a context, it says goodbye at the end."""
    return connect(
        f"wss://localhost:{proxy.port()}{path}",
        ssl=trusting(stage.authority),
        proxy=None,
        compression=compression,
        max_size=64 * MIB,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
    )


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages(stage: Stage, proxy: LbProxy, compression: str | None) -> None:
    """Text, binary, empty, of a mebibyte, in fragments; pings answered by the backend; one line in the log for all of it."""
    with dial(stage, proxy, "/chat", compression) as client:
        assert client.response is not None
        assert client.response.headers["Via"] == "1.1 lbproxy"
        for message in ("hello", "grüße ☃", b"\x00\xff", "", b"", os.urandom(MIB), "x" * MIB, b"y" * 125, b"y" * 126, b"y" * 65536):
            client.send(message)
            assert client.recv(PATIENCE) == message
        client.send(iter(["in ", "three ", "pieces"]))
        assert client.recv(PATIENCE) == "in three pieces"
        assert client.ping(b"there?").wait(PATIENCE)
        assert proxy.access() == [], "not before it ends"
    [line] = proxy.wait_access(status=101)
    assert (line["method"], line["path"], line["reason"], line["tries"]) == ("GET", "/chat", "", 1)
    assert min(line["bytes_in"], line["bytes_out"]) > MIB
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(1) == [0] and not view.verify(), "clean books")


def test_large_messages(stage: Stage, proxy: LbProxy) -> None:
    """16 MB, binary and text, both ways; the worker holds none of it."""
    [worker] = [psutil.Process(pid) for pid in proxy.wait_workers(1)]
    before = worker.memory_info().rss
    with dial(stage, proxy) as client:
        for message in (os.urandom(16 * MIB), "\N{SNOWMAN}" * (16 * MIB // 3)):
            client.send(message)
            assert client.recv(PATIENCE) == message
        assert worker.memory_info().rss - before < 4 * MIB
    proxy.wait_access(status=101)


def test_encrypted_on_both_sides(stage: Stage) -> None:
    """A pool that re-encrypts: the same, and ends are told from cuts on that side, too."""
    with websocket_server(stage.directory, stage.authority.issue("localhost", "127.0.0.1")) as backend:
        proxy = stage.proxy(backend.address, app={"tls": {"ca": str(stage.authority.file), "server_name": "localhost"}})
        message = os.urandom(MIB)
        with dial(stage, proxy) as client:
            client.send(message)
            assert client.recv(PATIENCE) == message
        assert client.close_code == 1000
        assert proxy.wait_access(status=101)[0]["reason"] == ""


@pytest.mark.parametrize("code", [1000, 1001, 4001])
def test_close_codes(stage: Stage, proxy: LbProxy, code: int) -> None:
    """Whoever says goodbye first, the other hears the code."""
    with dial(stage, proxy, f"/close/{code}") as client:
        client.send("go")
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PATIENCE)
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, "as you wish")
    with dial(stage, proxy) as client:
        client.close(code, "bye")
        assert client.close_code == code, "echoed by the backend"
    proxy.wait_access(status=101, count=2)


def test_a_refused_handshake(stage: Stage, proxy: LbProxy) -> None:
    """The backend's own answer arrives."""
    with pytest.raises(InvalidStatus) as caught:
        dial(stage, proxy, "/refused")
    assert (caught.value.response.status_code, caught.value.response.body) == (403, b"no\n")
    proxy.wait_access(status=403)


def test_fifty_at_once(stage: Stage, server: Server) -> None:
    """Every connection gets its own messages, in order; the books count one request in flight for each."""
    proxy = stage.proxy(server.address, workers=2)
    context = trusting(stage.authority)

    async def one(number: int, all_open: asyncio.Barrier) -> None:
        url = f"wss://localhost:{proxy.port()}/{number}"
        async with connect_later(url, ssl=context, proxy=None, compression=None, open_timeout=60) as client:
            await all_open.wait()
            messages = [f"{number}-{turn}-" + "z" * (turn * 700) for turn in range(20)]
            for message in messages:
                await client.send(message)
            assert [await client.recv() for _ in messages] == messages
            await all_open.wait()

    async def everybody() -> list[int]:
        all_open = asyncio.Barrier(51)
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(one(number, all_open))
            await all_open.wait()
            with LedgerView(proxy.pid) as view:
                in_flight = list(view.in_flight(1))
            await all_open.wait()
        return in_flight

    assert asyncio.run(asyncio.wait_for(everybody(), 120)) == [50]
    assert {line["reason"] for line in proxy.wait_access(status=101, count=50)} == {""}


def test_the_backend_is_killed(stage: Stage, server: Server, proxy: LbProxy) -> None:
    """The client hears of it at once, as an end without a goodbye."""
    with dial(stage, proxy) as client:
        client.send("hello")
        assert client.recv(PATIENCE) == "hello"
        server.kill()
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PATIENCE)
        assert caught.value.rcvd is None
    [line] = proxy.wait_access(status=101)
    assert line["reason"] in ("", "tunnel_backend_lost"), "a killed process ends its connections as one that closes them"
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(1) == [0], "the lease is back")


def test_the_client_is_killed(stage: Stage, proxy: LbProxy) -> None:
    """A reset in the middle of a message: the backend's connection goes, too."""
    client = stage.client(proxy)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n".encode())
    assert client.interim().status == 101
    client.send(b"\x81\xfe")
    client.reset()
    [line] = proxy.wait_access(status=101)
    assert line["reason"] == "tunnel_client_lost"
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(1) == [0], "the lease is back")


def test_a_worker_that_has_to_go(stage: Stage, server: Server) -> None:
    """A stop lets an open tunnel go on for the time of draining, then ends it with notice, and the log says why."""
    proxy = stage.proxy(server.address, proxy={"drain_timeout": "1s"})
    with dial(stage, proxy) as client:
        client.send("before")
        assert client.recv(PATIENCE) == "before"
        proxy.signal(signal.SIGTERM)
        client.send("while")
        assert client.recv(PATIENCE) == "while"
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
    [line] = proxy.wait_access(status=101)
    assert line["reason"] == "tunnel_drained"
    proxy.wait()
