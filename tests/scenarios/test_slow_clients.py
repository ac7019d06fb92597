"""A thousand clients that send or take next to nothing: each is cut by its deadline, the good ones are served meanwhile, and
memory stays flat.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from tests.conftest import Stage
from tests.support.openssl_engine import Engine
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.shared import LedgerView
from tests.support.tools import need
from tests.support.waiting import eventually
from tests.support.wire import Client

CONNECTIONS = 1000
SHORT = {"handshake": "2s", "request_head": "2s", "body_idle": "2s", "write_stall": "2s", "keepalive": "2s"}

ATTACKS = {
    "heads": ["-H", "-i", "1", "-x", "10"],
    "bodies": ["-B", "-i", "1", "-x", "10", "-s", "8192"],
    "heads over TLS": ["-H", "-i", "1", "-x", "10", "-tls"],
}
"""slowhttptest(1): a field a second; a few bytes of a body a second. (Its slow readers do not look whether they are cut.) "-tls" is
ours."""


@pytest.fixture
def proxy(stage: Stage) -> LbProxy:
    """One worker with short deadlines; without TLS, for as a rule it is not the handshakes that are slow here, and with it."""
    config = stage.config(stage.app().address, timeouts=SHORT)
    config["listen"].insert(0, {"address": f"127.0.0.1:{free_port()}"})
    return stage.run(config)


@contextmanager
def good_client(proxy: LbProxy) -> Iterator[list[int]]:
    """One who asks again and again; the statuses it gets."""
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with Client(proxy.port()) as client:
                statuses.extend(client.request("GET", "/echo").status for _ in range(20))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()


def slow(proxy: LbProxy, attack: list[str]) -> str:
    """Run it until every connection was closed by us, or its own time is up, which is far beyond our deadlines."""
    tls = "-tls" in attack
    url = f"https://127.0.0.1:{proxy.port(1)}/echo" if tls else f"http://127.0.0.1:{proxy.port()}/echo"
    options = [*(option for option in attack if option != "-tls"), "-u", url, "-t", "POST" if "-B" in attack else "GET"]
    command = [need("slowhttptest"), "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", "120", "-p", "5", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", ended.stdout)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_slowhttptest(proxy: LbProxy, attack: list[str]) -> None:
    """Its connections are all cut; nobody else noticed."""
    [pid] = proxy.wait_workers(1)
    worker = psutil.Process(pid)
    with good_client(proxy) as statuses:
        eventually(lambda: len(statuses) > 20, "the good client is served")
        before = worker.memory_info().rss
        said = slow(proxy, attack)
        served = len(statuses)
        eventually(lambda: len(statuses) > served, "the good client is served still")
    assert "No open connections left" in said, said[-2000:]
    assert set(statuses) == {200}
    assert worker.memory_info().rss - before < CONNECTIONS * (64 << 10)
    assert proxy.workers() == [pid]
    eventually(lambda: len(worker.net_connections("tcp")) < 20, "all of them closed")


def test_slow_handshakes(proxy: LbProxy) -> None:
    """Half a ClientHello, and a byte of it now and then: the deadline is for the whole."""
    [pid] = proxy.wait_workers(1)
    worker = psutil.Process(pid)
    hello = client_hello()
    with ExitStack() as stack, good_client(proxy) as statuses:
        eventually(lambda: len(statuses) > 20, "the good client is served")
        before = worker.memory_info().rss
        left = []
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port(1))))
            connection.sendall(hello[:100])
            connection.setblocking(False)
            left.append(connection)
        at = 100

        def all_cut() -> bool:
            nonlocal at
            left[:] = [connection for connection in left if trickle(connection, hello[at : at + 1])]
            at += 1
            return not left

        eventually(all_cut, "all of them are cut", every=0.2)
        held = worker.memory_info().rss - before
        served = len(statuses)
        eventually(lambda: len(statuses) > served, "the good client is served still")
    assert at < len(hello), "none of them had come to the end"
    assert set(statuses) == {200}
    assert held < CONNECTIONS * (64 << 10)
    assert proxy.wait_event("tls.handshake_failed")["reason"] == "handshake_timeout"
    with LedgerView(proxy.pid) as view:
        eventually(lambda: not view.verify(), "clean books")


def client_hello() -> bytes:
    """Of Python's own client."""
    outgoing = ssl.MemoryBIO()
    talk = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    return outgoing.read()


def trickle(connection: socket.socket, byte: bytes) -> bool:
    """Send it; False when the connection is cut."""
    try:
        connection.sendall(byte)
        return connection.recv(100) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_a_flood_of_key_updates(proxy: LbProxy) -> None:
    """RFC 8446 4.6.3: new keys at will, each of which has to be answered; by a client that reads nothing."""
    [pid] = proxy.wait_workers(1)
    with Client(proxy.port()) as good, socket.create_connection(("127.0.0.1", proxy.port(1)), 10) as connection:
        engine = Engine()
        while not engine.shake():
            connection.sendall(engine.take())
            engine.put(connection.recv(65536))
        engine.write(b"POST /mirror HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(engine.take())

        def flooded() -> bool:
            """Whether it took 500 more of them."""
            for _ in range(500):
                engine.key_update()
            try:
                connection.sendall(engine.take())
            except OSError:
                return False
            return True

        while flooded():
            assert good.request("GET", "/echo").status == 200
        engine.close()
        assert good.request("GET", "/echo").status == 200
    assert proxy.workers() == [pid]
    proxy.wait_access(path="/mirror", reason="client_closed")


READERS = 60


def drip(connections: list[socket.socket]) -> list[socket.socket]:
    """Take 16 bytes of each; those that are cut are left out."""
    left = []
    for connection in connections:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != errno.ECONNRESET:
            left.append(connection)
            try:
                connection.recv(16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass  # it will come
    return left


def test_slow_reading(proxy: LbProxy) -> None:
    """Downloads that are taken by drips are cut, with no more of each held than a few buffers; nobody else noticed."""
    [pid] = proxy.wait_workers(1)
    worker = psutil.Process(pid)
    with ExitStack() as stack, good_client(proxy) as statuses:
        eventually(lambda: len(statuses) > 20, "the good client is served")
        before = worker.memory_info().rss
        left = []
        for _ in range(READERS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port())))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /bytes/500000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            left.append(connection)

        def all_cut() -> bool:
            left[:] = drip(left)
            return not left

        eventually(all_cut, "all of them are cut", every=0.2)
        held = worker.memory_info().rss - before
        served = len(statuses)
        eventually(lambda: len(statuses) > served, "the good client is served still")
    lines = proxy.wait_access(count=READERS, path="/bytes/500000000")
    assert {line["reason"] for line in lines} == {"client_timeout"}
    assert max(line["bytes_out"] for line in lines) < 2_000_000, "nor does the kernel hold more"
    assert set(statuses) == {200}
    assert held < READERS * (512 << 10)
