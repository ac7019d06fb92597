"""Opening connections to backends: what every kind of failure is called, and that none of them leaves anything behind."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket as gsocket
from gevent.hub import get_hub

from lbproxy.config.model import PoolTlsConfig
from lbproxy.errors import ClientGone, UpstreamError
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.dial import BackendDialer
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.streams import NEVER
from lbproxy.tls.backend_tls import BackendTls
from tests.support.descriptors import held_open
from tests.support.waiting import PATIENCE
from tests.unit.net.loopback import start, turns, until
from tests.unit.net.tls_peer import Authority, TlsPeer


@pytest.fixture
def listening() -> Iterator[gsocket.socket]:
    with gsocket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.settimeout(60)
        yield sock


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def dialer(deadlines: Deadlines, context: ssl.SSLContext | None = None, name: str | None = None) -> BackendDialer:
    contexts = {} if context is None else {"pool": BackendTls(PoolTlsConfig(server_name=name), context)}
    return BackendDialer(deadlines, contexts)


def failure(
    deadlines: Deadlines, by: BackendDialer, port: int, ip: str = "127.0.0.1", host: str = "localhost", patience: float = 10.0
) -> UpstreamError:
    """How dialling fails; nothing may be left of it."""
    before = held_open()
    with pytest.raises(UpstreamError) as caught:
        start(lambda: by.dial(ip, port, "pool", host, patience)).result()
    assert caught.value.nothing_sent
    assert not deadlines.streams
    until(lambda: held_open() <= before, "every descriptor is given back")  # the peer's included
    return caught.value


def test_a_connection_is_ready_for_a_request(deadlines: Deadlines, listening: gsocket.socket) -> None:
    job = start(lambda: dialer(deadlines).dial("127.0.0.1", listening.getsockname()[1], "pool", "localhost", 10.0))
    peer, _ = listening.accept()
    stream = job.result()
    assert isinstance(stream, TcpStream)
    assert stream.deadline == NEVER
    stream.write(b"GET")
    assert peer.recv(10) == b"GET"
    peer.close()


def test_over_ipv6(deadlines: Deadlines) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        stream = start(lambda: dialer(deadlines).dial("::1", server.getsockname()[1], "pool", "localhost", 10.0)).result()
        assert not stream.closed


def test_a_backend_that_speaks_first_is_heard(deadlines: Deadlines, listening: gsocket.socket) -> None:
    job = start(lambda: dialer(deadlines).dial("127.0.0.1", listening.getsockname()[1], "pool", "localhost", 10.0))
    peer, _ = listening.accept()
    peer.sendall(b"220 hello")
    stream = job.result()
    assert start(lambda: stream.read(16384)).result() == b"220 hello"
    peer.close()


def test_refused(deadlines: Deadlines, listening: gsocket.socket) -> None:
    port = listening.getsockname()[1]
    listening.close()
    error = failure(deadlines, dialer(deadlines), port)
    assert (error.status, error.reason) == (502, "connection_refused")


def test_unreachable(deadlines: Deadlines) -> None:
    """The broadcast address takes no connections: refused at once, by connect itself."""
    error = failure(deadlines, dialer(deadlines), 9, ip="255.255.255.255")
    assert (error.status, error.reason) == (502, "network_unreachable")


def test_a_black_hole(deadlines: Deadlines) -> None:
    """A listener with a full queue answers nothing: cut after connect_timeout."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        for _ in range(4):  # a backlog of 0 takes one or two; whatever waits already fills it
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
            fillers.append(filler)
        began = time.monotonic()
        error = failure(deadlines, dialer(deadlines), server.getsockname()[1], patience=0.05)
        assert (error.status, error.reason) == (504, "connect_timeout")
        assert 0.05 <= time.monotonic() - began < PATIENCE
        for filler in fillers:
            filler.close()


def test_the_client_may_leave_while_we_dial(deadlines: Deadlines) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        job = start(lambda: dialer(deadlines).dial("127.0.0.1", server.getsockname()[1], "pool", "localhost", 10.0))
        assert not job.over
        get_hub().loop.run_callback(job.greenlet.throw, ClientGone("gone"))
        with pytest.raises(ClientGone):
            job.result()
        assert not deadlines.streams
        for filler in fillers:
            filler.close()


# ---------------------------------------------------------------- re-encryption


def serve_tls(listening: gsocket.socket, context: ssl.SSLContext, heard: list[str]) -> None:
    sock, _ = listening.accept()
    peer = TlsPeer(sock, context, None)
    peer.tls.context.sni_callback = lambda tls, name, _: heard.append(name)
    try:
        peer.shake()
        peer.recv()
    except (ssl.SSLError, OSError):
        pass  # what the other side thinks of it is the test's concern
    sock.close()


@pytest.mark.parametrize(("configured", "sent"), [(None, "localhost"), ("backend.test", "backend.test")])
def test_tls_verifies_the_host_or_the_configured_name(
    deadlines: Deadlines, listening: gsocket.socket, authority: Authority, configured: str | None, sent: str
) -> None:
    heard: list[str] = []
    serving = start(lambda: serve_tls(listening, authority.server(), heard))
    by = dialer(deadlines, authority.client(), configured)
    stream = start(lambda: by.dial("127.0.0.1", listening.getsockname()[1], "pool", "localhost", 10.0)).result()
    assert stream.deadline == NEVER
    assert heard == [sent]
    stream.close()
    serving.result()


@pytest.mark.parametrize("why", ["authority", "name", "impossible name"])
def test_tls_that_cannot_be_trusted(deadlines: Deadlines, listening: gsocket.socket, authority: Authority, why: str) -> None:
    context = (Authority() if why == "authority" else authority).server()
    name = {"authority": "localhost", "name": "other.test", "impossible name": ".localhost"}[why]
    serving = start(lambda: serve_tls(listening, context, []))
    error = failure(deadlines, dialer(deadlines, authority.client(), name), listening.getsockname()[1])
    reason = {"authority": "tls_unknown_authority", "name": "tls_wrong_name", "impossible name": "tls_failure"}[why]
    assert (error.status, error.reason) == (502, reason)
    serving.result()


@pytest.mark.parametrize(("script", "reason"), [("plain", "tls_not_spoken"), ("closes", "connection_reset")])
def test_a_backend_that_speaks_no_tls(
    deadlines: Deadlines, listening: gsocket.socket, authority: Authority, script: str, reason: str
) -> None:
    def serve() -> None:
        sock, _ = listening.accept()
        sock.recv(65536)
        if script == "plain":
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        sock.close()

    serving = start(serve)
    by = dialer(deadlines, authority.client())
    with pytest.raises(UpstreamError) as caught:
        start(lambda: by.dial("127.0.0.1", listening.getsockname()[1], "pool", "x", 10.0)).result()
    assert (caught.value.status, caught.value.reason, caught.value.nothing_sent) == (502, reason, True)
    serving.result()
    assert not deadlines.streams


def test_a_backend_that_never_shakes_hands(deadlines: Deadlines, listening: gsocket.socket, authority: Authority) -> None:
    error = failure(deadlines, dialer(deadlines, authority.client()), listening.getsockname()[1], patience=0.05)
    assert (error.status, error.reason) == (504, "connect_timeout")
    turns()
    until(lambda: not deadlines.streams, "nothing is left")


def test_to_a_unix_socket(deadlines: Deadlines, tmp_path: Path) -> None:
    """Ready for a request like any other."""
    with gsocket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        stream = start(lambda: dialer(deadlines).dial(f"unix:{tmp_path}/s", 0, "pool", "unix", 10.0)).result()
        peer, _ = server.accept()
        stream.write(b"GET")
        assert peer.recv(10) == b"GET"
        peer.close()


def test_a_unix_socket_that_is_not_there(deadlines: Deadlines, tmp_path: Path) -> None:
    """In words of its own."""
    assert failure(deadlines, dialer(deadlines), 0, f"unix:{tmp_path}/s").reason == "no_such_socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert failure(deadlines, dialer(deadlines), 0, f"unix:{tmp_path}/s").reason == "connection_refused"


@pytest.mark.parametrize("tls", [False, True])
def test_the_introduction_comes_first(
    deadlines: Deadlines, listening: gsocket.socket, authority: Authority, tls: bool
) -> None:
    """In front of the handshake, in the clear."""
    by = dialer(deadlines, authority.client() if tls else None)
    port = listening.getsockname()[1]
    job = start(lambda: by.dial("127.0.0.1", port, "pool", "localhost", 10.0, introduction=b"PROXY UNKNOWN\r\n"))
    sock, _ = listening.accept()
    said = b""
    while len(said) < 15:
        said += sock.recv(15 - len(said))
    assert said == b"PROXY UNKNOWN\r\n"
    if tls:
        peer = TlsPeer(sock, authority.server(), None)
        peer.shake()
    job.result().close()
    sock.close()
