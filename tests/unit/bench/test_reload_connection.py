from __future__ import annotations

import hashlib
import socket
import ssl
import threading

import pytest

from bench.reload.connection import Connection
from bench.reload.job import Job
from bench.reload.outcome import Lost
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, eventually
from tests.unit.bench.tls_script import Act, TlsScript, answer, cut, farewell, head, reset, serve

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def connect(port: int, authority: Authority, slow: bool = False) -> Connection:
    job = Job(port, str(authority.file))
    return Connection(job, ssl.create_default_context(cafile=job.ca), slow=slow)


@pytest.mark.parametrize(("pieces", "closes"), [
    ((OK,), False),
    ((OK[:5], OK[5:40], OK[40:]), False),
    ((OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),), True),
    ((b"HTTP/1.0 200 OK\r\n\r\nok\n",), True),
    ((b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n",), True),
    ((b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n",), False),
])  # fmt: skip
def test_answers(authority: Authority, pieces: tuple[bytes, ...], closes: bool) -> None:
    """Whole ones, however they come, and whether they were the last."""
    with TlsScript(authority, answer(*pieces)) as server:
        connection = connect(server.port, authority)
        assert connection.ask(REQUEST) == (200, 3, hashlib.sha256(b"ok\n").hexdigest(), closes)
        connection.close()


def _then(end: Act, *pieces: bytes) -> Act:
    def act(tls: ssl.SSLSocket) -> None:
        head(tls)
        for piece in pieces:
            tls.sendall(piece)
        end(tls)

    return act


@pytest.mark.parametrize(("act", "kind"), [
    (_then(farewell), "closed"),
    (_then(cut), "closed"),
    (_then(reset), "reset"),
    (_then(farewell, b"HTTP/1.1 200"), "truncated"),
    (_then(cut, b"HTTP/1.1 200"), "truncated"),
    (_then(farewell, OK[:-1]), "truncated"),
    (_then(cut, OK[:-1]), "truncated"),
    (_then(reset, OK[:-1]), "reset"),
    (_then(cut, b"HTTP/1.0 200 OK\r\n\r\nok\n"), "truncated"),
    (_then(farewell, b"SMTP ready\r\n\r\n"), "content"),
    (_then(farewell, b"HTTP/1.1 200 OK\r\n\r\nok\n"), "content"),
    (_then(farewell, b"x" * 20_000), "content"),
    (reset, "reset"),
])  # fmt: skip
def test_losses(authority: Authority, act: Act, kind: str) -> None:
    """Each way not to answer has its name."""
    with TlsScript(authority, act) as server:
        connection = connect(server.port, authority)
        with pytest.raises(Lost) as caught:
            connection.ask(REQUEST)
        connection.close()
    assert (caught.value.kind, caught.value.local_port) == (kind, connection.local_port), caught.value


def test_refused(authority: Authority) -> None:
    """Nobody listens."""
    with pytest.raises(Lost) as caught:
        connect(free_port(), authority)
    assert caught.value.kind == "refused"


def test_silence(authority: Authority) -> None:
    """Nothing for too long."""
    done = threading.Event()

    def silent(tls: ssl.SSLSocket) -> None:
        done.wait(PATIENCE)

    with TlsScript(authority, silent) as server:
        connection = connect(server.port, authority)
        connection._socket.settimeout(0.1)  # only now: a handshake may take longer on a busy machine
        with pytest.raises(Lost) as caught:
            connection.ask(REQUEST)
        done.set()
        connection.close()
    assert caught.value.kind == "timeout"


def test_no_handshake(authority: Authority) -> None:
    """Accepted and closed, without a word of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closer = threading.Thread(target=lambda: listener.accept()[0].close())
        closer.start()
        with pytest.raises(Lost) as caught:
            connect(listener.getsockname()[1], authority)
        closer.join()
    assert caught.value.kind in ("closed", "reset")  # the reset is the kernel's answer to our unread hello


def test_strange_certificate(authority: Authority) -> None:
    """Not the certificate of the name."""
    job = Job(0, str(authority.file), name="elsewhere.test")
    with TlsScript(authority, serve()) as server, pytest.raises(Lost) as caught:
        Connection(Job(server.port, job.ca, name=job.name), ssl.create_default_context(cafile=job.ca))
    assert caught.value.kind == "tls"


@pytest.mark.parametrize(("act", "how"), [
    (farewell, "closed"),
    (cut, "cut"),
    (reset, "reset"),
    (lambda tls: tls.sendall(b"!"), "spoke"),
])  # fmt: skip
def test_ends_between_requests(authority: Authority, act: Act, how: str) -> None:
    """Seen before the next request is sent; standing connections, tickets included, are not taken for ended ones."""
    go = threading.Event()

    def played(tls: ssl.SSLSocket) -> None:
        head(tls)
        tls.sendall(OK)
        go.wait(PATIENCE)
        act(tls)

    with TlsScript(authority, played) as server:
        connection = connect(server.port, authority)
        assert connection.ended() == ""
        connection.ask(REQUEST)
        assert connection.ended() == ""
        go.set()
        assert eventually(connection.ended, "the end is seen") == how
        connection.close()


def test_resumption(authority: Authority) -> None:
    """A session of one connection is offered by another one."""
    with TlsScript(authority, serve()) as server:
        job = Job(server.port, str(authority.file))
        context = ssl.create_default_context(cafile=job.ca)
        first = Connection(job, context)
        first.ask(REQUEST)
        second = Connection(job, context, session=first.session)
        second.ask(REQUEST)
        assert (first.resumed, second.resumed) == (False, True)
        first.close()
        second.close()


def test_slow_reader(authority: Authority) -> None:
    """`rate` holds the server up: it cannot be done before the reader nearly is."""
    sent = threading.Event()
    body = bytes(1 << 20)

    def big(tls: ssl.SSLSocket) -> None:
        head(tls)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) * 8))
        for _ in range(8):
            tls.sendall(body)
        sent.set()

    with TlsScript(authority, big) as server:
        connection = connect(server.port, authority, slow=True)
        got = connection.ask(REQUEST, rate=64 << 20)
        assert (got.length, got.sha256) == (8 << 20, hashlib.sha256(body * 8).hexdigest())
        connection.close()
